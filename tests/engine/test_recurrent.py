"""Models whose slots carry a state from token to token: it is that of the tokens before, whatever steps compute them,
and whoever had the slot before or went beyond a stop there."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fanlight
from fanlight.compiler.program import Program, Row, SlotState
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.engine.grammars import Vocabulary
from fanlight.engine.scheduler import Scheduler
from fanlight.errors import RequestError
from fanlight.runtime.device import MAX_IN_FLIGHT
from fanlight.runtime.null import NullDevice
from scripts.golden import tiny_architectures
from tests.engine.test_stretches import ENDS, TEXTS, check_answers, cut, program, requests
from tests.engine.workload import check, make_engine
from tests.models.records import Record, read_record


# --- what the engine asks of a device --------------------------------------------------------------------------------
class Forward(NullDevice):
    """Raises where a row of a slot is not the one after its last, nor a beginning."""

    async def prepare(self, program: Program, wait: bool = True) -> None:
        await super().prepare(program, wait)
        self.at = [0] * program.max_num_seqs

    def _store(self, row: Row) -> None:
        assert row.position in (0, self.at[row.slot]), f"slot {row.slot} is at {self.at[row.slot]}, not at {row.position}"
        self.at[row.slot] = row.position + 1
        super()._store(row)


@settings(max_examples=60, deadline=None)
@given(requests, st.integers(1, 5), st.integers(30, 90), st.integers(1, 4), st.integers(1, MAX_IN_FLIGHT))
def test_no_slot_goes_back_or_leaves_a_token_out(workload, max_num_seqs, num_tokens, block_size, num_in_flight) -> None:
    num_blocks = -(-num_tokens // block_size)
    made = program(max_num_seqs=max_num_seqs, block_size=block_size, num_blocks=num_blocks)
    made = replace(made, slot_states=(SlotState("layer", "state.0", 4),))
    engine = make_engine(made, Forward(), num_in_flight=num_in_flight)
    engine.grammars.open_vocabulary = lambda: Vocabulary(TEXTS, ENDS, cut)
    check_answers(engine, workload, min(64, num_blocks * block_size))
    assert engine.kv_cache.num_free_blocks == num_blocks


def test_a_state_is_not_saved_by_halves() -> None:
    engine = make_engine(replace(program(), slot_states=(SlotState("layer", "state.0", 4),)))
    for attempt in (lambda: run(engine.save_state([1, 2, 3], "")), lambda: engine.restore_state(b"", "")):
        with pytest.raises(RequestError, match="carries a state"):
            attempt()


# --- with kernels ----------------------------------------------------------------------------------------------------
MODELS = (("lfm2-types", "reference"), ("lfm2-types", "native"), ("qwen3_5-types", "native"))


@pytest.fixture(scope="module", params=MODELS, ids="-".join)
def model(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture(scope="module")
def record(model: tuple[str, str]) -> Record:
    return read_record("architectures", model[0])


@pytest.fixture(scope="module")
def engine(model: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    name, device = model
    folder = tiny_architectures.make_checkpoint(name, tmp_path_factory.mktemp("model") / name)
    options = {"context_length": 96, "max_num_seqs": 3, "kv_dtype": "f32", "activations": "f32"}
    with fanlight.load(folder, device=device, **options) as loaded:
        assert isinstance(loaded.loaded.engine, Engine)
        yield loaded.loaded.engine


def answers(engine: Engine, prompts: list[list[int]], *counts: int) -> list[list[int]]:
    """Greedy, each of so many tokens."""
    params = [SamplingParams(temperature=0, max_tokens=count, ignore_eos=True) for count in counts]
    sequences = [engine.submit(prompt, param) for prompt, param in zip(prompts, params, strict=True)]
    while open_ := [s for s in sequences if not s.is_finished]:
        for s in open_:
            s.take()
        run(engine.wait(open_))
        check(engine)
    return [s.generated_token_ids for s in sequences]


@pytest.mark.parametrize("most", [1, 2, 3, 7, 16])
def test_a_prompt_in_parts_is_the_prompt(engine: Engine, record: Record, most: int) -> None:
    whole = engine.scheduler
    engine.scheduler = Scheduler(engine.program, engine.kv_cache, most)
    try:
        assert answers(engine, [record.prompt], 8) == [record.greedy[:8]]
    finally:
        engine.scheduler = whole


def test_sequences_side_by_side_do_not_meet(engine: Engine, record: Record) -> None:
    """Of other lengths, among them shorter than the taps; and more of them than slots."""
    prompts = [record.prompt, record.prompt[:1], record.prompt[5:7], record.prompt[::-1], record.prompt]
    counts = (32, 9, 20, 3, 32)
    alone = [answers(engine, [prompt], count)[0] for prompt, count in zip(prompts, counts, strict=True)]
    assert alone[0] == record.greedy
    assert answers(engine, prompts, *counts) == alone


def test_what_was_computed_beyond_a_stop_is_nobodys(engine: Engine, record: Record) -> None:
    """Steps in flight run on in the slot of a sequence that has ended; the next one has it."""
    for end in (1, 2, 5):
        stop = SamplingParams(temperature=0, max_tokens=40, ignore_eos=True, stop_token_ids=frozenset([record.greedy[end]]))
        stopped, others = engine.submit(record.prompt, stop), [record.prompt[:2], record.prompt, record.prompt]
        assert answers(engine, others, 4, 32, 32)[1:] == [record.greedy] * 2
        assert stopped.generated_token_ids == record.greedy[: record.greedy.index(record.greedy[end]) + 1]


def test_what_goes_on_begins_with_what_was_said(engine: Engine, record: Record) -> None:
    """A second turn, whose beginning was computed before."""
    assert answers(engine, [record.prompt + record.greedy[:17]], 15) == [record.greedy[17:32]]
    assert engine.scheduler.num_cached_tokens == 0


def test_who_is_preempted_gets_the_same(engine: Engine, record: Record) -> None:
    before = engine.stats().num_preemptions
    assert answers(engine, [record.prompt, record.prompt[:3], record.prompt], 32, 40, 32)[::2] == [record.greedy] * 2
    assert engine.stats().num_preemptions > before
