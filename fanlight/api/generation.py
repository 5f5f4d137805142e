"""From prompts to text: submits sequences, turns their tokens into text, finds stop strings, measures.

Knows the token engine and the tokenizer; knows no JSON. A Generation is a context manager: leaving it, however that happens,
aborts what has not finished.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Sequence as Seq
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from fanlight.api import types
from fanlight.api.overflow import cut
from fanlight.api.placing import Placing
from fanlight.api.types import Timings, Usage, UsageExtra
from fanlight.engine.placed import Placed
from fanlight.engine.sampling_params import SamplingParams
from fanlight.engine.sequence import FinishReason, Sequence, TokenLogprob
from fanlight.errors import ContextOverflow
from fanlight.text.chat_template import ChatTemplate
from fanlight.text.stop import StopStrings
from fanlight.text.tokenizer import IncrementalDetokenizer, Tokenizer


class TokenEngine(Protocol):
    """What is used of `fanlight.engine.engine.Engine`."""

    context_length: int

    def submit(
        self,
        prompt_token_ids: Seq[int],
        params: SamplingParams,
        answered: Seq[int] = (),
        images: tuple[Placed, ...] = (),
    ) -> Sequence: ...
    def finish(self, sequence: Sequence, reason: FinishReason) -> None: ...
    def abort(self, sequence: Sequence) -> None: ...
    def start(self) -> None: ...
    async def wait(self, sequences: Seq[Sequence]) -> None: ...
    def close(self) -> None: ...


# Of this request: a seed, where another engine may have to give the same answer once more, in the same pieces.
AGAIN: ContextVar[int | None] = ContextVar("again", default=None)


async def let_others_run() -> None:
    await asyncio.sleep(0)


async def no_pause() -> None:
    """In a page, where each turn of the event loop costs a message, and a step suspends anyway."""


def not_counted(sequence: Sequence) -> None:
    """For who keeps no statistics."""


def nothing_else() -> None:
    """For who has nothing else to close."""


@dataclass(slots=True)
class LoadedModel:
    """A loaded model, ready for requests. `pause` is awaited between steps, and lets other requests run: natively a step may
    block."""

    engine: TokenEngine
    tokenizer: Tokenizer
    template: ChatTemplate | None
    model_name: str
    created: int = field(default_factory=lambda: int(time.time()))
    pause: Callable[[], Awaitable[None]] = let_others_run
    on_end: Callable[[Sequence], None] = not_counted  # gets each sequence that is finished, or was ended
    fingerprint: str | None = None  # of what decides what a seed draws
    on_close: Callable[[], None] = nothing_else  # called after the engine is closed; may be called twice
    is_strict: bool = False  # whether a request that names another model is refused
    defaults: Mapping[str, float] = field(default_factory=dict)  # of SamplingParams, for what a request leaves out
    placing: Placing | None = None  # of a model that sees, or hears
    context_overflow: str = "error"  # what becomes of conversations that are too long, where a request says nothing
    info: dict[str, Any] = field(default_factory=dict)  # for people and pages: what is loaded, on what

    @property
    def loras(self) -> tuple[str, ...]:
        """Names of those that came with it."""
        return tuple(self.info.get("loras", ()))

    def close(self) -> None:
        self.engine.close()
        self.on_close()


def check_length(loaded: LoadedModel, text: str, param: str) -> None:
    """Before a text is encoded, which takes seconds for megabytes. Refuses none that fits: a token has so many bytes at
    most."""
    room = loaded.engine.context_length
    if len(text) > FEW_CHARACTERS * room and (least := loaded.tokenizer.least_tokens(text)) >= room:
        raise ContextOverflow(
            f"the prompt has {least} tokens at least; the context of {room} has no room for an answer",
            hint="shorten the prompt, or load the model with a larger context length",
            param=param,
        )


FEW_CHARACTERS = 16  # per token of the context: so many are encoded without further ado


def check_fits(loaded: LoadedModel, prompt: list[int], param: str, room: int = 0) -> None:
    """Before the first chunk, so that it can still be an error of the request. room: tokens that an answer needs."""
    context = loaded.engine.context_length
    if len(prompt) + max(room, 1) > context:
        raise ContextOverflow(
            f"the prompt has {len(prompt)} tokens; the context of {context} has no room for an answer"
            + (f" of {room}" if room else ""),
            hint="shorten the prompt, or load the model with a larger context length",
            param=param,
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """What one choice gained."""

    index: int
    text: str
    token_ids: list[int]
    finish_reason: types.FinishReason | None
    logprobs: list[TokenLogprob] = field(default_factory=list)  # of what is text, where asked for


@dataclass(slots=True)
class Choice:
    """One answer in the making."""

    index: int
    sequence: Sequence
    detokenizer: IncrementalDetokenizer
    stops: StopStrings
    num_tokens: int = 0
    finish_reason: FinishReason | None = None
    pause_at: int | None = None  # after so many tokens, whoever reads the pieces decides whether they go on
    taken: list[int] = field(default_factory=list)  # from the sequence, and not read
    first: Sequence | None = None  # whose answer `sequence` goes on with
    num_read: int = 0  # tokens of `sequence`
    is_prompt_only: bool = False  # what is drawn is for nobody
    is_one_by_one: bool = False  # a piece is one token, however fast they come

    @property
    def first_sequence(self) -> Sequence:
        return self.first or self.sequence

    @property
    def has_news(self) -> bool:
        return bool(self.taken) or self.sequence.has_news

    def read(self, engine: TokenEngine) -> Piece:
        """The sequence's news as text. A token that ends the sequence is counted and listed, but is no text."""
        self.taken += self.sequence.take()
        if self.is_prompt_only:
            engine.finish(self.sequence, "length")
            self.taken, self.finish_reason = [], "length"
            return Piece(self.index, "", [], "length")
        most = len(self.taken) if self.pause_at is None or self.num_tokens >= self.pause_at else self.pause_at - self.num_tokens
        most = min(most, 1) if self.is_one_by_one else most
        text, token_ids = "", []
        news, self.taken = self.taken[:most], self.taken[most:]
        for token_id in news:
            token_ids.append(token_id)
            is_end = token_id == self.sequence.stop_token_id
            text += "" if is_end else self.stops.feed(self.detokenizer.feed([token_id]))
            if self.stops.matched is not None:
                engine.finish(self.sequence, "stop")
                break
        self.num_tokens += len(token_ids)
        logprobs = self.sequence.logprobs[self.num_read :][: len(token_ids)]
        self.num_read += len(token_ids)
        if token_ids and token_ids[-1] == self.sequence.stop_token_id:
            logprobs = logprobs[:-1]
        if self.stops.matched is not None:
            self.finish_reason = "stop"
        elif self.sequence.finish_reason is not None and not self.taken:
            text += self.stops.feed(self.detokenizer.flush()) + self.stops.flush()
            self.finish_reason = self.sequence.finish_reason
        return Piece(self.index, text, token_ids, self.finish_reason, logprobs)


