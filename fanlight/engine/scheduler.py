"""Which rows the next step computes.  Knows sequences, blocks, slots and the shapes of a Program's steps; no GPU.

A step either decodes, one row of each of some sequences, or computes prompts: the next part of one, then newly admitted ones
in order of arrival; where there is both to do, the two take turns. So an answer does not depend on what else runs: kernels for
few rows and for many round differently, and a token's row is computed by the same ones in any company. What a preempted
sequence had generated is computed again as it was before, by steps that decode.

A sequence gets blocks for all its tokens when it is admitted, so only decoding can run out of blocks; then the youngest running
sequence gives its blocks back and is computed again later (preempted). The oldest can always go on, and nobody overtakes: every
sequence ends. One that has sinks gives its blocks back when its context is full, and goes on in its place with what is kept.
"""

import time
from bisect import insort_left, insort_right
from collections import deque

from fanlight.compiler.program import FROM_SLOT, STATE_ROWS, Program, Sample, Step, words_of
from fanlight.engine.grammars import Grammars
from fanlight.engine.images import Images
from fanlight.engine.kv_cache import KVCache
from fanlight.engine.sequence import FinishReason, Sequence
from fanlight.engine.sounds import Sounds
from fanlight.engine.step_plan import StepPlan
from fanlight.engine.taken import Taking

MIN_TEMPERATURE = 1e-5  # below, logits / temperature may overflow in f32, and the draw is the greedy one anyway
MIN_TOP_P = 1e-6  # the most likely token is always kept


class Shapes:
    """What the steps of one kind take."""

    def __init__(self, steps: tuple[Step, ...], max_num_batched_tokens: int, max_num_seqs: int) -> None:
        most_samples = max((s.samples for s in steps), default=0)
        if most_samples < 1 or max_num_batched_tokens < 1:
            raise ValueError("a program needs a step with a sample, and a step at least one token")
        self._steps = sorted({(s.rows, s.samples) for s in steps})
        most_samples = min(most_samples, max_num_seqs)  # a record has room for no more
        # [n]: the most rows that a step with n samples takes
        self.max_rows = [
            min(max_num_batched_tokens, max(s.rows for s in steps if s.samples >= n)) for n in range(most_samples + 1)
        ]

    @property
    def most_rows(self) -> int:
        return self.max_rows[1]

    def fits(self, num_rows: int, num_samples: int) -> bool:
        return num_samples < len(self.max_rows) and num_rows <= self.max_rows[num_samples]

    def trim(self, num_rows: int, num_samples: int, size: int) -> int:
        """Where more than half of the step would be padding, rather fill a smaller step and leave the rest for the next."""
        step_rows = next((r for r, s in self._steps if r >= num_rows + size and s > num_samples), 0)
        if 2 * (num_rows + size) >= step_rows:
            return size
        full = [r - num_rows for r, s in self._steps if num_rows < r <= num_rows + size and s >= num_samples]
        return max(full, default=size)


