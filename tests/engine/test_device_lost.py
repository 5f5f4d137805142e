"""A device that goes away under its engine: whatever was running gets the tokens that it would have got, from another device;
what cannot go on ends with DeviceLost."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fanlight
from fanlight.api.load import LoadOptions, load_model
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams, Sequence
from fanlight.engine.grammars import Vocabulary
from fanlight.engine.recovery import MOST_LOSSES
from fanlight.errors import DeviceLost, EngineClosed, FormatError, NoAdapter, SourceError
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.runtime.device import MAX_IN_FLIGHT, Device
from fanlight.runtime.native import NativeAdapter, lib
from fanlight.runtime.null import NullDevice
from fanlight.runtime.reference import ReferenceAdapter, ReferenceDevice
from scripts.golden import tiny_encoders
from tests.cli.tiny import write_model
from tests.engine.test_grammars import AUTOMATA, ENDS, TEXTS, V, finish, oracle, program
from tests.engine.test_stretches import GRAMMARS
from tests.engine.test_stretches import engine_of as stretching
from tests.engine.test_stretches import oracle as stretching_oracle
from tests.engine.test_stretches import program as stretching_program
from tests.engine.workload import check, expected, finish_all, make_engine, make_program

GREEDY = SamplingParams(temperature=0.0, max_tokens=12)


class Losable(NullDevice):
    """Goes away at the n-th thing that is asked of it. silent: as in a browser, where a write to it is nobody's error."""

    def __init__(self, after: int, silent: bool = True) -> None:
        super().__init__()
        self.left, self.silent = after, silent

    def _ask(self, is_silent: bool = False) -> bool:
        self.left -= 1
        if self.left < 0 and not is_silent:
            raise DeviceLost("went away")
        return self.left >= 0

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        if self._ask(self.silent):
            super().write(buffer, offset, data)

    def clear(self, buffer: str, offset: int, size: int) -> None:
        if self._ask(self.silent):
            super().clear(buffer, offset, size)

    def submit(self, step: str, inputs: bytes, count: int = 1, with_logprobs: bool = False) -> int:
        self._ask()
        return super().submit(step, inputs, count, with_logprobs)

    async def result(self, ticket: int) -> list[int]:
        self._ask()
        return await super().result(ticket)

    async def read(self, buffer: str, offset: int, size: int) -> bytes:
        self._ask()
        return await super().read(buffer, offset, size)


def losing(engine: Engine, after: list[int], silent: bool = True) -> list[Device]:
    """Devices that go away after so many calls each, then one that stays; those that were given."""
    given: list[Device] = []
    counts = iter(after)

    async def renew(lost: Device) -> Device:
        lost.close()
        device = Losable(next(counts, 10**9), silent)
        await device.prepare(engine.program)
        given.append(device)
        return device

    engine.renew = renew
    run(renew(engine._device))
    engine._device = given.pop()
    return given


params = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 1.0]),
    frequency_penalty=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 99),
    max_tokens=st.integers(1, 25),
    ignore_eos=st.just(True),
    grammar=st.sampled_from([None, None, *AUTOMATA]),
)
workloads = st.lists(st.tuples(st.lists(st.integers(0, V - 1), min_size=1, max_size=20), params), min_size=1, max_size=6)
losses = st.lists(st.integers(25, 120), max_size=6)


