"""Where requests share an event loop and a device that blocks, none keeps the others from being heard."""

import asyncio
import itertools
import threading
import time

import pytest

from fanlight import driver
from fanlight.engine import Engine, SamplingParams
from fanlight.engine.sequence import Sequence
from fanlight.errors import EngineBusy
from fanlight.runtime.null import NullDevice
from tests.engine.workload import check, expected, make_engine, make_program

LONG = SamplingParams(temperature=0.0, max_tokens=200)


async def read_all(engine: Engine, sequence: Sequence, seen: list[int]) -> None:
    """As a stream does."""
    while not sequence.is_finished or sequence.num_taken < sequence.num_generated_tokens:
        await engine.wait([sequence])
        seen.append(len(sequence.take()))
        await asyncio.sleep(0)


async def beat(beats: list[int], engine: Engine) -> None:
    while True:
        beats.append(engine.stats().num_steps)
        await asyncio.sleep(0)


def test_one_that_is_queued_stops_neither_streams_nor_anyone_else() -> None:
    async def serve() -> tuple[list[list[int]], list[int], Sequence]:
        engine = make_engine(make_program(max_num_seqs=2, context_length=256, num_blocks=256))
        first, second, queued = (engine.submit([i], LONG) for i in range(3))
        seen: list[list[int]] = [[], [], []]
        beats: list[int] = []
        heart = asyncio.create_task(beat(beats, engine))
        # The queued one waits first, as one whose client sent it before the others read.
        tasks = [asyncio.create_task(read_all(engine, s, n)) for s, n in zip((queued, first, second), seen, strict=True)]
        while len(seen[1]) < 20:
            await asyncio.sleep(0)
        tasks[1].cancel()
        engine.abort(first)
        check(engine)
        await asyncio.gather(*tasks, return_exceptions=True)
        heart.cancel()
        return seen, beats, queued

    seen, beats, queued = asyncio.run(serve())
    # Nobody's tokens pile up while it is not heard, and between any two beats only a few steps were queued.
    assert max(map(max, seen)) <= 8 and sum(seen[2]) == 200
    assert max(later - earlier for earlier, later in itertools.pairwise(beats)) <= 16
    assert queued.generated_token_ids == expected([2], LONG, 0, 256)[0]


def test_a_long_prompt_lets_others_run_between_its_steps() -> None:
    async def serve() -> int:
        engine = make_engine(make_program(context_length=1024, num_blocks=1024))
        sequence = engine.submit([1] * 1000, SamplingParams(temperature=0.0, max_tokens=1))
        beats: list[int] = []
        heart = asyncio.create_task(beat(beats, engine))
        await read_all(engine, sequence, [])
        heart.cancel()
        return len(set(beats))

    assert asyncio.run(serve()) >= 10  # 32 rows a step


def test_the_queue_is_bounded_and_what_is_refused_leaves_no_trace() -> None:
    engine = make_engine(make_program(max_num_seqs=2), max_waiting=3)
    for i in range(3):
        engine.submit([i], LONG)
    with pytest.raises(EngineBusy, match="3 sequences are waiting"):
        engine.submit([9], LONG)
    engine.start()  # two of them get slots
    engine.submit([9], LONG)
    assert (engine.stats().num_running, engine.stats().num_waiting) == (2, 2)


def test_run_goes_on_where_one_only_lets_others_run() -> None:
    async def work(seconds: float) -> int:
        await asyncio.sleep(0)
        return await driver.in_thread(lambda: 7) if not seconds else await asyncio.sleep(seconds, 8)

    assert driver.run(work(0)) == 7
    with pytest.raises(RuntimeError):
        driver.run(work(0.01))


class Slow(NullDevice):
    """As a native one: its results come from another thread, late."""

    async def result(self, ticket: int) -> list[int]:
        await driver.in_thread(lambda: time.sleep(0.001))
        return await super().result(ticket)


class Held(NullDevice):
    """Its results come when the event loop lets them: a loop that waits for them never does."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked, self.go, self.waited = threading.Event(), threading.Event(), []

    def wait(self) -> None:
        self.is_asked.set()
        self.waited.append(self.go.wait(10))

    async def result(self, ticket: int) -> list[int]:
        await driver.in_thread(self.wait)
        return await super().result(ticket)


def test_while_the_gpu_is_waited_for_the_loop_turns() -> None:
    device = Held()

    async def serve() -> None:
        engine = make_engine(device=device)
        sequence = engine.submit([1], SamplingParams(temperature=0.0, max_tokens=2))
        waiting = asyncio.create_task(engine.wait([sequence]))
        while not device.is_asked.is_set():
            await asyncio.sleep(0)
        device.go.set()
        await waiting

    asyncio.run(serve())
    assert device.waited and all(device.waited)


def test_an_engine_may_be_used_in_one_event_loop_after_another() -> None:
    engine = make_engine(device=Slow())

    async def serve() -> list[list[int]]:
        sequences = [engine.submit([i], SamplingParams(temperature=0.0, max_tokens=9)) for i in range(3)]
        await asyncio.gather(*(read_all(engine, sequence, []) for sequence in sequences))
        return [sequence.generated_token_ids for sequence in sequences]

    assert asyncio.run(serve()) == asyncio.run(serve())
