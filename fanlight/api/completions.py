"""Completions: prompts as texts or token ids in, their continuations out.  Knows no transport."""

import secrets
import time
from collections.abc import AsyncGenerator
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field, replace

from fanlight.api import overflow
from fanlight.api.generation import Choice, Generation, LoadedModel, Piece, check_fits, check_length
from fanlight.api.logprobs import Offsets, completion_logprobs, joined, prompt_logprobs
from fanlight.api.requests import CompletionRequest
from fanlight.api.structured import constrained, started
from fanlight.api.types import Completion, CompletionChoice, CompletionLogprobs, FinishReason
from fanlight.engine.sequence import TokenLogprob
from fanlight.grammar.limits import timed


async def complete(loaded: LoadedModel, request: CompletionRequest) -> Completion | AsyncGenerator[Completion, None]:
    has_sinks = (request.context_overflow or loaded.context_overflow) == overflow.SINKS
    for text in request.prompts:
        if isinstance(text, str) and not has_sinks:
            check_length(loaded, text, "prompt")
    prompts = [p if isinstance(p, list) else await loaded.tokenizer.encode(p) for p in request.prompts]
    if has_sinks:
        request = _with_sinks(loaded, request, prompts)
    for prompt in prompts:
        check_fits(loaded, prompt, "prompt")
    with timed() as compiling:
        params = await started(await constrained(request.params, request.structured), loaded.tokenizer)
    request = replace(request, params=params)
    answering = Answering(loaded, request, prompts, sum(compiling) if params.grammar else None)
    return _stream(answering) if request.stream else await _complete(answering)


def _with_sinks(loaded: LoadedModel, request: CompletionRequest, prompts: list[list[int]]) -> CompletionRequest:
    """Cuts the prompts that are too long; what they were is forgotten. The params let answers outlive the context."""
    context = loaded.engine.context_length
    if not overflow.may_overflow(prompts, request.params, context):
        return request
    sinks, given = overflow.num_sinks([], [], context, "prompt"), list(request.prompts)
    for i, prompt in enumerate(prompts):
        if len(kept := overflow.cut(prompt, sinks, context)) < len(prompt):
            prompts[i] = given[i] = kept
    return replace(request, prompts=given, params=replace(request.params, num_sinks=sinks))


@dataclass(frozen=True, slots=True)
class Answering:
    """A request at work. Its answers are numbered prompt by prompt; of `best_of` for each, the `n` best are given."""

    loaded: LoadedModel
    request: CompletionRequest
    prompts: list[list[int]]
    grammar_init_s: float | None
    offsets: dict[int, Offsets] = field(default_factory=dict)  # by answer

    def generation(self) -> Generation:
        request = self.request
        return Generation(
            self.loaded,
            self.prompts,
            request.params,
            n=request.best_of,
            stops=request.stops,
            is_continuation=True,
            is_prompt_only=request.is_prompt_only,
            grammar_init_s=self.grammar_init_s,
        )

    def echo_of(self, number: int) -> str:
        """What stands before the texts of a prompt's answers."""
        prompt = self.request.prompts[number]
        if not self.request.echo:
            return ""
        return prompt if isinstance(prompt, str) else self.loaded.tokenizer.decode(prompt)

    def first(self, index: int, made: Choice | None = None) -> CompletionChoice:
        """An answer that has nothing yet but what comes before it. made: with its prompt computed, if that is asked for."""
        number = index // self.request.best_of
        choice = _choice(index, self.echo_of(number))
        if self.request.return_token_ids:
            choice["token_ids"], choice["prompt_token_ids"] = [], self.prompts[number]
        if made is not None and self.scores_prompts:
            scored, tokenizer = made.sequence.prompt_logprobs, self.loaded.tokenizer
            choice["prompt_logprobs"] = prompt_logprobs(tokenizer, scored)
            if self.request.echo and self.with_logprobs:
                choice["logprobs"] = self._logprobs(index, [self.prompts[number][0], *scored])
        return choice

    @property
    def scores_prompts(self) -> bool:
        return self.request.params.prompt_logprobs is not None

    @property
    def with_logprobs(self) -> bool:
        return self.request.logprobs is not None

    @property
    def with_top(self) -> bool:
        return bool(self.request.logprobs)

    def logprobs_of(self, piece: Piece) -> CompletionLogprobs | None:
        return self._logprobs(piece.index, piece.logprobs) if self.with_logprobs else None

    def _logprobs(self, index: int, tokens: Seq[TokenLogprob | int]) -> CompletionLogprobs:
        tokenizer = self.loaded.tokenizer
        if index not in self.offsets:
            self.offsets[index] = Offsets(tokenizer, self.request.echo)
        return completion_logprobs(tokenizer, tokens, self.offsets[index], self.with_top)

    def best(self, generation: Generation, choices: list[CompletionChoice]) -> list[CompletionChoice]:
        """Of each prompt's answers the `n` with the highest log-probability per token, best first, numbered anew."""
        n, best_of = self.request.n, self.request.best_of
        if n == best_of:
            return choices
        found: list[CompletionChoice] = []
        for start in range(0, len(choices), best_of):
            ranked = sorted(choices[start : start + best_of], key=lambda c: -_mean(generation.choices[c["index"]]))
            found += ranked[:n]
        for index, choice in enumerate(found):
            choice["index"] = index
        return found


