"""The engine on the null device against the oracle: a request gets the tokens that its prompt alone gives, whatever runs."""

import asyncio
from collections.abc import Coroutine, Generator
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.errors import ContextOverflow, DeviceLost, EngineClosed, RequestError
from fanlight.runtime.device import MAX_IN_FLIGHT
from fanlight.runtime.null import NullDevice
from tests.engine.workload import SHAPES, check, expected, finish_all, make_engine, make_program

GREEDY = SamplingParams(temperature=0.0, max_tokens=12)
PROMPTS = [[7, 8, 9], list(range(40)), [1], [5] * 17, [7, 8, 9, 10]]


@dataclass(frozen=True)
class Request:
    prompt: list[int]
    params: SamplingParams
    arrives: int  # after so many turns
    aborts: int | None  # so many turns after it came


tokens = st.integers(0, 49)
bases = [[t * 7 % 50 for t in range(40)], [t * 3 % 50 for t in range(40)]]
prompts = st.builds(
    lambda base, shared, tail: (bases[base][:shared] + tail)[:39] or [0],
    st.integers(0, 1),
    st.integers(0, 40),
    st.lists(tokens),
)
params = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.0, 0.7]),
    frequency_penalty=st.sampled_from([0.0, 0.0, 0.5]),
    presence_penalty=st.sampled_from([0.0, 0.0, 0.5]),
    repetition_penalty=st.sampled_from([1.0, 1.0, 1.25]),
    logit_bias=st.sampled_from([{}, {}, {3: 2.5}, {3: -1.0, 49: 7.0}]),
    seed=st.integers(0, 2**64 - 1),
    max_tokens=st.one_of(st.none(), st.integers(1, 20), st.integers(50, 100)),
    stop_token_ids=st.frozensets(tokens, max_size=2),
    num_sinks=st.sampled_from([None, None, 0, 5, 20]),
)
requests = st.lists(
    st.builds(Request, prompts, params, st.integers(0, 20), st.one_of(st.none(), st.none(), st.integers(0, 15))),
    min_size=1,
    max_size=10,
)
engines = st.fixed_dictionaries(
    {
        "block_size": st.integers(1, 8),
        "max_num_seqs": st.integers(1, 6),
        "num_tokens": st.integers(40, 120),  # of the block pool; a context is 48
        "max_num_batched_tokens": st.one_of(st.none(), st.integers(1, 32)),
        "use_prefix_cache": st.booleans(),
        "num_in_flight": st.integers(1, MAX_IN_FLIGHT),
        "window": st.sampled_from([0, 0, 1, 3, 8, 30]),
        "late_tokens": st.sampled_from([64, 16, 0]),
        "shapes": st.sampled_from([SHAPES, ((1, 1), (4, 4), (16, 0)), ((1, 1), (6, 2), (20, 1)), ((8, 8),)]),
    }
)


@settings(max_examples=150, deadline=None)
@given(engines, requests)
def test_any_workload_gives_each_request_its_own_tokens(options: dict, workload: list[Request]) -> None:
    options = dict(options)
    block_size, max_num_seqs = options.pop("block_size"), options.pop("max_num_seqs")
    num_blocks, shapes = -(-options.pop("num_tokens") // block_size), options.pop("shapes")
    sizes = {"block_size": block_size, "max_num_seqs": max_num_seqs, "num_blocks": num_blocks}
    sizes |= {name: options.pop(name) for name in ("window", "late_tokens")}
    program = make_program(context_length=48, shapes=shapes, **sizes)
    engine = make_engine(program, **options)
    sequences: dict[int, object] = {}
    turn = 0
    while len(sequences) < len(workload) or any(not s.is_finished for s in sequences.values()):
        for i, request in enumerate(workload):
            if i not in sequences and request.arrives <= turn:
                sequences[i] = engine.submit(request.prompt, request.params)
            if i in sequences and request.aborts is not None and request.arrives + request.aborts <= turn:
                engine.abort(sequences[i])
        open_ = [s for s in sequences.values() if not s.is_finished]
        if open_:
            for s in open_:
                s.take()
            run(engine.wait(open_))
        check(engine)
        turn += 1
        assert turn < 5000
    for i, request in enumerate(workload):
        limit = min(48, num_blocks * block_size)
        ids, reason = expected(request.prompt, request.params, request.params.seed, limit)
        got = sequences[i].generated_token_ids
        if sequences[i].finish_reason == "abort":
            assert request.aborts is not None and got == ids[: len(got)]
        else:
            assert (got, sequences[i].finish_reason) == (ids, reason)
    assert engine.kv_cache.num_free_blocks == num_blocks
    assert len(engine.scheduler._free_slots) == max_num_seqs


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 8, 9, 17, 32])
def test_whole_prompt_equals_token_by_token_equals_any_chunking(chunk: int) -> None:
    engine = make_engine(max_num_batched_tokens=chunk)
    got = finish_all(engine, [engine.submit(p, GREEDY) for p in PROMPTS])
    assert got == [expected(p, GREEDY, 0, 64)[0] for p in PROMPTS]


