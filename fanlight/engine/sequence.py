"""One request's tokens and where it stands.  Plain state: the Scheduler, the KVCache and the Engine change it; a consumer
reads it with `take`.  Knows no text.

Three counts describe progress. `token_ids` are known here. `num_pending` more were drawn by submitted steps and not read
back yet, or fewer: what a grammar forces is known before it is read back, and `due` is what must have been drawn of that.
`num_computed_tokens` have a row in a submitted step, so their keys and values are (or will be, in submit order)
in the KV cache.

A sequence with sinks outlives its context: where that is full, the oldest half of what stands behind the first `num_sinks`
leaves it, and the rest is computed anew, as a prompt is, at the positions that it has then. So attention is exact over what is
kept, and no position lies beyond the context. It costs a prefill of half a context for each half a context of tokens; the
sinks' blocks come from the prefix cache. It is the "sliding window with re-computation" of https://arxiv.org/abs/2309.17453.
"""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from fanlight.compiler.program import Sample, read_logprobs
from fanlight.engine.placed import Placed
from fanlight.engine.sampling_params import SamplingParams
from fanlight.grammar import Matcher

Status = Literal["waiting", "running", "finished"]
FinishReason = Literal["stop", "length", "abort"]


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Of a token in its place, before penalties, temperature and masks; and of the most likely ones there, as asked for."""

    token_id: int
    logprob: float
    rank: int  # 1: the most likely one
    top: tuple[tuple[int, float], ...]  # token id, log-probability


@dataclass(slots=True, eq=False)
class Sequence:
    """Made by `Engine.submit`."""

    token_ids: list[int]  # prompt, then generated
    num_prompt_tokens: int
    params: SamplingParams
    seed: int  # 64 bits
    max_new_tokens: int  # what max_tokens and the context leave
    stop_token_ids: frozenset[int]
    room: int = 2**31 - 1  # generated tokens that the context holds beside the prompt
    images: tuple[Placed, ...] = ()  # what some of the prompt's tokens stand for, in order

    status: Status = "waiting"
    finish_reason: FinishReason | None = None
    stop_token_id: int | None = None  # the id that ended it; it is the last of `generated_token_ids`, but no text
    error: Exception | None = None  # the device failed under it; `Engine.wait` raises it

    matcher: Matcher | None = None  # of its grammar, after the generated tokens that are known here
    grammar_at: int = 0  # while running: where the grammar's tables lie, plus 1

    num_dropped: int = 0  # tokens behind the sinks that have left the context
    num_prefill_tokens: int = 0  # of the context: what steps that compute prompts compute; the prompt, or what was kept

    slot: int | None = None  # while running
    block_table: list[int] = field(default_factory=list)
    num_blocks_written: int = 0  # how much of `block_table` the device knows
    num_blocks_registered: int = 0  # how many of its full blocks the prefix cache has seen
    block_hashes: list[bytes] = field(default_factory=list)  # of its full blocks; a function of the context's tokens
    window_table: list[int] = field(default_factory=list)  # of layers that keep no more than a window: from block
    window_first: int = 0  # on
    num_window_written: int = 0  # up to which block the device knows them
    num_computed_tokens: int = 0  # of the context
    num_reused_tokens: int = 0  # of those: from the prefix cache, when it was last admitted
    num_known_before: int = 0  # tokens whose blocks were there then, with a snapshot behind them or without
    restored_from: int | None = None  # the snapshot that its slot began with
    snapshot: tuple[int, int] | None = None  # after how many tokens it was made, and which, until these tokens are known
    answer_snapshot: bytes | None = None  # the name of its latest one of an answer
    num_pending: int = 0
    due: deque[int] = field(default_factory=deque)  # known tokens, in order, whose draws are to be read back before the pending
    due_at: int = 0  # where in `token_ids` the first of them stands
    num_stale: int = 0  # draws to be read back before those, which no longer count
    logprobs: list[TokenLogprob] = field(default_factory=list)  # of the generated tokens, where asked for
    prompt_logprobs: list[TokenLogprob] = field(default_factory=list)  # of the prompt's after its first, where asked for
    num_scored: int = 0  # prompt tokens whose row asked for the log-probability of the next
    cached_tokens: int | None = None  # prompt tokens that came from the prefix cache; None until first admitted

    arrived: float = field(default_factory=time.perf_counter)  # seconds on the clock of time.perf_counter
    admitted: float | None = None
    first_token: float | None = None
    finished: float | None = None

    num_taken: int = 0
    probes: bool | None = None  # with a logit processor (processing.py): its next pass is for the logits alone; False: it draws
    num_losses: int = 0  # of devices, one after the other, between which it gained nothing
    gained_at_loss: int = -1

    def __post_init__(self) -> None:
        self.num_prefill_tokens = self.num_prompt_tokens

    @property
    def salt(self) -> bytes:
        """What else than tokens its keys and values depend on."""
        return b"" if self.params.loras is None else repr(sorted(self.params.loras.items())).encode()

    # --- the context -------------------------------------------------------------------------------------------------
    @property
    def num_sinks(self) -> int:
        return self.params.num_sinks or 0

    @property
    def num_context_tokens(self) -> int:
        """Tokens known here that the context holds."""
        return len(self.token_ids) - self.num_dropped

    def context_token_ids(self, start: int, stop: int) -> list[int]:
        """What the context holds there; fewer where fewer are known."""
        if not self.num_dropped:
            return self.token_ids[start:stop]
        sinks, dropped = self.num_sinks, self.num_dropped
        return (
            self.token_ids[start : min(stop, sinks)] + self.token_ids[max(start, sinks) + dropped : max(stop, sinks) + dropped]
        )

    def places(self, num_there: int) -> Iterable[int]:
        """Where the context's first tokens, and those that have left it, stand among all of the sequence's."""
        sinks, dropped = self.num_sinks, self.num_dropped
        if not dropped:
            return range(num_there)
        return [*range(min(num_there, sinks)), *range(sinks, max(num_there, sinks) + dropped)]

    @property
    def answer_at(self) -> int:
        """Where in the context its first generated token stands."""
        prompt, sinks = self.num_prompt_tokens, self.num_sinks
        return prompt if prompt <= sinks else max(sinks, prompt - self.num_dropped)

    @property
    def is_full(self) -> bool:
        """Whether no more may be drawn before something leaves the context."""
        return self.num_drawn >= self.room + self.num_dropped

    def shift(self, context_length: int, block_size: int) -> None:
        """Drop what must leave a full context. Nothing may be pending, and no block held."""
        self.num_dropped += num_to_drop(self.num_context_tokens, self.num_sinks, context_length)
        self.num_prefill_tokens = self.num_context_tokens
        del self.block_hashes[self.num_sinks // block_size :]

    # --- known tokens ------------------------------------------------------------------------------------------------
    def append_known(self, token_ids: list[int]) -> None:
        """What comes next whatever is drawn. The first of them may be in flight: no longer pending, but due."""
        in_flight = token_ids[: self.num_pending]
        self.due.extend(in_flight)
        self.due_at = len(self.token_ids)
        self.num_pending -= len(in_flight)
        self.token_ids += token_ids

    def forget_draws(self) -> None:
        """All that is in flight is to be ignored."""
        self.num_stale += len(self.due) + self.num_pending
        self.due.clear()
        self.num_pending = 0

    def forget_flights(self) -> None:
        """Nothing of what is in flight will be read back."""
        self.due.clear()
        self.num_pending = self.num_stale = 0
        self.num_scored = len(self.prompt_logprobs)

    def lose(self) -> int:
        """The device went away under it; how often that happened since it last gained something."""
        gained = self.num_generated_tokens + len(self.prompt_logprobs)
        self.num_losses = self.num_losses + 1 if gained == self.gained_at_loss else 1
        self.gained_at_loss = gained
        if not gained:
            self.cached_tokens = None  # it begins anew
        return self.num_losses

    @property
    def num_sure_tokens(self) -> int:
        """Of the context's tokens those that were certainly computed as they are known here, if they are computed."""
        return (self.due_at if self.due else len(self.token_ids)) - self.num_dropped

    @property
    def num_to_draw(self) -> int:
        """Tokens that may follow those known here."""
        most, room = self.max_new_tokens, self.room + self.num_dropped
        return (most if most < room else room) - len(self.token_ids) + self.num_prompt_tokens

    # --- log-probabilities -------------------------------------------------------------------------------------------
    def add_logprob(self, sample: Sample, token_id: int, words: list[int]) -> None:
        """words: what the device says of the sample."""
        is_prompt = sample.scored is not None
        wanted = self.params.prompt_logprobs if is_prompt else self.params.logprobs
        if wanted is None:
            return
        rank, logprob, top = read_logprobs(words)
        made = TokenLogprob(token_id if sample.scored is None else sample.scored, logprob, rank, tuple(top[:wanted]))
        (self.prompt_logprobs if is_prompt else self.logprobs).append(made)

    # --- counts ------------------------------------------------------------------------------------------------------
    @property
    def prompt_token_ids(self) -> list[int]:
        return self.token_ids[: self.num_prompt_tokens]

    @property
    def generated_token_ids(self) -> list[int]:
        return self.token_ids[self.num_prompt_tokens :]

    @property
    def num_generated_tokens(self) -> int:
        return len(self.token_ids) - self.num_prompt_tokens

    @property
    def num_drawn(self) -> int:
        """Tokens drawn by submitted steps, read back or not."""
        return len(self.token_ids) - self.num_prompt_tokens + self.num_pending

    @property
    def num_uncomputed_tokens(self) -> int:
        """Tokens that still need a row: 1 for a sequence that decodes."""
        return len(self.token_ids) - self.num_dropped + self.num_pending - self.num_computed_tokens

    @property
    def num_to_score(self) -> int:
        """Prompt tokens whose rows are still to ask for the log-probability of the next."""
        return 0 if self.params.prompt_logprobs is None else self.num_prompt_tokens - 1 - self.num_scored

    @property
    def is_finished(self) -> bool:
        return self.status == "finished"

    @property
    def has_news(self) -> bool:
        """Whether `take` would return something, or nothing will ever come."""
        return self.num_taken < self.num_generated_tokens or self.status == "finished"

    def take(self) -> list[int]:
        """The generated token ids that were not taken before."""
        start = self.num_prompt_tokens + self.num_taken
        self.num_taken = self.num_generated_tokens
        return self.token_ids[start:]


def num_to_drop(num_tokens: int, num_sinks: int, context_length: int) -> int:
    """How many of so many tokens leave the context from behind the sinks so that one more has room: by halves of what it holds
    there, so that a prompt that grows finds what it has kept in the prefix cache."""
    half = max(1, (context_length - num_sinks) // 2)
    return -(-max(0, num_tokens + 1 - context_length) // half) * half
