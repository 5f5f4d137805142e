"""Which rows a step gets: shapes of the program, order, padding, fairness. No device."""

from dataclasses import replace

import pytest

from fanlight.compiler.program import FROM_SLOT, ROW_WORDS, STATE_ROWS, Program, Row, SlotState
from fanlight.engine.kv_cache import KVCache
from fanlight.engine.sampling_params import SamplingParams
from fanlight.engine.scheduler import Scheduler
from fanlight.engine.sequence import Sequence
from fanlight.engine.step_plan import StepPlan
from tests.engine.workload import SHAPES, make_program


def make_scheduler(program: Program, **options) -> Scheduler:
    return Scheduler(program, KVCache(program.num_blocks, program.block_size), **options)


def add(scheduler: Scheduler, length: int, first: int = 0, max_new_tokens: int = 10) -> Sequence:
    prompt = [(first + i) % 50 for i in range(length)]
    sequence = Sequence(prompt, length, SamplingParams(), 0, max_new_tokens, frozenset())
    scheduler.add(sequence)
    return sequence


def rows_of(plan: StepPlan) -> list[Row]:
    return [Row(*words) for words in zip(*[iter(plan.words)] * ROW_WORDS, strict=True)]


def read(plan: StepPlan) -> None:
    for sequence in plan.sampled:
        sequence.num_pending -= 1
        sequence.token_ids.append(1)


def sizes(plan: StepPlan) -> list[int]:
    """Rows per sequence, in row order."""
    counts: dict[int, int] = {}
    for row in rows_of(plan):
        counts[row.slot] = counts.get(row.slot, 0) + 1
    return list(counts.values())


def test_a_prompt_is_cut_to_the_largest_step() -> None:
    scheduler = make_scheduler(make_program(context_length=128))
    add(scheduler, 70)
    plans = [scheduler.schedule() for _ in range(3)]
    assert [(p.num_rows, len(p.samples)) for p in plans] == [(32, 0), (32, 0), (6, 1)]
    assert [r.position for p in plans for r in rows_of(p)] == list(range(70))


@pytest.mark.parametrize("length, steps", [(5, [5]), (9, [8, 1]), (15, [8, 7]), (16, [16]), (31, [31]), (33, [32, 1])])
def test_a_step_is_not_mostly_padding(length: int, steps: list[int]) -> None:
    scheduler = make_scheduler(make_program())
    add(scheduler, length, max_new_tokens=1)
    plans = []
    while plan := scheduler.schedule():
        plans.append(plan)
        read(plan)
    assert [p.num_rows for p in plans] == steps


def test_decoding_and_a_long_prompt_take_turns() -> None:
    """In one step they would be computed by kernels that depend on the company."""
    scheduler = make_scheduler(make_program(context_length=128))
    first = add(scheduler, 2)
    read(scheduler.schedule())
    add(scheduler, 100, first=30)
    plans = []
    for _ in range(8):
        plans.append(scheduler.schedule())
        read(plans[-1])
    assert [(p.is_prefill, p.num_rows) for p in plans] == [(False, 1), (True, 32)] * 3 + [(False, 1), (True, 4)]
    assert all(p.sampled == [first] and rows_of(p)[0].is_output for p in plans[::2])
    assert [s.is_output for p in plans[1::2] for s in rows_of(p)] == [False] * 100


def test_more_sequences_than_rows_decode_in_turn() -> None:
    scheduler = make_scheduler(make_program(max_num_seqs=8, num_blocks=128))
    sequences = [add(scheduler, 2, first=i) for i in range(6)]
    read(scheduler.schedule())
    drawn = []
    for _ in range(4):
        plan = scheduler.schedule()
        assert program_rows(plan) <= 4
        drawn += plan.sampled
        read(plan)
    assert drawn == sequences * 2


def test_what_a_preempted_sequence_had_generated_is_decoded_again() -> None:
    scheduler = make_scheduler(make_program())
    sequence = add(scheduler, 6)
    for _ in range(8):
        read(scheduler.schedule())
    scheduler._preempt(sequence)
    scheduler.kv_cache.__init__(64, 4)  # nothing is cached
    plans = [scheduler.schedule() for _ in range(3)]
    assert [(p.is_prefill, p.num_rows, len(p.samples)) for p in plans] == [(True, 6, 0), (False, 4, 0), (False, 4, 1)]
    assert [r.is_output for p in plans for r in rows_of(p)] == [False] * 6 + [True] * 8