def test_a_batch_equals_alone_also_when_drawing() -> None:
    params = [SamplingParams(temperature=0.9, seed=i, max_tokens=10, repetition_penalty=1.1) for i in range(len(PROMPTS))]
    together = make_engine()
    batch = finish_all(together, [together.submit(p, q) for p, q in zip(PROMPTS, params, strict=True)])
    alone = []
    for prompt, param in zip(PROMPTS, params, strict=True):
        engine = make_engine()
        alone += finish_all(engine, [engine.submit(prompt, param)])
    assert batch == alone


def test_no_seed_draws_a_fresh_one() -> None:
    engine = make_engine(make_program(vocab_size=1000))
    params = SamplingParams(temperature=1.0, max_tokens=10)
    first, second = finish_all(engine, [engine.submit([1], params) for _ in range(2)])
    assert first != second


def test_few_blocks_preempt_and_change_nothing() -> None:
    params = SamplingParams(temperature=0.5, seed=3, frequency_penalty=0.5, max_tokens=30)
    engine = make_engine(make_program(num_blocks=16, block_size=4))
    prompts = [[i, i + 1, i + 2] for i in range(6)]
    got = finish_all(engine, [engine.submit(p, params) for p in prompts])
    assert engine.stats().num_preemptions > 0
    assert got == [expected(p, params, 3, 64)[0] for p in prompts]


@pytest.mark.parametrize("turns", range(8, 24))
def test_a_preempted_sequence_waits_for_its_own_last_tokens(turns: int) -> None:
    engine = make_engine(make_program(block_size=1, num_blocks=24))
    older, younger = [engine.submit([i], SamplingParams(temperature=0.0, max_tokens=20)) for i in range(2)]
    for _ in range(turns):
        older.take()
        run(engine.wait([older]))
    engine.abort(older)  # its blocks are free at once, while tokens of the younger are still on the GPU
    younger.num_taken = 0
    assert finish_all(engine, [younger]) == [expected([1], younger.params, 0, 24)[0][:20]]


def test_first_come_first_admitted() -> None:
    engine = make_engine(make_program(max_num_seqs=1))
    sequences = [engine.submit(p, GREEDY) for p in PROMPTS]
    finish_all(engine, sequences)
    finished = [s.finished for s in sequences]
    assert finished == sorted(finished)


# --- prefix cache ----------------------------------------------------------------------------------------------------
def test_a_second_turn_reuses_all_full_blocks_of_the_first() -> None:
    engine = make_engine(make_program(block_size=4))
    first = engine.submit(range(10), GREEDY)
    (answer,) = finish_all(engine, [first])
    assert first.cached_tokens == 0
    prompt = [*range(10), *answer, 42]
    second = engine.submit(prompt, GREEDY)
    # 22 tokens were known, of which the last was never computed: 21 // 4 blocks.
    assert finish_all(engine, [second]) == [expected(prompt, GREEDY, 0, 64)[0]]
    assert second.cached_tokens == 20


def test_the_last_prompt_token_is_always_computed() -> None:
    engine = make_engine(make_program(block_size=4))
    sequences = [engine.submit(range(8), GREEDY) for _ in range(3)]
    got = finish_all(engine, sequences)
    assert got == [expected(list(range(8)), GREEDY, 0, 64)[0]] * 3
    # Those that came together share as well: a step writes before it reads.
    assert [s.cached_tokens for s in sequences] == [0, 4, 4]


def test_equal_tokens_at_another_position_are_not_a_prefix() -> None:
    engine = make_engine(make_program(block_size=2))
    finish_all(engine, [engine.submit([1, 2, 3, 4, 5], GREEDY)])
    other = engine.submit([3, 4, 1, 2, 3, 4, 5], GREEDY)
    assert finish_all(engine, [other]) == [expected([3, 4, 1, 2, 3, 4, 5], GREEDY, 0, 64)[0]]
    assert other.cached_tokens == 0