@settings(max_examples=60, deadline=None)
@given(workloads, losses, st.booleans(), st.integers(1, 4), st.integers(30, 60), st.integers(1, MAX_IN_FLIGHT))
def test_any_workload_goes_on_with_the_same_tokens(workload, after, silent, max_num_seqs, num_blocks, num_in_flight) -> None:
    made = program(max_num_seqs=max_num_seqs, block_size=1, num_blocks=num_blocks, context_length=48)
    engine = make_engine(made, num_in_flight=num_in_flight)
    engine.grammars.open_vocabulary = lambda: Vocabulary(TEXTS, ENDS)
    losing(engine, after, silent)
    sequences = [engine.submit(prompt, wanted) for prompt, wanted in workload]
    finish(engine, sequences)
    limit = min(48, num_blocks)
    for sequence, (prompt, wanted) in zip(sequences, workload, strict=True):
        if sequence.error is not None and isinstance(sequence.error, DeviceLost):
            assert sequence.num_losses > MOST_LOSSES
            continue
        alone = oracle(prompt, wanted, limit) if wanted.grammar else expected(prompt, wanted, wanted.seed, limit)
        assert (sequence.generated_token_ids, sequence.finish_reason) == alone
    assert all(place.num_users == 0 for place in engine.grammars._places.values())


def test_a_hundred_losses_at_random_tokens() -> None:
    """Long answers of several kinds side by side; the device goes away a few calls after each of a hundred tokens."""
    rng = np.random.default_rng(12)
    engine = make_engine(make_program(context_length=300, num_blocks=400), num_in_flight=4)
    given = losing(engine, [10**9] * 200)
    kinds = [
        SamplingParams(temperature=0.0, max_tokens=250),
        SamplingParams(temperature=1.0, seed=3, max_tokens=250, repetition_penalty=1.2),
        SamplingParams(temperature=0.8, seed=4, max_tokens=800, num_sinks=5),
    ]
    sequences = [engine.submit([i + 1, 7, 9], kind) for i, kind in enumerate(kinds)]
    due = sorted(int(n) for n in rng.choice(880, 100, replace=False))
    num_given, had = 0, [-1] * len(sequences)  # tokens of each when the last device came: who gains none is given up
    while open_ := [s for s in sequences if not s.is_finished]:
        run(engine.wait(open_))
        check(engine)
        for sequence in open_:
            sequence.take()
        if len(given) != num_given:
            num_given, had = len(given), [s.num_generated_tokens for s in sequences]
        all_gained = all(s.is_finished or s.num_generated_tokens > n for s, n in zip(sequences, had, strict=True))
        if due and all_gained and sum(s.num_generated_tokens for s in sequences) > due[0] and engine._device.left > 100:
            engine._device.left = int(rng.integers(0, 9))
            due = due[1:]
    assert len(given) == 100
    for i, (kind, sequence) in enumerate(zip(kinds, sequences, strict=True)):
        assert sequence.generated_token_ids == expected([i + 1, 7, 9], kind, kind.seed or 0, 300)[0]


@pytest.mark.parametrize("after", range(8, 60, 3))
def test_what_a_grammar_forces_goes_on(after: int) -> None:
    engine = stretching(stretching_program(num_blocks=64))
    losing(engine, [after, after])
    wanted = [SamplingParams(temperature=0, grammar=g, max_tokens=40, frequency_penalty=0.5) for g in GRAMMARS]
    sequences = [engine.submit([i + 1], p) for i, p in enumerate(wanted)]
    finish_all(engine, sequences)
    assert [s.generated_token_ids for s in sequences] == [stretching_oracle([i + 1], p, 64)[0] for i, p in enumerate(wanted)]


@pytest.mark.parametrize("after", range(4, 40, 3))
def test_log_probabilities_are_those_of_an_undisturbed_run(after: int) -> None:
    params = SamplingParams(temperature=0, max_tokens=12, logprobs=0, prompt_logprobs=0)
    prompts = [list(range(1, 30)), [5, 6, 7]]
    found = []
    for counts in ([], [after]):
        engine = make_engine(make_program(num_blocks=128))
        losing(engine, counts or [10**9])
        sequences = [engine.submit(prompt, params) for prompt in prompts]
        finish_all(engine, sequences)
        found.append([(s.logprobs, s.prompt_logprobs) for s in sequences])
    assert found[0] == found[1]
    assert [len(prompt) for _, prompt in found[1]] == [28, 2]


