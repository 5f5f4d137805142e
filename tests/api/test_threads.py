"""One blocking engine for several threads, and interrupts at any moment: answers are as alone, and the engine goes on."""

import asyncio
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

import fanlight
from fanlight import LocalEngine
from fanlight.api.python import AsyncLocalEngine
from tests.cli.tiny import write_model

ROOT = Path(__file__).parents[2]
PROMPTS = [list(range(3 + i, 30 + 3 * i, 2)) for i in range(6)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


def ask(engine: Any, prompt: list[int], **more: Any) -> Any:
    body = {"max_tokens": 16, "temperature": 0, "ignore_eos": True, "return_token_ids": True}
    return engine.completions.create(prompt=prompt, **body, **more)


def ids(engine: LocalEngine, prompt: list[int], streams: bool) -> list[int]:
    if not streams:
        return ask(engine, prompt).choices[0].token_ids
    with ask(engine, prompt, stream=True) as chunks:
        return [i for chunk in chunks for i in chunk.choices[0].token_ids]


@pytest.mark.parametrize("device", ["null", "reference", pytest.param("native", marks=pytest.mark.minutes)])
def test_threads_get_what_each_gets_alone(model: Path, device: str) -> None:
    with fanlight.load(model, device=device) as engine:
        alone = [ids(engine, prompt, False) for prompt in PROMPTS]
        steps = engine.loaded.engine.stats().num_steps
        with ThreadPoolExecutor(len(PROMPTS)) as pool:
            together = list(pool.map(lambda i: ids(engine, PROMPTS[i], i % 2 == 0), range(len(PROMPTS))))
        assert together == alone
        # They shared steps: four at once, unless each is over before the next thread starts.
        assert device == "null" or engine.loaded.engine.stats().num_steps - steps < 0.75 * steps


def test_threads_that_leave_their_streams_and_close_it(model: Path) -> None:
    engine = fanlight.load(model, device="null")

    def leave(number: int) -> Any:
        try:
            stream = ask(engine, PROMPTS[number % 6], stream=True)
            for _ in range(number % 5):
                next(stream, None)
            if number % 3:
                stream.close()
            return None
        except Exception as error:
            return type(error)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(leave, range(40))) == {None}
        late = [pool.submit(leave, number) for number in range(40)]
        engine.close()
        done, waiting = wait(late, 60)
        assert not waiting and {one.result() for one in done} <= {None, fanlight.errors.EngineClosed}
    assert engine.loaded.engine.stats().num_running == 0
    assert not [t for t in threading.enumerate() if t.name == "fanlight" and t is engine._thread._thread]


PROGRAM = """
import os, sys, fanlight
engine = fanlight.load(sys.argv[1], device=sys.argv[2])
want = engine.completions.create(prompt=[5, 6, 7], max_tokens=8, temperature=0, return_token_ids=True, ignore_eos=True)
print("ready", flush=True)
for line in sys.stdin:
    try:
        while True:
            for chunk in engine.completions.create(prompt=[8, 9], max_tokens=40, stream=True, ignore_eos=True):
                pass
            engine.completions.create(prompt=[8, 9], max_tokens=40, ignore_eos=True)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    got = engine.completions.create(prompt=[5, 6, 7], max_tokens=8, temperature=0, return_token_ids=True, ignore_eos=True)
    print(got.choices[0].token_ids == want.choices[0].token_ids, engine.loaded.engine.stats().num_running, flush=True)
engine.close()
"""


@pytest.mark.parametrize("device", ["reference", pytest.param("native", marks=pytest.mark.minutes)])
def test_a_real_sigint_at_random_moments(model: Path, device: str) -> None:
    command = [sys.executable, "-c", PROGRAM, str(model), device]
    # A shell starts what runs in its background with SIGINT ignored, and children inherit that.
    default = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True, preexec_fn=default)
    assert process.stdin and process.stdout and process.stderr
    draw = random.Random(3)
    try:
        assert process.stdout.readline() == "ready\n"
        for _ in range(8):
            process.stdin.write("go\n")
            process.stdin.flush()
            time.sleep(0.05 + draw.uniform(0, 0.3))
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "stopped\n"
            assert process.stdout.readline() == "True 0\n"
        process.stdin.close()
        assert process.wait(60) == 0
        errors = [line for line in process.stderr.read().splitlines() if "XDG_RUNTIME_DIR" not in line]
        assert errors == []
    finally:
        process.kill()
        process.stdout.close(), process.stderr.close()
        process.wait()


def test_a_task_that_is_cancelled_leaves_the_others_be(model: Path) -> None:
    async def serve() -> None:
        async with await fanlight.aload(model, device="null") as engine:
            alone = [(await ask(engine, prompt)).choices[0].token_ids for prompt in PROMPTS]
            for delay in range(0, 60, 7):
                tasks = [asyncio.ensure_future(ask(engine, prompt)) for prompt in PROMPTS]
                for _ in range(delay):
                    await asyncio.sleep(0)
                tasks[delay % 6].cancel()
                answers = await asyncio.gather(*tasks, return_exceptions=True)
                got = [a if isinstance(a, BaseException) else a.choices[0].token_ids for a in answers]
                assert all(g == a or isinstance(g, asyncio.CancelledError) for g, a in zip(got, alone, strict=True))
                assert sum(isinstance(g, BaseException) for g in got) <= 1
                assert engine.loaded.engine.stats().num_running == engine.loaded.engine.stats().num_waiting == 0

    asyncio.run(serve())


def test_one_asynchronous_engine_in_several_event_loops(model: Path) -> None:
    engine: AsyncLocalEngine = asyncio.run(fanlight.aload(model, device="null"))

    async def several() -> list[list[int]]:
        return [a.choices[0].token_ids for a in await asyncio.gather(*(ask(engine, prompt) for prompt in PROMPTS))]

    assert asyncio.run(several()) == asyncio.run(several())
    asyncio.run(engine.close())
