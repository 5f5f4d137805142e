"""Models whose slots carry a state from token to token: it is that of the tokens before, whatever steps compute them,
and whoever had the slot before or went beyond a stop there."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fanlight
from fanlight.compiler.program import BufferSpec, Program, Row, SlotState
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.engine import Sequence as Answer
from fanlight.engine.grammars import Vocabulary
from fanlight.engine.scheduler import Scheduler
from fanlight.errors import DeviceLost, RequestError
from fanlight.runtime.device import MAX_IN_FLIGHT, Copy, Device
from fanlight.runtime.null import NullDevice
from scripts.golden import tiny_architectures
from tests.engine.test_stretches import ENDS, TEXTS, V, check_answers, cut, program, requests
from tests.engine.workload import check, expected, finish_all, make_engine
from tests.models.records import Record, read_record


# --- what the engine asks of a device --------------------------------------------------------------------------------
class Forward(NullDevice):
    """Its slots carry what they were fed, and snapshots a copy of that. Raises where a row of a slot is not the one after its
    last, nor a beginning, or where what it carries is not what its blocks say."""

    async def prepare(self, program: Program, wait: bool = True) -> None:
        await super().prepare(program, wait)
        self.fed: dict[tuple[str, int], list[int]] = {}
        self.num_rows = self.num_restored = self.num_kept = 0

    def copy(self, copies: Sequence[Copy]) -> None:
        super().copy(copies)
        for to, source in copies:
            self.fed[to.buffer, to.offset] = [*self.fed[source.buffer, source.offset]]
            self.num_kept += to.buffer == STATE.snapshots
            self.num_restored += to.buffer == STATE.buffer

    def _store(self, row: Row) -> None:
        self.num_rows += 1
        at = STATE.buffer, row.slot * STATE.bytes_per_slot
        fed = self.fed.setdefault(at, [])
        if row.position == 0:
            fed.clear()
        assert row.position == len(fed), f"slot {row.slot} is at {len(fed)}, not at {row.position}"
        super()._store(row)
        size = self._prepared.block_size
        there = [self._block(row.slot, i // size)[i % size] for i in range(row.position + 1)]
        assert there[:-1] == fed, f"slot {row.slot} carries other tokens than those before {row.position}"
        fed.append(there[-1])


STATE = SlotState("layer", "state.0", 4)


def recurrent(num_snapshots: int, **shape: int) -> Program:
    made = program(**shape)
    sizes = {STATE.buffer: made.max_num_seqs, STATE.snapshots: num_snapshots}
    states = tuple(BufferSpec(name, 4 * count, "state") for name, count in sizes.items() if count)
    return replace(made, slot_states=(STATE,), num_snapshots=num_snapshots, buffers=made.buffers + states)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(requests, min_size=1, max_size=2),
    st.integers(1, 5),
    st.integers(30, 90),
    st.integers(1, 4),
    st.integers(1, MAX_IN_FLIGHT),
    st.integers(0, 6),
)
def test_no_slot_goes_back_or_leaves_a_token_out(rounds, max_num_seqs, num_tokens, block_size, num_in_flight, few) -> None:
    """Prompts begin alike, and the second round's go on with what the first one's were answered."""
    num_blocks = -(-num_tokens // block_size)
    made = recurrent(few, max_num_seqs=max_num_seqs, block_size=block_size, num_blocks=num_blocks)
    engine = make_engine(made, Forward(), num_in_flight=num_in_flight)
    engine.grammars.open_vocabulary = lambda: Vocabulary(TEXTS, ENDS, cut)
    limit = min(64, num_blocks * block_size)
    said: list[list[int]] = []
    for workload in rounds:
        begun = [(said[i] if i < len(said) else []) + prompt for i, (prompt, _, _) in enumerate(workload)]
        fits = [prompt if len(prompt) < limit else prompt[: limit // 2] for prompt in begun]
        turns = [(prompt, params, leaves) for prompt, (_, params, leaves) in zip(fits, workload, strict=True)]
        said = [sequence.token_ids for sequence in check_answers(engine, turns, limit)]
        assert engine.kv_cache.num_free_blocks == num_blocks


def ask(engine: Engine, prompt: list[int], count: int) -> Answer:
    params = SamplingParams(temperature=0, max_tokens=count, ignore_eos=True)
    sequence = engine.submit(prompt, params)
    (ids,) = finish_all(engine, [sequence])
    assert ids == expected(prompt, params, 0, engine.context_length, V)[0]
    return sequence


def test_a_second_turn_computes_what_is_new() -> None:
    """The prompt's last full block has a snapshot; in an answer there is one now and then."""
    engine = make_engine(recurrent(8), Forward())
    prompt = [1 + i % 9 for i in range(21)]
    first = ask(engine, prompt, 14)
    assert (first.cached_tokens, engine.stats().num_cached_tokens) == (0, 0)
    assert ask(engine, prompt, 2).cached_tokens == 20
    second = ask(engine, first.token_ids + [7] * 3, 2)
    assert second.cached_tokens == 32  # of 35 that were computed: the latest multiple of four blocks of four