def test_what_was_cached_is_not_taken_for_there() -> None:
    engine = make_engine(make_program())
    given = losing(engine, [10**9])
    prompt = list(range(20))
    finish_all(engine, [engine.submit(prompt, GREEDY)])
    engine._device.left = 0  # while nobody asks
    again = engine.submit(prompt, GREEDY)
    assert finish_all(engine, [again]) == [expected(prompt, GREEDY, 0, 64)[0]]
    assert again.cached_tokens == 0 and len(given) == 1
    assert finish_all(engine, [last := engine.submit(prompt, GREEDY)]) and last.cached_tokens == 16


def test_a_loss_that_comes_again_and_again_is_told_and_ends_nothing_else() -> None:
    """Under a prompt that no device computes; who decodes beside it goes on."""
    engine = make_engine(make_program(num_blocks=128))
    poison, lost = list(range(30)), []

    class Poisoned(NullDevice):
        def submit(self, step: str, inputs: bytes, count: int = 1, with_logprobs: bool = False) -> int:
            if step.startswith("rows32"):
                lost.append(step)
                raise DeviceLost("hangs")
            return super().submit(step, inputs, count, with_logprobs)

    async def renew(device: Device) -> Device:
        made = Poisoned()
        await made.prepare(engine.program)
        return made

    engine.renew = renew
    good = engine.submit([1, 2], replace(GREEDY, max_tokens=40))
    run(engine.wait([good]))
    engine._device = run(renew(engine._device))
    bad = engine.submit(poison, GREEDY)
    with pytest.raises(DeviceLost, match="hangs"):
        while not bad.is_finished:
            run(engine.wait([bad]))
            check(engine)
    assert len(lost) == MOST_LOSSES + 1
    finish_all(engine, [good])
    assert good.generated_token_ids == expected([1, 2], good.params, 0, 64)[0]


@pytest.mark.parametrize("error", [DeviceLost("again"), NoAdapter("none here"), SourceError("gone")])
def test_a_loss_while_another_device_is_had_is_one_too_many(error: Exception) -> None:
    """All that run end with it. The next one asks for a device once more."""
    engine = make_engine(make_program())
    losing(engine, [20])
    renew, asked = engine.renew, 0

    async def failing(lost: Device) -> Device:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise error
        return await renew(lost)  # type: ignore[misc]

    engine.renew = failing
    sequences = [engine.submit([i], replace(GREEDY, max_tokens=40)) for i in range(3)]
    with pytest.raises(type(error), match=str(error)):
        finish_all(engine, sequences)
    assert [s.finish_reason for s in sequences] == ["abort"] * 3
    for sequence in sequences:
        with pytest.raises(type(error)):
            run(engine.wait([sequence]))
    check(engine)
    assert asked == 1
    assert finish_all(engine, [engine.submit([7], GREEDY)]) == [expected([7], GREEDY, 0, 64)[0]]
    assert asked == 2


def test_without_another_device_the_loss_stays() -> None:
    engine = make_engine(make_program())
    losing(engine, [10])
    engine.renew = None
    with pytest.raises(DeviceLost):
        finish_all(engine, [engine.submit([1], GREEDY)])
    with pytest.raises(DeviceLost):
        engine.submit([2], GREEDY)


def test_a_waiter_that_goes_away_meanwhile_leaves_it_to_the_next() -> None:
    engine = make_engine(make_program())
    given = losing(engine, [20])
    renew, started = engine.renew, []

    async def slow(lost: Device) -> Device:
        started.append(lost)
        await asyncio.sleep(0.01)
        return await renew(lost)  # type: ignore[misc]

    engine.renew = slow
    wanted = replace(GREEDY, max_tokens=40)

    async def read(sequence: Sequence) -> list[int]:
        while not sequence.is_finished:
            await engine.wait([sequence])
            sequence.take()
        return sequence.generated_token_ids

    async def both() -> list[int]:
        first, second = engine.submit([1], wanted), engine.submit([2], wanted)
        leaving, staying = asyncio.create_task(read(first)), asyncio.create_task(read(second))
        while not started:
            await asyncio.sleep(0)
        leaving.cancel()
        engine.abort(first)
        return await staying

    assert asyncio.run(both()) == expected([2], wanted, 0, 64)[0]
    assert len(given) == 1 and len(started) in (1, 2)