class Scheduler:
    def __init__(self, program: Program, kv_cache: KVCache, max_num_batched_tokens: int | None = None):
        self.kv_cache = kv_cache
        self.grammars = Grammars(program)
        self.images: Taking = Sounds(program) if program.sound_step else Images(program)
        self.waiting: deque[Sequence] = deque()  # in order of arrival
        self.running: list[Sequence] = []  # in order of arrival
        self.num_preemptions = 0
        self.num_cached_tokens = 0
        self._free_slots = list(reversed(range(program.max_num_seqs)))
        most = max_num_batched_tokens or program.max_rows
        self._decode = Shapes(program.decode_steps or program.steps, most, program.max_num_seqs)
        self._prefill = Shapes(program.prefill_steps, most, program.max_num_seqs)
        self.images.max_rows = self._prefill.most_rows
        self._is_recurrent = program.is_recurrent
        self.one_at_a_time = False  # until one ends: who it is under whom devices are lost
        self._was_prefill = True
        self._admitted: list[Sequence] = []  # and not in a plan yet
        self._had_a_row: set[Sequence] = set()  # since all of them had one

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def finish(self, sequence: Sequence, reason: FinishReason) -> None:
        """End the sequence and hand its slot and blocks on. Steps in flight may still write them: they run before any later
        step."""
        if sequence.is_finished:
            return
        if sequence.status == "waiting":
            self.waiting.remove(sequence)
        else:
            self.running.remove(sequence)
            self._leave(sequence)
        self.one_at_a_time = False
        sequence.status = "finished"
        sequence.finish_reason = reason
        sequence.finished = time.perf_counter()

    def schedule(self) -> StepPlan | None:
        """The next step, already entered into the books; None if no sequence can go on now."""
        num_preemptions, plan = self.num_preemptions, StepPlan()
        for is_prefill in (not self._was_prefill, self._was_prefill):
            self._plan_prefill(plan) if is_prefill else self._plan_decode(plan)
            if plan.words:
                plan.is_prefill = self._was_prefill = is_prefill
                plan.admitted, self._admitted = self._admitted, []
                return plan
        # Who was preempted after the prompts had their turn may be admitted again.
        return self.schedule() if self.num_preemptions > num_preemptions else None

    # --- decode ------------------------------------------------------------------------------------------------------
    def _plan_decode(self, plan: StepPlan) -> None:
        """Where a step has no row for each sequence, those that had one wait until all have had one."""
        ready = [s for s in self.running if is_decoding(s)]
        all_fit = self._decode.fits(len(ready), len(ready))
        if all_fit:
            self._had_a_row.clear()
        else:
            ready = [s for s in ready if s not in self._had_a_row] or ready
            self._had_a_row.difference_update(ready)
        spare = max(0, self._decode.most_rows - len(ready))  # for tokens that are known already
        for sequence in ready:
            if not all_fit and not self._decode.fits(plan.num_rows + 1, len(plan.samples) + 1):
                return
            size = self._to_snapshot(sequence, min(sequence.num_uncomputed_tokens, 1 + spare))
            if sequence.status == "running" and self._make_room(plan, sequence, size):
                self._add_rows(plan, sequence, size)
                if not all_fit:
                    self._had_a_row.add(sequence)
                spare -= size - 1

    def _make_room(self, plan: StepPlan, sequence: Sequence, size: int) -> bool:
        """Blocks for the sequence's next tokens, if need be from younger ones that have no row in this step."""
        while not self.kv_cache.grow(sequence, size):
            youngest = self.running[-1]
            if youngest in plan.scheduled:
                return False
            self._preempt(youngest)
            if youngest is sequence:
                return False
        return True

    def _preempt(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self._leave(sequence)
        sequence.status = "waiting"
        insort_left(self.waiting, sequence, key=_arrived)
        self.num_preemptions += 1

    def restart(self, sequence: Sequence) -> None:
        """Compute all of it again. Nothing of it may be in flight, but what no longer counts."""
        if sequence.status == "running":
            self._preempt(sequence)

    def preempt_all(self) -> list[Sequence]:
        """What was in flight is lost: nothing is known of it, nor will be. Whose rows may have been."""
        for sequence in [*self.running, *self.waiting]:
            sequence.forget_flights()
        preempted = [*self.running]
        for sequence in preempted:
            self._preempt(sequence)
        self._had_a_row.clear()
        return preempted

    def shift(self, sequence: Sequence, context_length: int) -> None:
        """Go on in a full context, without its oldest tokens but the sinks. Nothing may be pending."""
        if sequence.status == "running":
            self.running.remove(sequence)
            self._leave(sequence)
            sequence.status = "waiting"
            insort_left(self.waiting, sequence, key=_arrived)
        sequence.shift(context_length, self.kv_cache.block_size)

    def _leave(self, sequence: Sequence) -> None:
        self.kv_cache.release(sequence)
        self.grammars.release(sequence)
        assert sequence.slot is not None
        if sequence in self._admitted:
            self._admitted.remove(sequence)
        self._free_slots.append(sequence.slot)
        sequence.slot = None

    # --- prefill -----------------------------------------------------------------------------------------------------
    def _plan_prefill(self, plan: StepPlan) -> None:
        """At most one prompt is partly computed at any time. So when the next one with the same beginning is admitted, the
        first one's blocks are already in the prefix cache, be it by this very step: a step writes all its keys and values
        before it reads any."""
        for sequence in self.running:
            if sequence.num_computed_tokens < sequence.num_prefill_tokens and not self._add_chunk(plan, sequence):
                return
        while self.waiting and self._free_slots and self._prefill.fits(plan.num_rows + 1, len(plan.samples)):
            if self.one_at_a_time and self.running:
                return
            sequence = self.waiting[0]
            # Its own last tokens are still on their way from the GPU (it was preempted): they are part of what it computes
            # again.
            if sequence.num_pending:
                return
            # A block to spare for each running sequence: admitting into the last blocks would only preempt it again.
            if not self.grammars.admit(sequence):
                return
            if not self.kv_cache.admit(sequence, num_spare=len(self.running)):
                self.grammars.release(sequence)
                return
            self._enter(self.waiting.popleft())
            if not self._add_chunk(plan, sequence):
                return

    def _enter(self, sequence: Sequence) -> None:
        sequence.slot = self._free_slots.pop()
        sequence.status = "running"
        if sequence.cached_tokens is None:
            sequence.cached_tokens = min(sequence.num_computed_tokens, sequence.num_prompt_tokens)
            sequence.admitted = time.perf_counter()
            self.num_cached_tokens += sequence.cached_tokens
        insort_right(self.running, sequence, key=_arrived)
        self._admitted.append(sequence)

    def _add_chunk(self, plan: StepPlan, sequence: Sequence) -> bool:
        """Add as much of the sequence's prompt as the step takes; whether that was all of it."""
        num_rows, num_samples = plan.num_rows, len(plan.samples)
        size = wanted = max(0, sequence.num_prefill_tokens - sequence.num_computed_tokens)
        if sequence.num_to_score:
            size = self._scored_size(num_rows, num_samples, sequence)
        else:
            if not self._prefill.fits(num_rows + wanted, num_samples + 1):
                size = min(self._prefill.max_rows[num_samples] - num_rows, wanted - 1)
            if not self.waiting:
                size = self._prefill.trim(num_rows, num_samples, size)
        if sequence.images:
            size = self.images.fitting(plan, sequence, sequence.num_computed_tokens, size, wanted)
        if not sequence.num_to_score:
            size = self._to_snapshot(sequence, size)
            if self._is_recurrent and 0 < size < wanted:
                size = self._whole(plan, sequence, size)
        if size > 0:
            if not self.kv_cache.move(sequence, size):
                return False
            self._add_rows(plan, sequence, size)
        return size == wanted

    def _scored_size(self, num_rows: int, num_samples: int, sequence: Sequence) -> int:
        """Rows of a prompt that each have a sample; the prompt's last, which draws, comes after them by itself. What was
        preempted is computed again first."""
        start = sequence.num_computed_tokens
        if start < sequence.num_scored:
            return min(self._prefill.max_rows[num_samples] - num_rows, sequence.num_scored - start)
        sizes = range(sequence.num_to_score, 0, -1)
        return next((n for n in sizes if self._prefill.fits(num_rows + n, num_samples + n)), 0)

    def _to_snapshot(self, sequence: Sequence, size: int) -> int:
        """So many tokens or fewer, so that the step ends where a snapshot is wanted."""
        at = self.kv_cache.next_snapshot(sequence)
        return size if at is None else min(size, at - sequence.num_computed_tokens)

    def _whole(self, plan: StepPlan, sequence: Sequence, size: int) -> int:
        """So many tokens or fewer, so that rows which are computed together are the same in any company."""
        over = (sequence.num_computed_tokens + size) % STATE_ROWS
        return size - over if size > over or plan.num_rows else size

    # --- rows --------------------------------------------------------------------------------------------------------
    def _add_rows(self, plan: StepPlan, sequence: Sequence, size: int) -> None:
        """The sequence's next `size` tokens, and a draw if they are its last."""
        start, slot = sequence.num_computed_tokens, sequence.slot
        assert slot is not None
        snapshot_at = self.kv_cache.next_snapshot(sequence)
        tokens = sequence.context_token_ids(start, start + size)
        tokens += [FROM_SLOT] * (size - len(tokens))
        plan.words += words_of(tokens, start, slot, min(size, max(0, start + size - sequence.answer_at)))
        if sequence.images:
            self.images.mark(plan, sequence, start, size)
            self.images.turn(plan, sequence, start, size)
        sequence.num_computed_tokens += size
        self.kv_cache.register(sequence)
        plan.scheduled.append(sequence)
        if sequence.num_computed_tokens == snapshot_at:
            plan.kept.append((sequence, slot))
        if sequence.num_to_score and start == sequence.num_scored:
            first = plan.num_rows - size
            following = sequence.token_ids[start + 1 : start + 1 + size]  # nothing has left the context before the first draw
            plan.samples += [Sample(first + i, slot, scored=token_id) for i, token_id in enumerate(following)]
            plan.sampled += [sequence] * size
            plan.wants_logprobs = True
            sequence.num_scored += size
        elif sequence.num_uncomputed_tokens == 0:
            plan.samples.append(make_sample(sequence, plan.num_rows - 1, slot))
            plan.sampled.append(sequence)
            plan.wants_logprobs = plan.wants_logprobs or sequence.params.logprobs is not None
            sequence.num_pending += 1


def is_decoding(sequence: Sequence) -> bool:
    """Whether its prompt is computed and it has a token that is not, or not drawn, yet."""
    is_prompt_done = sequence.num_computed_tokens >= sequence.num_prefill_tokens
    if sequence.probes is not None and sequence.num_pending:
        return False
    return is_prompt_done and sequence.num_pending < sequence.num_to_draw and sequence.num_uncomputed_tokens > 0


def _arrived(sequence: Sequence) -> float:
    return sequence.arrived


def make_sample(sequence: Sequence, row: int, slot: int) -> Sample:
    params = sequence.params
    if sequence.probes:
        return Sample(row=row, slot=slot)
    return Sample(
        row=row,
        slot=slot,
        temperature=params.temperature if params.temperature >= MIN_TEMPERATURE else 0.0,
        top_k=params.top_k,
        top_p=max(params.top_p, MIN_TOP_P),
        min_p=params.min_p,
        frequency_penalty=params.frequency_penalty,
        presence_penalty=params.presence_penalty,
        repetition_penalty=params.repetition_penalty,
        has_bias=bool(params.logit_bias) or sequence.probes is False,
        seed=sequence.seed,
        counter=sequence.num_drawn,
        grammar=sequence.grammar_at,
        may_end=not params.ignore_eos,
        logprobs_of_draw=params.processed_logprobs,
    )
