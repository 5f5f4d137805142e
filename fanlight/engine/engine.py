"""Tokens in, tokens out.  Knows no HTTP, no text and no JavaScript.

    sequence = engine.submit(prompt_token_ids, SamplingParams(...))
    while not sequence.is_finished:
        await engine.wait([sequence])
        token_ids = sequence.take()

The loop runs inside `wait`: schedule a step, submit it, read the oldest one back. Several steps are in flight, because a
drawn token stays on the GPU and feeds the next step there; what a sequence computed past its stop is discarded when it is
read.

Where the device is lost, all sequences are preempted, and go on with another device as preempted ones do: what it holds is
computed again as it was before, and a draw depends on the seed and its number. So a stream loses time, and no token.
"""

import asyncio
import os
import time
from array import array
from collections import deque
from collections.abc import Awaitable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fanlight.compiler.program import (
    INPUTS,
    LOGPROB_WORDS,
    LORA_SCALES,
    WINDOW_TABLE,
    Program,
    Sample,
    pack_records,
    pack_words,
)
from fanlight.engine.kv_cache import KVCache
from fanlight.engine.pace import Pace
from fanlight.engine.placed import Placed
from fanlight.engine.recovery import MOST_LOSSES, Renew
from fanlight.engine.request import check_request
from fanlight.engine.sampling_params import SamplingParams
from fanlight.engine.saved_state import restore_state, save_state
from fanlight.engine.scheduler import Scheduler
from fanlight.engine.sequence import FinishReason, Sequence
from fanlight.engine.snapshots import Snapshots, bring_back, keep
from fanlight.engine.step_plan import StepPlan, turns_of
from fanlight.engine.window_blocks import WindowBlocks
from fanlight.errors import DeviceLost, EngineBusy, EngineClosed, FanlightError, UnsupportedModel
from fanlight.runtime.device import MAX_IN_FLIGHT, Device

WORD = 4  # bytes of a u32 and of an f32
IN_PROMPT = 0x8000_0000  # in token_counts (kernels/embed.py)


@dataclass(slots=True)
class _Flight:
    """What was submitted together and not read back: one step, or some that each continue the one before."""

    ticket: int
    plans: list[StepPlan]
    with_logprobs: bool = False
    reading: Awaitable[list[int]] | None = None


_Result = tuple[Sequence, Sample, int, list[int] | None]  # the token that was drawn; the words of its log-probabilities


MAX_WAITING = 1024  # sequences that are queued beside those that run


@dataclass(frozen=True, slots=True)
class EngineStats:
    """How the engine stands, and what it did so far."""

    num_running: int
    num_waiting: int
    num_free_blocks: int
    num_steps: int
    num_rows: int
    num_generated_tokens: int
    num_cached_tokens: int
    num_preemptions: int


