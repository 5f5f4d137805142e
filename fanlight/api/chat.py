"""Chat completions: an OpenAI request in, a response or its chunks out.  Knows no transport."""

import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from fanlight.api.generation import Generation, LoadedModel, Piece, check_fits
from fanlight.api.requests import ChatRequest
from fanlight.api.types import (
    ChatChoice,
    ChatChunkChoice,
    ChatCompletion,
    ChatCompletionChunk,
    Delta,
    FinishReason,
    ResponseMessage,
    ToolCallDelta,
)
from fanlight.api.types import ToolCall as WireToolCall
from fanlight.errors import RequestError
from fanlight.text.tool_formats.hermes import MARKS, HermesParser, ToolCall


async def complete_chat(
    loaded: LoadedModel, request: ChatRequest
) -> ChatCompletion | AsyncGenerator[ChatCompletionChunk, None]:
    prompt = await chat_prompt(loaded, request)
    check_fits(loaded, prompt, "messages")
    return _stream(loaded, request, prompt) if request.stream else await _complete(loaded, request, prompt)


async def chat_prompt(loaded: LoadedModel, request: ChatRequest) -> list[int]:
    """The messages as the model reads them. The template writes its own special tokens, so none are added."""
    if loaded.template is None:
        raise RequestError(
            f"{loaded.model_name} has no chat template", hint="completions (/v1/completions), which take the prompt as it is"
        )
    text = loaded.template.render(request.messages, tools=request.tools, **request.template_variables)
    return await loaded.tokenizer.encode(text, add_special_tokens=False)


def _generation(loaded: LoadedModel, request: ChatRequest, prompt: list[int]) -> Generation:
    marks = {loaded.tokenizer.token_to_id(mark) for mark in MARKS} if request.tools else set()
    visible = frozenset(i for i in marks if i is not None)
    return Generation(loaded, [prompt], request.params, n=request.n, stops=request.stops, visible_ids=visible)


@dataclass(slots=True)
class Answer:
    """One choice's message in the making: content, and tool calls where the request has tools."""

    parser: HermesParser | None
    content: str = ""
    calls: list[WireToolCall] = field(default_factory=list)

    def feed(self, piece: Piece) -> list[Delta]:
        """The piece as deltas."""
        parts: list[str | ToolCall] = [piece.text] if piece.text else []
        if self.parser is not None:
            parts = self.parser.feed(piece.text)
            if piece.finish_reason is not None:
                parts += self.parser.flush()
        return [delta for part in parts for delta in self._add(part)]

    def _add(self, part: str | ToolCall) -> list[Delta]:
        if isinstance(part, str):
            self.content += part
            return [{"content": part}]
        index = len(self.calls)
        call_id = f"call_{secrets.token_hex(12)}"
        self.calls.append({"id": call_id, "type": "function", "function": {"name": part.name, "arguments": part.arguments}})
        begin: ToolCallDelta = {
            "index": index,
            "id": call_id,
            "type": "function",
            "function": {"name": part.name, "arguments": ""},
        }
        return [
            {"tool_calls": [begin]},
            {"tool_calls": [{"index": index, "function": {"arguments": part.arguments}}]},
        ]

    def finish_reason(self, reason: FinishReason) -> FinishReason:
        return "tool_calls" if self.calls and reason == "stop" else reason

    def message(self) -> ResponseMessage:
        if not self.calls:
            return {"role": "assistant", "content": self.content, "refusal": None}
        return {"role": "assistant", "content": self.content or None, "refusal": None, "tool_calls": self.calls}


def _answers(request: ChatRequest) -> list[Answer]:
    return [Answer(HermesParser() if request.tools else None) for _ in range(request.n)]


async def _complete(loaded: LoadedModel, request: ChatRequest, prompt: list[int]) -> ChatCompletion:
    answers = _answers(request)
    token_ids: list[list[int]] = [[] for _ in answers]
    reasons: dict[int, FinishReason] = {}
    with _generation(loaded, request, prompt) as generation:
        while pieces := await generation.advance():
            for piece in pieces:
                answers[piece.index].feed(piece)
                token_ids[piece.index] += piece.token_ids
                if piece.finish_reason is not None:
                    reasons[piece.index] = answers[piece.index].finish_reason(piece.finish_reason)
        choices: list[ChatChoice] = [
            {"index": i, "message": answer.message(), "logprobs": None, "finish_reason": reasons[i]}
            for i, answer in enumerate(answers)
        ]
        response: ChatCompletion = {
            "id": _new_id(),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": loaded.model_name,
            "choices": choices,
            "usage": generation.usage(),
            "timings": generation.timings(),
        }
    if request.return_token_ids:
        response["prompt_token_ids"] = prompt
        for choice in choices:
            choice["token_ids"] = token_ids[choice["index"]]
    return response


async def _stream(loaded: LoadedModel, request: ChatRequest, prompt: list[int]) -> AsyncGenerator[ChatCompletionChunk, None]:
    head = _head(loaded, request)
    answers = _answers(request)
    with _generation(loaded, request, prompt) as generation:
        for i in range(request.n):
            chunk = _chunk(head, [_choice(i, {"role": "assistant", "content": "", "refusal": None})])
            if request.return_token_ids and i == 0:
                chunk["prompt_token_ids"] = prompt
            yield chunk
        num_open = request.n
        while pieces := await generation.advance():
            for piece in pieces:
                num_open -= piece.finish_reason is not None
                for choice in _piece_choices(answers[piece.index], piece, request.return_token_ids):
                    chunk = _chunk(head, [choice])
                    if num_open == 0 and choice["finish_reason"] is not None and not request.include_usage:
                        chunk["timings"] = generation.timings()
                    yield chunk
        if request.include_usage:
            chunk = _chunk(head, [])
            chunk["usage"], chunk["timings"] = generation.usage(), generation.timings()
            yield chunk


def _piece_choices(answer: Answer, piece: Piece, with_ids: bool) -> list[ChatChunkChoice]:
    """The choices of the chunks that a piece becomes; its token ids go with the first of them."""
    choices = [_choice(piece.index, delta) for delta in answer.feed(piece)]
    if piece.finish_reason is not None:
        choices.append(_choice(piece.index, {}, answer.finish_reason(piece.finish_reason)))
    if with_ids and piece.token_ids:
        choices = choices or [_choice(piece.index, {"content": ""})]
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
    if request.include_usage:
        head["usage"] = None
    return head


def _chunk(head: ChatCompletionChunk, choices: list[ChatChunkChoice]) -> ChatCompletionChunk:
    chunk = head.copy()
    chunk["choices"] = choices
    return chunk


def _new_id() -> str:
    return f"chatcmpl-{secrets.token_hex(12)}"
