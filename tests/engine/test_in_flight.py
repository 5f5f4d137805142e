"""How many steps are queued before the oldest is read, and how many go to the device together."""

import itertools

import pytest

from fanlight.driver import run
from fanlight.engine import SamplingParams
from fanlight.engine import pace as pace_module
from fanlight.errors import EngineClosed
from fanlight.runtime.device import MAX_IN_FLIGHT
from fanlight.runtime.null import NullDevice
from tests.engine.workload import expected, finish_all, make_engine

GREEDY = SamplingParams(temperature=0.0, max_tokens=12)


class Watching(NullDevice):
    """Knows how many runs of steps went in each submit, and the most that were open at once."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []
        self.most_open = 0

    def submit(self, step: str, inputs: bytes, count: int = 1, with_logprobs: bool = False) -> int:
        ticket = super().submit(step, inputs, count, with_logprobs)
        self.counts.append(count)
        self.most_open = max(self.most_open, sum(map(len, self._open.values())) // self._prepared.max_num_seqs)
        return ticket


@pytest.mark.parametrize("num_in_flight", range(1, MAX_IN_FLIGHT + 1))
def test_steps_are_submitted_before_the_oldest_is_read(monkeypatch, num_in_flight: int) -> None:
    monkeypatch.setattr(pace_module, "IN_FLIGHT_SECONDS", 9.0)
    engine = make_engine(device=Watching(), num_in_flight=num_in_flight)
    params = SamplingParams(temperature=0.0, max_tokens=40)
    assert finish_all(engine, [engine.submit([1], params)]) == [expected([1], params, 0, 64)[0]]
    together = min(4, max(1, num_in_flight // 2))
    assert num_in_flight - together < engine._device.most_open <= num_in_flight
    assert max(engine._device.counts) == together


def test_a_prompt_is_not_kept_waiting_and_what_follows_goes_together(monkeypatch) -> None:
    monkeypatch.setattr(pace_module, "IN_FLIGHT_SECONDS", 9.0)
    engine = make_engine(device=Watching())
    prompts, params = ([1, 2, 3], [4, 5, 6, 7]), SamplingParams(temperature=0.0, max_tokens=20)
    first = engine.submit(prompts[0], params)
    while first.num_generated_tokens < 8:
        first.take()
        run(engine.wait([first]))
    second = engine.submit(prompts[1], params)
    while running := [sequence for sequence in (first, second) if not sequence.is_finished]:
        for sequence in running:
            sequence.take()
        run(engine.wait(running))
    assert [s.generated_token_ids for s in (first, second)] == [expected(p, params, 0, 64)[0] for p in prompts]
    counts = engine._device.counts
    assert counts[0] == 1 and counts.count(4) >= 4
    assert engine.stats().num_steps == sum(counts)


def test_a_start_queues_steps_before_anyone_waits() -> None:
    engine = make_engine(device=Watching())
    sequence = engine.submit([1, 2, 3], GREEDY)
    assert engine._device.num_submits == 0
    engine.start()
    assert engine._device.num_submits > 0 and not sequence.has_news
    assert finish_all(engine, [sequence]) == [expected([1, 2, 3], GREEDY, 0, 64)[0]]
    engine.close()
    with pytest.raises(EngineClosed):
        engine.start()


@pytest.mark.parametrize(("seconds", "depth", "together"), [(0.0001, 8, 4), (0.002, 5, 2), (0.1, 3, 1)])
def test_fast_steps_are_queued_deeper(monkeypatch, seconds: float, depth: int, together: int) -> None:
    clock = itertools.count()
    monkeypatch.setattr(pace_module.time, "perf_counter", lambda: next(clock) * seconds)
    pace = pace_module.Pace()
    assert pace.depth(8) == 3
    for _ in range(20):
        pace.finished(1, is_last=False)
    assert pace.depth(8) == depth
    assert pace.together(8) == together
    assert pace.depth(2) == 2