class Engine:
    """Owns the device from here on; the device has prepared the program and loaded its weights."""

    def __init__(
        self,
        program: Program,
        device: Device,
        *,
        eos_token_ids: Iterable[int] = (),
        max_num_batched_tokens: int | None = None,
        use_prefix_cache: bool = True,
        num_in_flight: int = MAX_IN_FLIGHT,
        max_waiting: int = MAX_WAITING,
    ):
        if not 1 <= num_in_flight <= MAX_IN_FLIGHT:
            raise ValueError(f"num_in_flight must be between 1 and {MAX_IN_FLIGHT}, got {num_in_flight}")
        if missing := {name for step in program.steps for name in step.inputs}.difference(INPUTS):
            raise UnsupportedModel(f"steps read {', '.join(sorted(missing))}, and get {', '.join(INPUTS)}", where=program.name)
        self.program = program
        self.eos_token_ids = frozenset(eos_token_ids)
        use_prefix_cache = use_prefix_cache and (not program.is_recurrent or program.num_snapshots > 0)
        snapshots = Snapshots(program.num_snapshots) if use_prefix_cache and program.is_recurrent else None
        window = WindowBlocks(program.num_window_blocks, program.block_size, program.window) if program.window else None
        self.kv_cache = KVCache(program.num_blocks, program.block_size, use_prefix_cache, snapshots, window)
        self.scheduler = Scheduler(program, self.kv_cache, max_num_batched_tokens)
        self.grammars = self.scheduler.grammars
        self.max_waiting = max_waiting
        # One sequence alone must fit: then preempting the others always lets the oldest go on.
        self.context_length = min(program.context_length, program.num_blocks * program.block_size)
        self.renew: Renew | None = None
        self._device = device
        self._lost: DeviceLost | None = None  # as long as there is no other device
        self._num_in_flight = num_in_flight
        self._flights: deque[_Flight] = deque()
        self._results: deque[_Result] = deque()  # read back, and not entered
        self._stretch: tuple[Sequence, bytes] | None = None  # what a sequence must go on with; before any other result
        self._pace = Pace()
        self._turn = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: Exception | None = None
        self._is_closed = False
        self._num_steps = self._num_rows = self._num_generated_tokens = 0

    # --- requests ----------------------------------------------------------------------------------------------------
    def submit(
        self,
        prompt_token_ids: Iterable[int],
        params: SamplingParams,
        answered: Iterable[int] = (),
        images: tuple[Placed, ...] = (),
    ) -> Sequence:
        """Queue a request. It advances while anyone waits. answered: what the answer begins with, as its grammar sees it: the
        prompt's last tokens, of which some may have left the context. images: in order. Raises RequestError or EngineBusy."""
        self._check_usable()
        token_ids = list(prompt_token_ids)
        check_request(self.program, self.grammars, self.context_length, token_ids, params)
        self.scheduler.images.check(images, len(token_ids), params.num_sinks is not None)
        if len(self.scheduler.waiting) >= self.max_waiting:
            raise EngineBusy(f"{self.max_waiting} sequences are waiting, no more may", hint="ask again later")
        room = self.context_length - len(token_ids)
        seed = int.from_bytes(os.urandom(8), "little") if params.seed is None else params.seed
        most = params.max_tokens or self.context_length
        if params.num_sinks is None:
            most = min(most, room)
        forced = list(params.forced_token_ids[: max(0, min(most, room) - 1)])  # the last token is always drawn
        sequence = Sequence(
            token_ids=token_ids + forced,
            num_prompt_tokens=len(token_ids),
            params=params,
            seed=seed & (2**64 - 1),
            max_new_tokens=most,
            stop_token_ids=frozenset(params.stop_token_ids) | (frozenset() if params.ignore_eos else self._ends(params)),
            room=room,
            images=images,
            matcher=self.grammars.matcher(params.grammar, [*answered, *forced]),
        )
        self._num_generated_tokens += len(forced)
        self.scheduler.add(sequence)
        return sequence

    def finish(self, sequence: Sequence, reason: FinishReason) -> None:
        """End a sequence from above, as where a stop string was found; nothing happens if it has already ended."""
        self.scheduler.finish(sequence, reason)

    def abort(self, sequence: Sequence) -> None:
        self.finish(sequence, "abort")

    def start(self) -> None:
        """Queue steps for what was submitted, before anyone waits."""
        self._check_usable()
        with self._ending_all(), self._keeping_on():
            if self._lost is None:
                self._fill()

    async def wait(self, sequences: Collection[Sequence]) -> None:
        """Return when one of the sequences has unread tokens or is finished. Raises what failed the device, or EngineClosed."""
        while True:
            self._check_usable(sequences)
            if not sequences or any(s.has_news for s in sequences):
                return
            async with self._my_turn():
                # Others had their turns meanwhile, and the tokens may be here.
                if not self._is_closed and not any(s.has_news for s in sequences):
                    await self._advance()
            # Who waits long, being queued or in a long prompt, lets those read whom its steps served: natively nothing above
            # need suspend.
            if not any(s.has_news for s in sequences):
                await asyncio.sleep(0)

    def _my_turn(self) -> asyncio.Lock:
        """Of this event loop: a lock is of the loop in which it was first waited for."""
        if (loop := asyncio._get_running_loop()) is not self._loop:
            self._loop, self._turn = loop, asyncio.Lock()
        return self._turn

    def close(self) -> None:
        """Abort what is unfinished and close the device. Safe to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        self._end_all(None)
        self._flights.clear()
        self._device.close()  # ends what waits for it

    async def save_state(self, token_ids: list[int], made_with: str) -> tuple[int, list[bytes]]:
        """What is computed of these tokens' beginning: how many, and the parts of a file (engine/saved_state.py)."""
        self._check_usable()
        try:
            return await save_state(self.program, self.kv_cache, self._device, token_ids, made_with)
        except DeviceLost as lost:
            self._lost = lost  # the next answer brings another device
            raise

    def restore_state(self, data: bytes, made_with: str) -> list[int]:
        """The tokens that need not be computed now. Raises FormatError or DoesNotFit."""
        self._check_usable()
        return restore_state(self.program, self.kv_cache, self._device, data, made_with)

    def stats(self) -> EngineStats:
        return EngineStats(
            num_running=len(self.scheduler.running),
            num_waiting=len(self.scheduler.waiting),
            num_free_blocks=self.kv_cache.num_free_blocks,
            num_steps=self._num_steps,
            num_rows=self._num_rows,
            num_generated_tokens=self._num_generated_tokens,
            num_cached_tokens=self.scheduler.num_cached_tokens,
            num_preemptions=self.scheduler.num_preemptions,
        )

    def _ends(self, params: SamplingParams) -> frozenset[int]:
        return self.eos_token_ids | (self.grammars.vocabulary.ends if params.grammar else frozenset())

    def _check_usable(self, sequences: Iterable[Sequence] | None = None) -> None:
        """What finished before the device failed can still be read; all else raises, and what failed alone does alone."""
        if self._is_closed:
            raise EngineClosed("the engine is closed", hint="load the model again")
        error = self._error if sequences is None else next((s.error for s in sequences if s.error), None)
        if error is not None:
            raise error

    # --- the loop ----------------------------------------------------------------------------------------------------
    async def _advance(self) -> None:
        """Fill the pipeline, read its oldest step and enter what it drew; or find another device."""
        with self._ending_all(), self._keeping_on():
            if self._lost is not None:
                return await self._recover(self._lost)
            if self._results or self._stretch:  # left by a waiter that was cancelled
                return await self._enter()
            self._fill()
            if not self._flights:
                raise RuntimeError("waiting for a sequence that this engine does not have")
            flight = self._flights[0]
            # Kept with the flight, and popped only once it is here: a waiter that is cancelled leaves the step to the next one.
            flight.reading = flight.reading or self._device.result(flight.ticket)
            found = await flight.reading
            self._check_open()
            self._flights.popleft()
            self._pace.finished(flight.plans[0].num_rows, not self._flights, len(flight.plans))
            self._read(flight, found)
            await self._enter()

    async def _recover(self, lost: DeviceLost) -> None:
        """Go on with another device. May be cancelled, and begun again. Raises DeviceLost where there is none to be had; a
        sequence under which devices are lost time and again ends with what was lost, the others go on."""
        self._flights.clear()
        self._results.clear()
        for sequence in self.scheduler.preempt_all():
            if sequence.lose() > MOST_LOSSES:
                sequence.error = lost
                self.finish(sequence, "abort")
            elif sequence.num_losses > 1:
                self.scheduler.one_at_a_time = True
        self.kv_cache.forget()
        self.grammars.forget()
        self.scheduler.images.forget()
        self._pace = Pace()
        if self.renew is None:
            raise lost
        if not self.scheduler.waiting:
            return  # the next sequence will need one
        device = await self.renew(self._device)
        if self._is_closed:
            device.close()
        self._check_open()
        self._device, self._lost = device, None

    def _read(self, flight: _Flight, found: list[int]) -> None:
        """found: Device.result."""
        num_seqs = self.program.max_num_seqs
        logprobs_at = len(flight.plans) * num_seqs
        for i, plan in enumerate(flight.plans):
            for at, (sequence, sample) in enumerate(zip(plan.sampled, plan.samples, strict=True), i * num_seqs):
                words = found[logprobs_at + at * LOGPROB_WORDS :][:LOGPROB_WORDS] if flight.with_logprobs else None
                self._results.append((sequence, sample, found[at], words))

    async def _enter(self) -> None:
        """Enter what was read back. What a grammar then forces comes before the next result, which may be of the same sequence.
        Waits only where a page's tokenizer has not cut such a text before."""
        while self._results or self._stretch:
            if self._stretch is not None:
                sequence, text = self._stretch
                try:
                    known = await self.grammars.known(text)
                except FanlightError as error:
                    sequence.error, known = error, []
                    self.finish(sequence, "abort")
                self._stretch = None
                self._check_open()
                self._append_known(sequence, known)
                continue
            sequence, sample, token_id, logprob_words = self._results.popleft()
            if logprob_words is not None and not sequence.is_finished:
                sequence.add_logprob(sample, token_id, logprob_words)
            if sample.scored is None:
                self._accept(sequence, token_id)

    def _check_open(self) -> None:
        if self._is_closed:
            raise EngineClosed("the engine was closed while it was used")

    @contextmanager
    def _keeping_on(self) -> Iterator[None]:
        """A device that is lost in here is replaced by who waits next; a loss while that is done is one too many."""
        is_recovering = self._lost is not None
        try:
            yield
        except DeviceLost as lost:
            if is_recovering or self.renew is None:
                raise
            self._lost = lost

    @contextmanager
    def _ending_all(self) -> Iterator[None]:
        """What fails in here has failed the device, and every sequence with it. Where another device can be had, though not
        now, the next sequence asks for it again."""
        try:
            yield
        except EngineClosed:
            raise
        except Exception as error:
            self._error = None if self._lost and self.renew else error
            self._end_all(error)
            raise

    def _fill(self) -> None:
        """Queue steps for as long as the pace has room for all that go together."""
        together = self._pace.together(self._num_in_flight)
        room = self._pace.depth(self._num_in_flight) - sum(len(flight.plans) for flight in self._flights)
        plans: list[StepPlan] = []
        while room >= together - len(plans) and (plan := self.scheduler.schedule()) is not None:
            if plans and not plan.continues(plans[-1]):
                self._submit(plans)
                plans = []
            self._write_slots(plan)
            plans.append(plan)
            room -= 1
            if len(plans) == together or plan.kept:
                self._submit(plans)
                plans = []
        if plans:
            self._submit(plans)

    def _submit(self, plans: list[StepPlan]) -> None:
        step = self.program.step_for(plans[0].num_rows, len(plans[0].samples), plans[0].is_prefill)
        records = [pack_words(plan.words, plan.samples, self.program.max_num_seqs, turns_of(plan)) for plan in plans]
        for plan in plans:
            self.scheduler.images.take_in(plan, self._device)
        with_logprobs = any(plan.wants_logprobs for plan in plans)
        ticket = self._device.submit(step.name, pack_records(records), len(plans), with_logprobs)
        self._flights.append(_Flight(ticket, plans, with_logprobs))
        self._num_steps += len(plans)
        self._num_rows += sum(plan.num_rows for plan in plans)
        for sequence, slot in plans[-1].kept:
            if (place := self.kv_cache.take_snapshot(sequence)) is not None:
                self._device.copy(keep(self.program, slot, place))

    def _write_slots(self, plan: StepPlan) -> None:
        for sequence in plan.admitted:
            self._set_up_slot(sequence)
        for sequence in plan.scheduled:
            self._write_block_tables(sequence)

    def _set_up_slot(self, sequence: Sequence) -> None:
        """What the GPU keeps by slot still describes the sequence that had the slot before."""
        assert sequence.slot is not None
        row_bytes = self.program.vocab_size * WORD
        if sequence.restored_from is not None:
            self._device.copy(bring_back(self.program, sequence.restored_from, sequence.slot))
        # Every row is counted, whoever has the slot; the counts matter, and must start at zero, only where penalties read them.
        if sequence.params.uses_penalties:
            self._write_counts(sequence, sequence.num_reused_tokens)
        self.grammars.write(sequence, self._device)
        if names := self.program.loras:
            wanted = dict.fromkeys(names, 1.0) if sequence.params.loras is None else sequence.params.loras
            scales = array("f", [wanted.get(name, 0.0) for name in names])
            self._device.write(LORA_SCALES, sequence.slot * len(scales) * WORD, scales.tobytes())
        if sequence.params.logit_bias:
            biases = array("f", bytes(row_bytes))
            for token_id, bias in sequence.params.logit_bias.items():
                biases[token_id] = bias
            self._device.write("logit_bias", sequence.slot * row_bytes, biases.tobytes())

    def _write_counts(self, sequence: Sequence, num_there: int) -> None:
        """Of the context's first tokens, whose keys and values are there already, and of those that have left it; the GPU
        counts what it computes."""
        assert sequence.slot is not None
        row_bytes = self.program.vocab_size * WORD
        offset = sequence.slot * row_bytes
        if not num_there + sequence.num_dropped:
            return self._device.clear("token_counts", offset, row_bytes)
        counts = array("I", bytes(row_bytes))
        for place in sequence.places(num_there):
            token_id = sequence.token_ids[place]
            counts[token_id] = counts[token_id] + 1 if place >= sequence.num_prompt_tokens else counts[token_id] | IN_PROMPT
        self._device.write("token_counts", offset, counts.tobytes())

    def _write_block_tables(self, sequence: Sequence) -> None:
        whole, (seen, first) = sequence.block_table, (sequence.window_table, sequence.window_first)
        sequence.num_blocks_written = self._write_table("block_table", sequence, whole, 0, sequence.num_blocks_written)
        start = max(sequence.num_window_written, first)
        sequence.num_window_written = self._write_table(WINDOW_TABLE, sequence, seen, first, start)

    def _write_table(self, table: str, sequence: Sequence, blocks: list[int], first: int, start: int) -> int:
        """blocks: from `first` on, of which the device knows those before `start`. Returns before which it knows them now."""
        end = first + len(blocks)
        if start < end:
            assert sequence.slot is not None
            offset = (sequence.slot * self.program.max_blocks_per_seq + start) * WORD
            self._device.write(table, offset, array("I", blocks[start - first :]).tobytes())
        return end

    def _accept(self, sequence: Sequence, token_id: int) -> None:
        """Enter one drawn token into its sequence, and see whether it is the last."""
        if sequence.num_stale:
            sequence.num_stale -= 1
            return
        if sequence.due:
            return self._compare(sequence, token_id)
        sequence.num_pending -= 1
        if sequence.is_finished:
            return
        if sequence.matcher is not None and (error := self.grammars.follow(sequence, token_id)):
            sequence.error = error
            return self.finish(sequence, "abort")
        sequence.token_ids.append(token_id)
        self._num_generated_tokens += 1
        if sequence.first_token is None:
            sequence.first_token = time.perf_counter()
        if token_id in sequence.stop_token_ids:
            sequence.stop_token_id = token_id
            self.finish(sequence, "stop")
        elif sequence.matcher and sequence.matcher.is_over:
            self.finish(sequence, "stop")
        elif len(sequence.token_ids) - sequence.num_prompt_tokens >= sequence.max_new_tokens:
            self.finish(sequence, "length")
        elif not sequence.num_pending and sequence.is_full:
            self.scheduler.shift(sequence, self.context_length)
        else:
            self.kv_cache.register(sequence)
            if sequence.matcher is not None and (text := self.grammars.stretch(sequence)):
                self._stretch = sequence, text

    def _append_known(self, sequence: Sequence, token_ids: list[int]) -> None:
        """Go on with tokens that need no draw: steps that decode compute several of them at a time. Steps in flight draw the
        first ones all the same, and mostly as they are known."""
        if sequence.is_finished or not (known := self.grammars.take(sequence, token_ids)):
            return
        sequence.append_known(known)
        self._num_generated_tokens += len(known)
        if not sequence.num_pending:
            self.grammars.write_state(sequence, self._device)

    def _compare(self, sequence: Sequence, token_id: int) -> None:
        """Where a step has drawn another token than the known one, what was computed from there on is computed again."""
        if token_id == sequence.due[0]:
            sequence.due.popleft()
            sequence.due_at += 1
            return self.kv_cache.register(sequence)
        sequence.num_computed_tokens = min(sequence.num_computed_tokens, sequence.num_sure_tokens)
        sequence.due.popleft()
        sequence.forget_draws()
        if self.program.is_recurrent:  # from the last snapshot on: its state is beyond
            return self.scheduler.restart(sequence)
        self.grammars.write_state(sequence, self._device)
        if sequence.slot is not None and sequence.params.uses_penalties:
            self._write_counts(sequence, sequence.num_computed_tokens)

    def _end_all(self, error: Exception | None) -> None:
        for sequence in [*self.scheduler.running, *self.scheduler.waiting]:
            sequence.error = error
            self.finish(sequence, "abort")
