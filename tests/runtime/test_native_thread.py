"""The native device where an event loop has others to run: its thread does what it is told in order, a cancelled waiter leaves
the result to the next one, and closing ends who waits."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import fanlight
from fanlight import driver
from fanlight.api import LoadedModel
from fanlight.engine import SamplingParams
from fanlight.errors import EngineClosed
from tests.cli.tiny import write_model

PROMPT = list(range(20, 60))
GREEDY = SamplingParams(temperature=0.0, max_tokens=12, ignore_eos=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="module")
def loaded(model: Path) -> Iterator[LoadedModel]:
    with fanlight.load(model) as engine:
        yield engine.loaded


def ids(loaded: LoadedModel, params: SamplingParams = GREEDY) -> list[int]:
    sequence = loaded.engine.submit(PROMPT, params)
    while not sequence.is_finished:
        driver.run(loaded.engine.wait([sequence]))
        sequence.take()
    return sequence.generated_token_ids


async def ids_in_loop(loaded: LoadedModel, cancels: bool = False) -> list[int]:
    sequence = loaded.engine.submit(PROMPT, GREEDY)
    while not sequence.is_finished:
        waiting = asyncio.ensure_future(loaded.engine.wait([sequence]))
        if cancels:
            await asyncio.sleep(0.001)
            waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        sequence.take()
    return sequence.generated_token_ids


def test_blocking_and_in_a_loop_and_both_by_turns(loaded: LoadedModel) -> None:
    alone = ids(loaded)
    for cancels in (False, True):
        assert asyncio.run(ids_in_loop(loaded, cancels)) == alone
        assert ids(loaded) == alone


def test_writes_reach_the_gpu_before_what_is_submitted_after_them(loaded: LoadedModel) -> None:
    """A bias is written when a sequence gets its slot: the draw must see it."""
    banned = ids(loaded)[0]
    params = SamplingParams(temperature=0.0, max_tokens=12, ignore_eos=True, logit_bias={banned: -100.0})
    want = ids(loaded, params)
    assert want[0] != banned

    async def several() -> list[list[int]]:
        sequences = [loaded.engine.submit(PROMPT, params if i % 2 else GREEDY) for i in range(6)]
        while not all(s.is_finished for s in sequences):
            await loaded.engine.wait([s for s in sequences if not s.is_finished])
            for s in sequences:
                s.take()
        return [s.generated_token_ids for s in sequences]

    got = asyncio.run(several())
    assert got[1::2] == [want] * 3 and got[0::2] == [ids(loaded)] * 3


def test_closing_ends_who_waits(model: Path) -> None:
    async def close_meanwhile() -> None:
        engine = await fanlight.aload(model)
        asking = asyncio.ensure_future(engine.completions.create(prompt=PROMPT, max_tokens=200, ignore_eos=True))
        while not engine.loaded.engine.stats().num_running:
            await asyncio.sleep(0)
        await engine.close()
        with pytest.raises(EngineClosed):
            await asking

    asyncio.run(close_meanwhile())