class Generation:
    """`n` choices for each prompt, numbered prompt by prompt."""

    def __init__(
        self,
        loaded: LoadedModel,
        prompts: Seq[list[int]],
        params: SamplingParams,
        *,
        n: int = 1,
        stops: Seq[str] = (),
        is_continuation: bool = False,
        visible_ids: frozenset[int] = frozenset(),
        no_stop_ids: frozenset[int] = frozenset(),
        is_prompt_only: bool = False,
        grammar_init_s: float | None = None,
        images: tuple[Placed, ...] = (),
    ) -> None:
        self._loaded = loaded
        self._prompts = prompts
        again = AGAIN.get()
        if again is not None and params.seed is None:
            params = replace(params, seed=again)
        self._is_one_by_one = again is not None
        self._params = params if params.ignore_eos else _with_stops(params, loaded.tokenizer.stop_token_ids - no_stop_ids)
        self._n = n
        self._stops = stops
        self._is_continuation = is_continuation
        self._visible_ids = visible_ids
        self._is_prompt_only = is_prompt_only
        self._images = images  # of every prompt
        self._grammar_init_s = grammar_init_s  # of an answer that obeys one: what this request waited for its automaton
        self._started = time.perf_counter()
        self.choices: list[Choice] = []

    def __enter__(self) -> "Generation":
        try:
            for prompt in self._prompts:
                for i in range(self._n):
                    self.choices.append(self._submit(prompt, i))
            self._loaded.engine.start()
        except BaseException:
            self._abort()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._abort()
        for choice in self.choices:
            self._loaded.on_end(choice.sequence)

    def _submit(self, prompt: list[int], number: int) -> Choice:
        params = self._params
        if number:  # the prompt is the first one's, and was scored for it
            params = replace(params, prompt_logprobs=None)
            params = params if params.seed is None else replace(params, seed=_wrapped(params.seed + number))
        tokenizer = self._loaded.tokenizer
        sequence = self._loaded.engine.submit(prompt, params, images=self._images)
        has_grammar = params.grammar is not None  # then the text is what its bytes say: the first space, and marks
        detokenizer = IncrementalDetokenizer(
            tokenizer,
            is_continuation=self._is_continuation or has_grammar,
            visible_ids=self._visible_ids | (tokenizer.mark_ids if has_grammar else frozenset()),
        )
        stops, index = StopStrings(self._stops), len(self.choices)
        return Choice(
            index,
            sequence,
            detokenizer,
            stops,
            is_prompt_only=self._is_prompt_only,
            is_one_by_one=self._is_one_by_one,
        )

    def _abort(self) -> None:
        for choice in self.choices:
            if not choice.sequence.is_finished:
                self._loaded.engine.abort(choice.sequence)

    async def advance(self) -> list[Piece]:
        """The next pieces, at most one per choice; empty when every choice has finished."""
        unfinished = [c for c in self.choices if c.finish_reason is None]
        if not unfinished:
            return []
        if not any(c.taken for c in unfinished):
            await self._loaded.engine.wait([c.sequence for c in unfinished])
        await self._loaded.pause()
        return [c.read(self._loaded.engine) for c in unfinished if c.has_news]

    def stop(self, index: int) -> None:
        """The choice's answer is whole with what was read."""
        choice = self.choices[index]
        if not choice.sequence.is_finished:
            self._loaded.engine.finish(choice.sequence, "stop")
        choice.taken, choice.finish_reason = [], "stop"

    def insert(self, index: int, token_ids: list[int]) -> Piece:
        """Goes on behind what was read of a choice and these tokens, as if the model had written them. Once for a choice."""
        choice = self.choices[index]
        old = choice.first = choice.sequence
        if not old.is_finished:
            self._loaded.engine.abort(old)
        most, context = self._params.max_tokens, self._loaded.engine.context_length
        prompt = old.token_ids[: old.num_prompt_tokens + choice.num_tokens] + token_ids
        answered = prompt[old.num_prompt_tokens :]
        if old.params.num_sinks is not None:
            prompt = cut(prompt, old.params.num_sinks, context)
        token_ids = token_ids[: None if most is None else most - choice.num_tokens]
        choice.taken, choice.num_read, choice.num_tokens = [], 0, choice.num_tokens + len(token_ids)
        text = choice.stops.feed(choice.detokenizer.feed(token_ids))
        if choice.num_tokens == most or len(prompt) >= context:
            choice.finish_reason = "length"
            text += choice.stops.flush()
        else:
            left = None if most is None else most - choice.num_tokens
            params = replace(old.params, max_tokens=left, prompt_logprobs=None, forced_token_ids=())
            choice.sequence = self._loaded.engine.submit(prompt, params, answered, old.images)
            self._loaded.engine.start()
        return Piece(index, text, token_ids, choice.finish_reason)

    def usage(self) -> Usage:
        """A prompt counts once, however many choices it has."""
        firsts = [c.first_sequence for c in self.choices[:: self._n]]
        prompt_tokens = sum(s.num_prompt_tokens for s in firsts)
        completion_tokens = sum(c.num_tokens for c in self.choices)
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": sum(s.cached_tokens or 0 for s in firsts)},
            "extra": self._extra(),
        }

    def _extra(self) -> UsageExtra:
        timings, seconds = self.timings(), time.perf_counter() - self._started
        found: UsageExtra = {"e2e_latency_s": round(seconds, 6)}
        if (ms := timings["ttft_ms"]) is not None:
            found["time_to_first_token_s"] = round(ms / 1000, 6)
        if (rate := timings["prefill_tps"]) is not None:
            found["prefill_tokens_per_s"] = rate
        if rate := timings["decode_tps"]:
            found["decode_tokens_per_s"] = rate
            found["time_per_output_token_s"] = round(1 / rate, 6)
        if self._grammar_init_s is not None:
            found["grammar_init_s"] = round(self._grammar_init_s, 6)
        return found

    def timings(self) -> Timings:
        sequences = [c.first_sequence for c in self.choices]
        firsts = [s.first_token for s in sequences if s.first_token is not None]
        admitted = [s.admitted for s in sequences if s.admitted is not None]
        finished = [c.sequence.finished for c in self.choices if c.sequence.finished is not None]
        if not (firsts and admitted and finished):
            return {"ttft_ms": None, "prefill_tps": None, "decode_tps": None}
        prefilled = sum(s.num_prompt_tokens - (s.cached_tokens or 0) for s in sequences)
        decoded = sum(c.num_tokens for c in self.choices) - len(self.choices)
        return {
            "ttft_ms": round((min(firsts) - self._started) * 1000, 3),
            "prefill_tps": _rate(prefilled, max(firsts) - min(admitted)),
            "decode_tps": _rate(decoded, max(finished) - min(firsts)),
        }


def _with_stops(params: SamplingParams, token_ids: frozenset[int]) -> SamplingParams:
    return replace(params, stop_token_ids=params.stop_token_ids | token_ids)


def _rate(count: int, seconds: float) -> float | None:
    return round(count / seconds, 2) if count > 0 and seconds > 0 else None


def _wrapped(seed: int) -> int:
    """Within what a seed may be."""
    return (seed + 2**63) % 2**64 - 2**63