def test_closed_meanwhile_nothing_is_left_over() -> None:
    engine = make_engine(make_program())
    given = losing(engine, [10])
    renew = engine.renew

    async def closing(lost: Device) -> Device:
        device = await renew(lost)  # type: ignore[misc]
        engine.close()
        return device

    engine.renew = closing
    with pytest.raises(EngineClosed):
        finish_all(engine, [engine.submit([1], GREEDY)])
    assert given[0].is_closed  # type: ignore[attr-defined]


# --- whole models ----------------------------------------------------------------------------------------------------
class Fragile(ReferenceDevice):
    """Real kernels, in NumPy; goes away at the n-th step."""

    left = 10**9

    def submit(self, step: str, inputs: bytes, count: int = 1, with_logprobs: bool = False) -> int:
        self.left -= 1
        if self.left < 0:
            raise DeviceLost("went away")
        return super().submit(step, inputs, count, with_logprobs)

    def read(self, buffer: str, offset: int, size: int) -> Any:
        if self.left < 0:
            raise DeviceLost("went away")
        return super().read(buffer, offset, size)


class FragileAdapter(ReferenceAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.given: list[Fragile] = []

    def device(self) -> Fragile:
        self.given.append(Fragile(adapter=self))
        return self.given[-1]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


def ask(engine: Any, **more: Any) -> tuple[Any, ...]:
    got = engine.completions.create(
        prompt=[[5, 6, 7, 8, 9, 10, 11], [40, 41]], max_tokens=20, return_token_ids=True, ignore_eos=True, **more
    )
    return tuple((choice.token_ids, choice.text) for choice in got.choices)


@pytest.mark.parametrize("more", [{"temperature": 0}, {"temperature": 0.9, "seed": 5, "n": 2, "repetition_penalty": 1.2}])
def test_a_model_is_loaded_once_more_and_answers_as_before(model: Path, more: dict[str, Any]) -> None:
    adapter = FragileAdapter()
    with fanlight.load(model, device=adapter, context_length=128) as engine:
        wanted = ask(engine, **more)
        for after in (0, 1, 3, 4):
            adapter.given[-1].left = after
            assert ask(engine, **more) == wanted
        assert len(adapter.given) == 5
        assert len(adapter._taken) == 1  # what the lost ones had is given back


def test_devices_that_are_lost_before_they_are_ready(model: Path) -> None:
    """Two are one loss more than one; three in a row are too many. The next request asks again."""
    adapter, device = FragileAdapter(), FragileAdapter.device

    def losing_first(count: int) -> None:
        adapter.given.clear()
        adapter.device = lambda: (made := device(adapter), setattr(made, "left", -1 if len(adapter.given) <= count else 10**9))[
            0
        ]

    with fanlight.load(model, device=adapter, context_length=128) as engine:
        wanted = ask(engine, temperature=0)
        adapter.given[-1].left = 3
        losing_first(MOST_LOSSES - 1)
        assert ask(engine, temperature=0) == wanted and len(adapter.given) == MOST_LOSSES
        adapter.given[-1].left = 3
        losing_first(10**9)
        with pytest.raises(DeviceLost, match="went away"):
            ask(engine, temperature=0)
        assert len(adapter.given) == MOST_LOSSES
        losing_first(0)
        assert ask(engine, temperature=0) == wanted and len(adapter._taken) == 1


def test_other_weights_are_refused(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(model.read_bytes())
    adapter = FragileAdapter()
    with fanlight.load(path, device=adapter, context_length=128) as engine:
        data = bytearray(path.read_bytes())
        data[-4000:] = bytes(4000)
        path.write_bytes(bytes(data))
        adapter.given[-1].left = 3
        with pytest.raises(DeviceLost, match="files are others"):
            ask(engine, temperature=0)


def test_a_saved_state_is_whole_though_the_device_goes_away(model: Path, tmp_path: Path) -> None:
    adapter, path = FragileAdapter(), tmp_path / "talk.state"
    prompt = [*range(5, 60)]
    with fanlight.load(model, device=adapter, context_length=128) as engine:
        count = engine.save_state(path, prompt=prompt)
        before = path.read_bytes()
        adapter.given[-1].left = 0
        assert engine.save_state(path, prompt=prompt) == count > 0
        assert path.read_bytes() == before
        assert len(adapter.given) == 2
        reading = adapter.given[-1].read
        adapter.given[-1].read = lambda *a: lose(adapter, reading, *a)  # type: ignore[method-assign]
        assert engine.save_state(path, prompt=prompt) == count and path.read_bytes() == before
        assert len(adapter.given) == 3
        # Restored to a device that is lost already, it is not there, and nobody takes it for there.
        adapter.given[-1].left = 0
        assert engine.restore_state(path) == count
        got = engine.completions.create(prompt=prompt, max_tokens=3, temperature=0)
        assert got.usage.prompt_tokens_details.cached_tokens == 0
        with pytest.raises(FormatError):
            path.write_bytes(before[:-1])
            engine.restore_state(path)


def lose(adapter: FragileAdapter, reading: Callable[..., Any], *args: Any) -> Any:
    adapter.given[-1].left = -1
    raise DeviceLost("went away")


def test_several_models_each_come_back(model: Path) -> None:
    adapter = FragileAdapter()
    with fanlight.load(model, device=adapter, context_length=128, name="a") as engine:
        engine.load(model, context_length=64, name="b")
        wanted = {name: ask(engine, model=name, temperature=0) for name in "ab"}
        for device in adapter.given:
            device.left = 2
        assert {name: ask(engine, model=name, temperature=0) for name in "ba"} == wanted
        assert len(adapter.given) == 4


def test_vectors_are_those_of_an_undisturbed_run(tmp_path: Path) -> None:
    adapter, texts = FragileAdapter(), ["t" * i for i in range(1, 12)]
    folder = tiny_encoders.make_checkpoint("bert-mean", tmp_path / "bert-mean")
    with fanlight.load(folder, device=adapter) as engine:
        wanted = engine.embeddings.create(input=texts).data
        for after in (0, 1):
            adapter.given[-1].left = after
            assert engine.embeddings.create(input=texts).data == wanted
        assert len(adapter.given) == 2 + (adapter.given[1].left < 0)
        device = adapter.device
        adapter.device = lambda: lost_at_once(device())  # type: ignore[method-assign]
        adapter.given[-1].left = 0
        with pytest.raises(DeviceLost, match="went away"):
            engine.embeddings.create(input=texts)
        assert len(adapter.given) <= 4 + MOST_LOSSES


def lost_at_once(device: Fragile) -> Fragile:
    device.left = 0
    return device


def test_a_computer_s_own_device_comes_back(model: Path) -> None:
    """wgpu's, whose library ends the process where a result is read of a device that is lost: so it is lost between answers."""
    adapter, sources = NativeAdapter(), run(resolve_model(str(model)))

    @asynccontextmanager
    async def reopen() -> AsyncGenerator[Any]:
        yield adapter.device(), sources

    checkpoint, options = run(open_checkpoint(sources)), LoadOptions(context_length=64)
    loaded = run(load_model(checkpoint, adapter.device(), options, lambda *progress: None, reopen=reopen))
    engine, wanted = loaded.engine, replace(GREEDY, max_tokens=20, ignore_eos=True)
    assert isinstance(engine, Engine)
    found = []
    for _ in range(2):
        found += finish_all(engine, [engine.submit([5, 6, 7], wanted)])
        lib.wgpuDeviceDestroy(adapter.gpu._internal)
    assert found[0] == found[1]