def test_penalties_count_a_prompt_that_was_there_already() -> None:
    engine = make_engine()
    finish_all(engine, [engine.submit(range(20), GREEDY)])
    repetition = SamplingParams(temperature=0.0, repetition_penalty=1.5, max_tokens=5)
    presence = SamplingParams(temperature=0.0, presence_penalty=1.5, max_tokens=5)
    sequences = [engine.submit(range(20), repetition), engine.submit(range(20), presence)]
    got = finish_all(engine, sequences)
    assert got == [expected(list(range(20)), p, 0, 64)[0] for p in (repetition, presence)]
    assert [s.cached_tokens for s in sequences] == [16, 16]


@pytest.mark.parametrize("penalty", [{}, {"repetition_penalty": 1.3}, {"frequency_penalty": 0.5, "presence_penalty": 0.25}])
@pytest.mark.parametrize("num_seqs", [2, 4])
def test_choices_share_the_prompts_blocks_and_rows(penalty: dict[str, float], num_seqs: int) -> None:
    """Of four with the next seeds: each gets what it gets alone; computed is the prompt once, and its last block for each."""
    prompt, params = [*range(26)], SamplingParams(temperature=0.9, max_tokens=6, **penalty)
    engine = make_engine(make_program(max_num_seqs=num_seqs))
    sequences = [engine.submit(prompt, replace(params, seed=7 + i)) for i in range(4)]
    got = finish_all(engine, sequences)
    assert got == [expected(prompt, params, 7 + i, 64)[0] for i in range(4)]
    assert [s.cached_tokens for s in sequences] == [0, 24, 24, 24]
    assert engine.stats().num_rows <= len(prompt) + 3 * 2 + 4 * 6 * 2  # what is drawn past an end is computed too


def test_prefix_cache_off_equals_on() -> None:
    engine = make_engine(use_prefix_cache=False)
    prompts = [list(range(20)), list(range(20)), list(range(15))]
    sequences = [engine.submit(p, GREEDY) for p in prompts]
    assert finish_all(engine, sequences) == [expected(p, GREEDY, 0, 64)[0] for p in prompts]
    assert [s.cached_tokens for s in sequences] == [0, 0, 0]


# --- endings ---------------------------------------------------------------------------------------------------------
def test_a_stop_token_ends_it_and_what_was_computed_past_it_is_discarded() -> None:
    ids, _ = expected([1, 2, 3], GREEDY, 0, 64)
    stop = next(t for i, t in enumerate(ids) if i >= 3 and t not in ids[:i])
    device = NullDevice()
    engine = make_engine(device=device, eos_token_ids=[stop])
    sequence = engine.submit([1, 2, 3], GREEDY)
    (got,) = finish_all(engine, [sequence])
    assert got == ids[: ids.index(stop) + 1]
    assert (sequence.finish_reason, sequence.stop_token_id) == ("stop", stop)
    assert device.num_submits > len(got)  # it did run past the stop
    ignoring = engine.submit([1, 2, 3], SamplingParams(temperature=0.0, max_tokens=12, ignore_eos=True))
    asking = engine.submit([1, 2, 3], SamplingParams(temperature=0.0, stop_token_ids=frozenset({stop}), ignore_eos=True))
    assert finish_all(engine, [ignoring, asking]) == [ids, got]
    assert (ignoring.finish_reason, asking.finish_reason) == ("length", "stop")


def test_max_tokens_is_known_ahead_and_computes_nothing_in_vain() -> None:
    device = NullDevice()
    engine = make_engine(device=device)
    sequence = engine.submit([1, 2, 3], SamplingParams(temperature=0.0, max_tokens=5))
    finish_all(engine, [sequence])
    assert (sequence.finish_reason, sequence.num_generated_tokens, device.num_submits) == ("length", 5, 5)


@pytest.mark.parametrize("num_blocks, limit", [(64, 64), (8, 32)])
def test_a_full_context_ends_with_length(num_blocks: int, limit: int) -> None:
    engine = make_engine(make_program(num_blocks=num_blocks))
    params = SamplingParams(temperature=0.0)
    sequences = [engine.submit(range(20), params), engine.submit([5] * (limit - 1), params)]
    finish_all(engine, sequences)
    assert [s.finish_reason for s in sequences] == ["length", "length"]
    assert [len(s.token_ids) for s in sequences] == [limit, limit]