def _mean(choice: Choice) -> float:
    logprobs = [token.logprob for token in choice.sequence.logprobs[: choice.num_read]]
    return sum(logprobs) / len(logprobs) if logprobs else 0.0


async def _complete(answering: Answering) -> Completion:
    request, loaded, prompts = answering.request, answering.loaded, answering.prompts
    choices: dict[int, CompletionChoice] = {}
    with answering.generation() as generation:
        parts: list[list[CompletionLogprobs]] = [[] for _ in generation.choices]
        while pieces := await generation.advance():
            for piece in pieces:
                if piece.index not in choices:
                    made = generation.choices[piece.index // request.best_of * request.best_of]
                    choices[piece.index] = answering.first(piece.index, made)
                choice = choices[piece.index]
                if found := answering.logprobs_of(piece):
                    parts[piece.index].append(found)
                choice["text"] += piece.text
                choice["finish_reason"] = piece.finish_reason
                if request.return_token_ids:
                    choice["token_ids"] += piece.token_ids
        for index, choice in choices.items():
            if answering.with_logprobs:
                choice["logprobs"] = joined([*filter(None, [choice["logprobs"]]), *parts[index]])
        best = answering.best(generation, [choices[index] for index in sorted(choices)])
        response = _completion(_head(loaded), best)
        response["usage"], response["timings"] = generation.usage(), generation.timings()
    _add_prompt_ids(response, request, prompts)
    return response


async def _stream(answering: Answering) -> AsyncGenerator[Completion, None]:
    request, prompts = answering.request, answering.prompts
    head = _head(answering.loaded)
    if request.include_usage:
        head["usage"] = None
    with answering.generation() as generation:
        waiting: set[int] = set()  # answers whose beginning waits for their prompt to be computed
        for i in range(len(generation.choices)):
            if answering.scores_prompts:
                waiting.add(i)
                continue
            # Also without an echo: who waits for the first chunk learns that the prompts were taken.
            chunk = _completion(head, [answering.first(i)])
            if i == 0:
                _add_prompt_ids(chunk, request, prompts)
            yield chunk
        num_open = len(generation.choices)
        while pieces := await generation.advance():
            for piece in pieces:
                if piece.index in waiting:
                    waiting.discard(piece.index)
                    begun = answering.first(piece.index, generation.choices[piece.index // request.n * request.n])
                    yield _completion(head, [begun])
                num_open -= piece.finish_reason is not None
                has_ids = request.return_token_ids and piece.token_ids
                if not (piece.text or piece.finish_reason or piece.logprobs or has_ids):
                    continue
                made = _choice(piece.index, piece.text, piece.finish_reason)
                made["logprobs"] = answering.logprobs_of(piece) if piece.logprobs else None
                chunk = _completion(head, [made])
                if request.return_token_ids:
                    made["token_ids"] = piece.token_ids
                if num_open == 0 and piece.finish_reason is not None and not request.include_usage:
                    chunk["timings"] = generation.timings()
                yield chunk
        if request.include_usage:
            chunk = _completion(head, [])
            chunk["usage"], chunk["timings"] = generation.usage(), generation.timings()
            yield chunk


def _add_prompt_ids(response: Completion, request: CompletionRequest, prompts: list[list[int]]) -> None:
    """Of a single prompt also where a chat completion has them."""
    if request.return_token_ids and len(prompts) == 1:
        response["prompt_token_ids"] = prompts[0]


def _choice(index: int, text: str, finish_reason: FinishReason | None = None) -> CompletionChoice:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}


def _completion(head: Completion, choices: list[CompletionChoice]) -> Completion:
    completion = head.copy()
    completion["choices"] = choices
    return completion


def _head(loaded: LoadedModel) -> Completion:
    """What all chunks of a stream have."""
    head: Completion = {
        "id": f"cmpl-{secrets.token_hex(12)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": loaded.model_name,
        "choices": [],
    }
    if loaded.fingerprint:
        head["system_fingerprint"] = loaded.fingerprint
    return head
