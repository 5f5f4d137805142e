"""Chat completions: an OpenAI request in, a response or its chunks out.  Knows no transport."""

import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

from fanlight.api import overflow, placing
from fanlight.api.call_grammar import answer_grammar
from fanlight.api.generation import Generation, LoadedModel, Piece, check_fits, check_length
from fanlight.api.logprobs import chat_logprobs, prompt_logprobs
from fanlight.api.message import Answer
from fanlight.api.overflow import ERROR, SINKS, fitting
from fanlight.api.placing import Seen
from fanlight.api.requests import ChatRequest
from fanlight.api.structured import constrained, started
from fanlight.api.types import (
    ChatChoice,
    ChatChunkChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatLogprobs,
    Delta,
    FinishReason,
    PromptLogprob,
    Usage,
)
from fanlight.driver import in_thread
from fanlight.engine.placed import Placed
from fanlight.engine.sampling_params import SamplingParams
from fanlight.engine.sequence import TokenLogprob
from fanlight.errors import RequestError
from fanlight.grammar.limits import timed
from fanlight.text.chat_syntax import ChatSyntax, chat_syntax, said_so_far


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the messages have become, and what is known of the answer by it."""

    text: str
    token_ids: list[int]
    syntax: ChatSyntax
    is_inside: bool  # the reasoning, which the prompt has opened
    begun: str = ""  # what of the text the model wrote of its answer already
    images: tuple[Placed, ...] = ()  # what some of the tokens stand for


async def complete_chat(
    loaded: LoadedModel, request: ChatRequest
) -> ChatCompletion | AsyncGenerator[ChatCompletionChunk, None]:
    policy = request.context_overflow or loaded.context_overflow
    if policy == SINKS:
        prompt, params = await _with_sinks(loaded, request)
        request = replace(request, params=params)
    else:
        prompt = await _fitting(loaded, request, policy)
    with timed() as compiling:
        params = await started(await _constrained(request, prompt), loaded.tokenizer)
    request = replace(request, params=params)
    if request.continues and params.grammar is not None:
        why = "an answer of a given form (response_format, tool_choice, ...) begins anew"
        raise RequestError(f"continue_final_message: {why}", param="continue_final_message")
    dialogue = Dialogue(loaded, request, prompt, await _end_of_thinking(loaded, request, prompt), sum(compiling))
    return _stream(loaded, request, dialogue) if request.stream else await _complete(loaded, request, dialogue)


async def _fitting(loaded: LoadedModel, request: ChatRequest, policy: str) -> Prompt:
    room = 0 if policy == ERROR else room_for_answer(loaded, request.params)

    async def prompt_of(messages: list[dict[str, Any]]) -> Prompt:
        prompt = await chat_prompt(loaded, replace(request, messages=messages))
        check_fits(loaded, prompt.token_ids, "messages", room)
        return prompt

    return await fitting(request.messages, policy, prompt_of)


async def _with_sinks(loaded: LoadedModel, request: ChatRequest) -> tuple[Prompt, SamplingParams]:
    """The prompt, or what of it the context holds; and the params that let the answer outlive the context."""
    context = loaded.engine.context_length
    prompt = await chat_prompt(loaded, request, may_be_long=True)
    if not overflow.may_overflow([prompt.token_ids], request.params, context):
        return prompt, request.params
    first = replace(request, messages=overflow.before_first(request.messages), continues=False, warnings=[])
    start = await chat_prompt(loaded, first, may_be_long=True)
    sinks = overflow.num_sinks(prompt.token_ids, start.token_ids, context, "messages")
    kept = overflow.cut(prompt.token_ids, sinks, context)
    return replace(prompt, token_ids=kept), replace(request.params, num_sinks=sinks)


def room_for_answer(loaded: LoadedModel, params: SamplingParams) -> int:
    """Tokens that are kept free where the conversation may be shortened: all that are asked for, up to half of the context."""
    context = loaded.engine.context_length
    return min(context // 2, params.max_tokens or context // 8)


async def _constrained(request: ChatRequest, prompt: Prompt) -> SamplingParams:
    syntax, tooling, structured = prompt.syntax, request.tooling, request.structured
    whole = lambda answer: syntax.grammar(answer, prompt.is_inside, is_text=True)  # noqa: E731
    params = await constrained(request.params, structured, whole)
    if tooling is None:
        return params
    grammar = await in_thread(lambda: answer_grammar(syntax, tooling, structured, prompt.is_inside))
    return replace(params, grammar=grammar)


async def chat_prompt(loaded: LoadedModel, request: ChatRequest, may_be_long: bool = False) -> Prompt:
    """The messages as the model reads them. The template writes its own special tokens, so none are added."""
    if loaded.template is None:
        raise RequestError(
            f"{loaded.model_name} has no chat template", hint="completions (/v1/completions), which take the prompt as it is"
        )
    syntax = chat_syntax(loaded.template, loaded.tokenizer)
    variables = dict(request.template_variables)
    if request.thinking.effort is not None:
        variables.setdefault("reasoning_effort", request.thinking.effort)
    tools = request.tooling.tools if request.tooling else None
    controls = loaded.tokenizer.controls
    thinks, continues = request.thinking.is_on, request.continues
    seen = await _seen(loaded, request.messages)
    messages = placing.as_written(request.messages) if seen else request.messages
    prompt = await in_thread(lambda: syntax.prompt(controls, messages, tools, variables, thinks, continues))
    if seen and loaded.placing and not loaded.placing.is_written(prompt):
        messages = placing.as_written(request.messages, as_text=True)
        prompt = await in_thread(lambda: syntax.prompt(controls, messages, tools, variables, thinks, continues))
    if not may_be_long:
        check_length(loaded, prompt.text, "messages")
    if tools and syntax.guesses_calls:
        request.warnings.append(
            "tools: the model's chat template shows no known syntax of calls; they are read where they are JSON"
        )
    if any("name" in message and message["role"] != "tool" for message in messages):
        nameless = [{key: value for key, value in message.items() if key != "name"} for message in messages]
        other = await in_thread(lambda: syntax.prompt(controls, nameless, tools, variables, thinks, continues))
        if other.text == prompt.text:
            request.warnings.append("messages[].name: the model's chat template reads no names")
    images: tuple[Placed, ...] = ()
    if loaded.placing and seen:
        token_ids, images = await loaded.placing.encoded(loaded.tokenizer, prompt, seen)
    else:
        token_ids = await loaded.tokenizer.encode_prompt(prompt)
    before = prompt.text
    if request.continues:
        before = await in_thread(lambda: syntax.opening(messages, tools, variables, thinks))
    return Prompt(prompt.text, token_ids, syntax, syntax.is_inside(before), prompt.text.removeprefix(before), images)


async def _seen(loaded: LoadedModel, messages: list[dict[str, Any]]) -> list[Seen]:
    parts = placing.parts_of(messages)
    takes = loaded.placing.kind if loaded.placing else None
    for kind, what, hint in (("image_url", "pictures", "a model that sees"), ("audio_url", "sounds", "a model that hears")):
        if takes != kind and any(part["type"] == kind for part in parts):
            name = kind if kind == "image_url" else "input_audio, audio_url"
            why = f": its encoder's {loaded.info['encoder_not_read']}" if "encoder_not_read" in loaded.info else ""
            raise RequestError(f"{loaded.model_name} takes no {what} ({name}){why}", param="messages", hint=hint)
    return await loaded.placing.seen(parts) if loaded.placing else []


async def _end_of_thinking(loaded: LoadedModel, request: ChatRequest, prompt: Prompt) -> list[int]:
    """What is inserted where the budget is spent."""
    end = prompt.syntax.end_of_thinking
    if request.thinking.budget is None or end is None:
        return []
    return await loaded.tokenizer.encode(end, add_special_tokens=False)


class Dialogue:
    """A request's answers: their text goes through the model's syntax, and what they come to goes back to the generation."""

    def __init__(
        self, loaded: LoadedModel, request: ChatRequest, prompt: Prompt, end_of_thinking: list[int], compiling_s: float
    ) -> None:
        self.prompt = prompt
        tooling, syntax = request.tooling, prompt.syntax
        tools = tooling.tools if tooling else None
        only_one = tooling is not None and tooling.only_one
        self.answers = [
            Answer(syntax.parser(prompt.is_inside, tools), syntax.format.new_id, only_one) for _ in range(request.n)
        ]
        if request.continues:
            for answer in self.answers:
                answer.resume(prompt.begun, said_so_far(request.messages[-1])[1])
        self._end_of_thinking = end_of_thinking
        self.num_reasoning = 0  # tokens
        has_grammar = request.params.grammar is not None
        self.generation = Generation(
            loaded,
            [prompt.token_ids],
            request.params,
            n=request.n,
            stops=request.stops,
            visible_ids=loaded.tokenizer.ids_of(syntax.visible(tools is not None or has_grammar)),
            no_stop_ids=loaded.tokenizer.ids_of(syntax.format.no_stops),
            grammar_init_s=compiling_s if has_grammar else None,
            images=prompt.images,
        )
        self._budget = request.thinking.budget if end_of_thinking else None

    def __enter__(self) -> "Dialogue":
        self.generation.__enter__()
        for choice in self.generation.choices:
            choice.pause_at = self._budget
        return self

    def __exit__(self, *exception: object) -> None:
        self.generation.__exit__(*exception)

    async def advance(self) -> list[tuple[Piece, list[Delta]]]:
        """The next pieces, each with what it adds to its message; empty when every answer is over."""
        found = []
        for piece in await self.generation.advance():
            deltas = self._feed(piece)
            self.num_reasoning += len(piece.token_ids) * self.answers[piece.index].is_thinking
            answer, choice = self.answers[piece.index], self.generation.choices[piece.index]
            if choice.num_tokens == choice.pause_at and piece.finish_reason is None:
                if answer.is_thinking:
                    found.append((piece, deltas))
                    piece = self.generation.insert(piece.index, self._end_of_thinking)
                    deltas = self._feed(piece)
                choice.pause_at = None if answer.has_begun else choice.pause_at + 1  # a mark may be half there
            if answer.is_over and piece.finish_reason is None:
                self.generation.stop(piece.index)
                piece = replace(piece, finish_reason="stop")
            if piece.finish_reason is not None:
                piece = replace(piece, finish_reason=answer.finish_reason(piece.finish_reason))
            found.append((piece, deltas))
        return found

    def usage(self) -> Usage:
        usage = self.generation.usage()
        if self.prompt.syntax.marks is not None or self.prompt.syntax.is_framed:
            usage["completion_tokens_details"] = {"reasoning_tokens": self.num_reasoning}
        return usage

    def _feed(self, piece: Piece) -> list[Delta]:
        return self.answers[piece.index].feed(piece.text, piece.finish_reason is not None)


async def _complete(loaded: LoadedModel, request: ChatRequest, dialogue: Dialogue) -> ChatCompletion:
    token_ids: list[list[int]] = [[] for _ in dialogue.answers]
    logprobs: list[list[TokenLogprob]] = [[] for _ in dialogue.answers]
    reasons: dict[int, FinishReason] = {}
    with dialogue:
        while news := await dialogue.advance():
            for piece, _ in news:
                token_ids[piece.index] += piece.token_ids
                logprobs[piece.index] += piece.logprobs
                if piece.finish_reason is not None:
                    reasons[piece.index] = piece.finish_reason
        choices: list[ChatChoice] = [
            {
                "index": i,
                "message": answer.message(),
                "logprobs": _logprobs(loaded, request, logprobs[i]),
                "finish_reason": reasons[i],
            }
            for i, answer in enumerate(dialogue.answers)
        ]
        response: ChatCompletion = {
            "id": _new_id(),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": loaded.model_name,
            "choices": choices,
            "usage": dialogue.usage(),
            "timings": dialogue.generation.timings(),
        }
    if loaded.fingerprint:
        response["system_fingerprint"] = loaded.fingerprint
    if request.return_token_ids:
        response["prompt_token_ids"] = dialogue.prompt.token_ids
        for choice in choices:
            choice["token_ids"] = token_ids[choice["index"]]
    if request.params.prompt_logprobs is not None:
        response["prompt_logprobs"] = _prompt_logprobs(loaded, dialogue)
    return response


def _logprobs(loaded: LoadedModel, request: ChatRequest, tokens: list[TokenLogprob]) -> ChatLogprobs | None:
    return None if request.params.logprobs is None else chat_logprobs(loaded.tokenizer, tokens)


def _prompt_logprobs(loaded: LoadedModel, dialogue: Dialogue) -> list[dict[str, PromptLogprob] | None]:
    return prompt_logprobs(loaded.tokenizer, dialogue.generation.choices[0].first_sequence.prompt_logprobs)


async def _stream(loaded: LoadedModel, request: ChatRequest, dialogue: Dialogue) -> AsyncGenerator[ChatCompletionChunk, None]:
    head = _head(loaded, request)
    with dialogue:
        for i in range(request.n):
            chunk = _chunk(head, [_choice(i, {"role": "assistant", "content": "", "refusal": None})])
            if request.return_token_ids and i == 0:
                chunk["prompt_token_ids"] = dialogue.prompt.token_ids
            yield chunk
        num_open = request.n
        is_prompt_due = request.params.prompt_logprobs is not None
        while news := await dialogue.advance():
            for piece, deltas in news:
                num_open -= piece.finish_reason is not None
                for choice in _piece_choices(
                    piece, deltas, request.return_token_ids, _logprobs(loaded, request, piece.logprobs)
                ):
                    chunk = _chunk(head, [choice])
                    if is_prompt_due and piece.index == 0:
                        chunk["prompt_logprobs"], is_prompt_due = _prompt_logprobs(loaded, dialogue), False
                    if num_open == 0 and choice["finish_reason"] is not None and not request.include_usage:
                        chunk["timings"] = dialogue.generation.timings()
                    yield chunk
        if request.include_usage:
            chunk = _chunk(head, [])
            chunk["usage"], chunk["timings"] = dialogue.usage(), dialogue.generation.timings()
            yield chunk


def _piece_choices(piece: Piece, deltas: list[Delta], with_ids: bool, logprobs: ChatLogprobs | None) -> list[ChatChunkChoice]:
    """The choices of the chunks that a piece becomes; its token ids and log-probabilities go with the first of them."""
    choices = [_choice(piece.index, delta) for delta in deltas]
    if piece.finish_reason is not None:
        choices.append(_choice(piece.index, {}, piece.finish_reason))
    has_logprobs = logprobs is not None and bool(logprobs["content"])
    if has_logprobs or (with_ids and piece.token_ids):
        choices = choices or [_choice(piece.index, {"content": ""})]
    if has_logprobs:
        choices[0]["logprobs"] = logprobs
    if with_ids and piece.token_ids:
        for i, choice in enumerate(choices):
            choice["token_ids"] = [] if i else piece.token_ids
    return choices


def _choice(index: int, delta: Delta, finish_reason: FinishReason | None = None) -> ChatChunkChoice:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _head(loaded: LoadedModel, request: ChatRequest) -> ChatCompletionChunk:
    """What all chunks of a stream have."""
    head: ChatCompletionChunk = {
        "id": _new_id(),
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": loaded.model_name,
        "choices": [],
    }
    if loaded.fingerprint:
        head["system_fingerprint"] = loaded.fingerprint
    if request.include_usage:
        head["usage"] = None
    return head


def _chunk(head: ChatCompletionChunk, choices: list[ChatChunkChoice]) -> ChatCompletionChunk:
    chunk = head.copy()
    chunk["choices"] = choices
    return chunk


def _new_id() -> str:
    return f"chatcmpl-{secrets.token_hex(12)}"