def test_what_prompts_have_in_common_is_computed_twice() -> None:
    """The first one with another end finds no snapshot there, and leaves one."""
    engine, system = make_engine(recurrent(8), Forward()), [1 + i % 9 for i in range(18)]
    assert [ask(engine, system + [end] * 9, 1).cached_tokens for end in (3, 4, 5, 6)] == [0, 0, 16, 16]


def test_the_least_recently_used_gives_way() -> None:
    engine = make_engine(recurrent(2), Forward())
    prompts = [[end] * 9 for end in (1, 2, 3)]
    cached = [ask(engine, prompts[i], 1).cached_tokens for i in (0, 1, 0, 2, 0, 1)]
    assert cached == [0, 0, 8, 0, 8, 0]


def test_without_snapshots_nothing_is_reused() -> None:
    engine = make_engine(recurrent(0), Forward())
    assert [ask(engine, [1] * 9, 1).cached_tokens for _ in range(2)] == [0, 0]


def test_a_lost_device_takes_them_with_it() -> None:
    engine = make_engine(recurrent(4), Forward())
    ask(engine, [1] * 9, 1)

    async def renew(lost: Device) -> Device:
        device = Forward()
        await device.prepare(engine.program)
        return device

    engine.renew, engine._lost = renew, DeviceLost("went away")
    assert [ask(engine, [1] * 9, 1).cached_tokens for _ in range(2)] == [0, 8]


def test_a_state_is_not_saved_by_halves() -> None:
    engine = make_engine(recurrent(0))
    for attempt in (lambda: run(engine.save_state([1, 2, 3], "")), lambda: engine.restore_state(b"", "")):
        with pytest.raises(RequestError, match="carries a state"):
            attempt()


# --- with kernels ----------------------------------------------------------------------------------------------------
MODELS = (
    pytest.param(("lfm2-types", "reference"), id="lfm2-types-reference"),
    pytest.param(("mamba2-published", "reference"), id="mamba2-published-reference"),
    pytest.param(("qwen3_5-types", "native"), id="qwen3_5-types-native"),
    pytest.param(("lfm2-types", "native"), id="lfm2-types-native", marks=pytest.mark.minutes),
    pytest.param(("mamba2-published", "native"), id="mamba2-published-native", marks=pytest.mark.minutes),
)


@pytest.fixture(scope="module", params=MODELS)
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
    """Turns whose beginnings were computed before give what they give when nothing was."""
    engine.kv_cache.forget()
    assert answers(engine, [record.prompt], 32) == [record.greedy]
    for said, cached in ((0, 32), (17, 32), (31, 64)):
        before = engine.stats().num_cached_tokens
        warm = answers(engine, [record.prompt + record.greedy[:said] + [5] * (said % 2)], 15)
        assert engine.stats().num_cached_tokens - before == cached, said
        engine.kv_cache.forget()
        assert answers(engine, [record.prompt + record.greedy[:said] + [5] * (said % 2)], 15) == warm
        assert answers(engine, [record.prompt], 32) == [record.greedy]


def test_a_saved_conversation_goes_on(engine: Engine, record: Record) -> None:
    engine.kv_cache.forget()
    assert answers(engine, [record.prompt], 32) == [record.greedy]
    said = record.prompt + record.greedy
    count, parts = run(engine.save_state(said, "a"))
    assert count == 64
    engine.kv_cache.forget()
    answers(engine, [said[::-1]], 8)
    before = engine.stats().num_cached_tokens
    assert engine.restore_state(b"".join(parts), "a") == said[:64]
    assert answers(engine, [said[:66]], 6) == [said[66:72]]
    assert engine.stats().num_cached_tokens - before == 64
    engine.kv_cache.check([])


def test_who_is_preempted_gets_the_same(engine: Engine, record: Record) -> None:
    before = engine.stats().num_preemptions
    assert answers(engine, [record.prompt, record.prompt[:3], record.prompt], 32, 40, 32)[::2] == [record.greedy] * 2
    assert engine.stats().num_preemptions > before