@pytest.mark.parametrize(
    "prompt, params, error, param",
    [
        ([], GREEDY, RequestError, "prompt"),
        ([50], GREEDY, RequestError, "prompt"),
        ([-1], GREEDY, RequestError, "prompt"),
        (["a"], GREEDY, RequestError, "prompt"),
        ([0] * 64, GREEDY, ContextOverflow, "prompt"),
        ([0] * 1000, GREEDY, ContextOverflow, "prompt"),
        ([0], SamplingParams(logit_bias={50: 1.0}), RequestError, "logit_bias"),
    ],
)
def test_what_cannot_be_served_is_refused_at_submit(prompt: list, params: SamplingParams, error: type, param: str) -> None:
    engine = make_engine()
    with pytest.raises(error) as raised:
        engine.submit(prompt, params)
    assert raised.value.param == param
    assert engine.stats().num_waiting == 0


def test_finish_from_above_keeps_what_was_read() -> None:
    engine = make_engine()
    sequence = engine.submit([1, 2], GREEDY)
    run(engine.wait([sequence]))
    engine.finish(sequence, "stop")
    engine.abort(sequence)  # too late: nothing happens
    assert sequence.finish_reason == "stop"
    assert sequence.take() == expected([1, 2], GREEDY, 0, 64)[0][:1]
    assert sequence.take() == []
    run(engine.wait([sequence]))
    check(engine)


def test_cancel_at_any_token_and_reuse() -> None:
    engine = make_engine(make_program(max_num_seqs=2, num_blocks=16))
    for turns in range(15):
        victim, other = engine.submit([1, 2, 3, 4, 5], GREEDY), engine.submit([9, turns], GREEDY)
        for _ in range(turns):
            victim.take()
            run(engine.wait([victim]))
        engine.abort(victim)
        check(engine)
        again = engine.submit([1, 2, 3, 4, 5], GREEDY)
        prompts = [[9, turns], [1, 2, 3, 4, 5]]
        other.num_taken = 0
        assert finish_all(engine, [other, again]) == [expected(p, GREEDY, 0, 64)[0] for p in prompts]
        assert engine.kv_cache.num_free_blocks == 16


def test_timing_stamps_are_in_order() -> None:
    engine = make_engine()
    sequence = engine.submit([1, 2], GREEDY)
    finish_all(engine, [sequence])
    stamps = [sequence.arrived, sequence.admitted, sequence.first_token, sequence.finished]
    assert stamps == sorted(stamps)


def test_the_block_table_is_written_only_where_it_grew() -> None:
    device = NullDevice()
    engine = make_engine(make_program(block_size=4), device=device)
    finish_all(engine, [engine.submit([1, 2, 3], SamplingParams(temperature=0.0, max_tokens=17))])
    assert device.num_writes == 5  # 19 computed tokens
    assert device.num_clears == 0


# --- the end of the device and of the engine -------------------------------------------------------------------------
class Failing(NullDevice):
    """Lost at the n-th call of `method`."""

    def __init__(self, method: str, calls: int):
        super().__init__()
        self.method, self.calls = method, calls

    def _count(self, method: str) -> None:
        if method == self.method:
            self.calls -= 1
            if self.calls < 0:
                raise DeviceLost("gone")

    def submit(self, step: str, inputs: bytes, count: int = 1, with_logprobs: bool = False) -> int:
        self._count("submit")
        return super().submit(step, inputs, count, with_logprobs)

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        self._count("write")
        super().write(buffer, offset, data)

    async def result(self, ticket: int) -> list[int]:
        self._count("result")
        return await super().result(ticket)


@pytest.mark.parametrize(
    "method, calls", [("submit", 0), ("submit", 5), ("write", 0), ("write", 2), ("result", 0), ("result", 4)]
)
def test_a_lost_device_fails_every_sequence_and_close_still_works(method: str, calls: int) -> None:
    device = Failing(method, calls)
    engine = make_engine(make_program(max_num_seqs=2), device=device)
    sequences = [engine.submit([i, i], GREEDY) for i in range(3)]
    with pytest.raises(DeviceLost):
        finish_all(engine, sequences)
    for sequence in sequences:
        assert sequence.is_finished and isinstance(sequence.error, DeviceLost)
        with pytest.raises(DeviceLost):
            run(engine.wait([sequence]))
        engine.abort(sequence)
    with pytest.raises(DeviceLost):
        engine.submit([1], GREEDY)
    check(engine)
    engine.close()
    assert device.is_closed