def program_rows(plan: StepPlan) -> int:
    return make_program(max_num_seqs=8).step_for(plan.num_rows, len(plan.samples), plan.is_prefill).rows


def test_the_token_that_is_still_on_the_gpu_comes_from_the_slot() -> None:
    scheduler = make_scheduler(make_program())
    sequence = add(scheduler, 3, max_new_tokens=4)
    plans = [scheduler.schedule() for _ in range(4)]
    assert [[r.token for r in rows_of(p)] for p in plans] == [[0, 1, 2], [FROM_SLOT], [FROM_SLOT], [FROM_SLOT]]
    assert [p.samples[0].counter for p in plans] == [0, 1, 2, 3]
    assert scheduler.schedule() is None  # max_new_tokens were drawn
    assert sequence.num_pending == 4


def test_several_short_prompts_share_a_step() -> None:
    scheduler = make_scheduler(make_program(max_num_seqs=8))
    sequences = [add(scheduler, 6, first=7 * i) for i in range(5)]
    plan = scheduler.schedule()
    assert sizes(plan) == [6] * 5
    assert plan.sampled == sequences and plan.admitted == sequences
    assert [s.row for s in plan.samples] == [5, 11, 17, 23, 29]


@pytest.mark.parametrize("shapes", [SHAPES, ((8, 8), (32, 0)), ((1, 1), (6, 2), (20, 1))])
def test_every_step_fits_a_step_of_the_program(shapes: tuple) -> None:
    program = make_program(shapes=shapes, max_num_seqs=8, context_length=128)
    scheduler = make_scheduler(program)
    sequences = [add(scheduler, 1 + 7 * i % 40, first=i) for i in range(20)]
    while plan := scheduler.schedule():
        program.step_for(plan.num_rows, len(plan.samples), plan.is_prefill)
        slots = [r.slot for r in rows_of(plan)]
        assert slots == [s for s in dict.fromkeys(slots) for _ in range(slots.count(s))]
        read(plan)
        for sequence in plan.sampled:
            if sequence.num_generated_tokens == sequence.max_new_tokens:
                scheduler.finish(sequence, "length")
    assert all(s.finish_reason == "length" for s in sequences)


def test_a_budget_below_the_largest_step() -> None:
    scheduler = make_scheduler(make_program(), max_num_batched_tokens=20)
    add(scheduler, 45)
    assert scheduler.schedule().num_rows == 20


def test_the_youngest_makes_room_for_the_oldest() -> None:
    scheduler = make_scheduler(make_program(num_blocks=7, block_size=4))
    old, young = add(scheduler, 8), add(scheduler, 8, first=20)
    for _ in range(9):  # old: 8 + 9 tokens, 5 blocks
        read(scheduler.schedule())
    assert (old.status, young.status) == ("running", "waiting")
    assert scheduler.num_preemptions == 1 and list(scheduler.waiting) == [young]
    assert young.block_table == [] and young.slot is None and young.num_computed_tokens == 0
    scheduler.finish(old, "stop")
    plan = scheduler.schedule()
    assert plan.sampled == [young]
    # What it generated before is output again; of its first blocks some are still cached.
    assert [r.is_output for r in rows_of(plan)] == [r.position >= 8 for r in rows_of(plan)]
    assert plan.samples[0].counter == young.num_generated_tokens


def test_none_is_admitted_only_to_be_preempted() -> None:
    scheduler = make_scheduler(make_program(num_blocks=4, block_size=4))
    add(scheduler, 12)
    young = add(scheduler, 4, first=20)
    for _ in range(4):
        read(scheduler.schedule())
    assert young.status == "waiting" and scheduler.num_preemptions == 0


def test_a_program_that_cannot_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="step with a sample"):
        make_scheduler(make_program(shapes=((8, 0),)))


def test_with_a_state_parts_of_prompts_end_where_rows_are_taken_together() -> None:
    """So that what is rounded together is the same, whoever else is in a step."""
    made = replace(make_program(context_length=128), slot_states=(SlotState("layer", "state.0", 4),))
    scheduler = make_scheduler(made)
    for length in (13, 70, 9):
        add(scheduler, length, max_new_tokens=1)
    ends: dict[int, list[int]] = {}
    while plan := scheduler.schedule():
        for slot, position in {row.slot: row.position for row in rows_of(plan)}.items():
            ends.setdefault(slot, []).append(position + 1)
        read(plan)
    assert [found[-1] for found in ends.values()] == [13, 70, 9]
    assert all(end % STATE_ROWS == 0 for found in ends.values() for end in found[:-1]) and len(ends[1]) > 2