def test_what_finished_before_the_loss_can_be_read() -> None:
    device = Failing("submit", 1000)
    engine = make_engine(device=device)
    done = engine.submit([1], GREEDY)
    while not done.is_finished:
        done.take()
        run(engine.wait([done]))
    device.calls = 0
    lost = engine.submit([2], GREEDY)
    with pytest.raises(DeviceLost):
        finish_all(engine, [lost])
    run(engine.wait([done]))
    assert done.finish_reason == "length" and done.error is None


def test_close_twice_and_then_every_use_raises() -> None:
    engine = make_engine()
    sequence = engine.submit([1], GREEDY)
    run(engine.wait([sequence]))
    engine.close()
    engine.close()
    assert sequence.finish_reason == "abort"
    engine.abort(sequence)
    with pytest.raises(EngineClosed):
        run(engine.wait([sequence]))
    with pytest.raises(EngineClosed):
        engine.submit([1], GREEDY)


def test_waiting_for_a_stranger_is_an_error_not_a_hang() -> None:
    engine, other = make_engine(), make_engine()
    with pytest.raises(RuntimeError, match="does not have"):
        run(engine.wait([other.submit([1], GREEDY)]))


# --- several consumers -----------------------------------------------------------------------------------------------
class Suspending(NullDevice):
    """Waits as a browser does: a result comes some turns of the event loop later, or only when the device is closed."""

    def __init__(self, turns: int = 2):
        super().__init__()
        self.turns = turns
        self.gate: asyncio.Event | None = None

    def result(self, ticket: int) -> "Later":
        return Later(self, super().result(ticket))

    async def wait(self) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
            raise EngineClosed("the device was closed")

    def close(self) -> None:
        super().close()
        if self.gate is not None:
            self.gate.set()


class Later:
    """A result that waits anew each time it is awaited."""

    def __init__(self, device: Suspending, sampled: Coroutine[None, None, list[int]]):
        self.device, self.sampled = device, run(sampled)

    def __await__(self) -> Generator[object, None, list[int]]:
        yield from self.device.wait().__await__()
        return self.sampled


async def consume(engine: Engine, prompt: list[int], params: SamplingParams) -> list[int]:
    sequence, got = engine.submit(prompt, params), []
    while not sequence.is_finished:
        await engine.wait([sequence])
        got += sequence.take()
    return got + sequence.take()


@pytest.mark.parametrize("device", [NullDevice, Suspending, lambda: Suspending(0)])
def test_concurrent_consumers_each_get_their_tokens(device) -> None:
    engine = make_engine(make_program(num_blocks=30), device=device())

    async def main() -> list[list[int]]:
        return await asyncio.gather(*(consume(engine, p, GREEDY) for p in PROMPTS * 3))

    assert asyncio.run(main()) == [expected(p, GREEDY, 0, 64)[0] for p in PROMPTS * 3]
    check(engine)


def test_a_cancelled_consumer_costs_the_others_nothing() -> None:
    async def main(turns: int) -> None:
        engine = make_engine(device=Suspending())
        tasks = [asyncio.ensure_future(consume(engine, p, GREEDY)) for p in PROMPTS]
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[2].cancel()
        got = await asyncio.gather(*tasks, return_exceptions=True)
        for i, (result, prompt) in enumerate(zip(got, PROMPTS, strict=True)):
            may_be_cancelled = i in (0, 2) and isinstance(result, asyncio.CancelledError)
            assert may_be_cancelled or result == expected(prompt, GREEDY, 0, 64)[0]
        check(engine)
        engine.close()

    for turns in range(40):
        asyncio.run(main(turns))


def test_close_while_others_wait() -> None:
    async def main() -> None:
        device = Suspending()
        engine = make_engine(device=device)
        device.gate = asyncio.Event()  # nothing comes back any more
        tasks = [asyncio.ensure_future(consume(engine, p, GREEDY)) for p in PROMPTS]
        for _ in range(10):
            await asyncio.sleep(0)
        engine.close()
        got = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert [type(e) for e in got] == [EngineClosed] * len(PROMPTS)

    asyncio.run(main())


def test_a_device_lost_while_others_wait() -> None:
    class Lost(Suspending):
        async def wait(self) -> None:
            await super().wait()
            raise DeviceLost("gone")

    async def main() -> None:
        engine = make_engine(device=Lost())
        got = await asyncio.gather(*(consume(engine, p, GREEDY) for p in PROMPTS), return_exceptions=True)
        assert [type(e) for e in got] == [DeviceLost] * len(PROMPTS)
        engine.close()

    asyncio.run(main())
