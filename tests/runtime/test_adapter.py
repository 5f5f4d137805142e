"""Several models on one adapter: each answers as it does alone, within one memory, and ends by itself."""

from dataclasses import replace
from typing import Any

import pytest

import fanlight
from fanlight.api.python import LocalEngine
from fanlight.compiler.memory import memory_plan
from fanlight.compiler.program import Limits
from fanlight.driver import run
from fanlight.engine import Engine, SamplingParams
from fanlight.errors import DeviceError, DoesNotFit, EngineClosed
from fanlight.runtime import open_adapter, open_device
from fanlight.runtime.adapter import Adapter
from fanlight.runtime.device import Device
from scripts.golden import tiny_gguf
from tests.engine.workload import make_program

SHARED = ("native", "reference", "null")
PROMPTS = {"built-in": [11, 22, 33, 44, 55, 66], "tiny": [3, 1, 4, 1, 5, 9, 2, 6]}
COUNT = 6


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Any]:
    name = "llama-narrow-Q4_0"
    return {"built-in": "built-in", "tiny": tiny_gguf.make_gguf(name, tmp_path_factory.mktemp("models") / f"{name}.gguf")}


@pytest.fixture(autouse=True)
def _no_notes(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("FANLIGHT_NOTES", str(tmp_path))
    monkeypatch.setenv("FANLIGHT_TUNE", "0")


def load(models: dict[str, Any], name: str, device: str | Device | Adapter, context: int | None = 64) -> LocalEngine:
    return fanlight.load(models[name], context_length=context, max_num_seqs=2, device=device, name=name)


def begin(engine: LocalEngine) -> Any:
    params = SamplingParams(temperature=0.9, seed=7, max_tokens=COUNT, ignore_eos=True)
    return engine.loaded.engine.submit(PROMPTS[engine.loaded.model_name], params)


def advance(engine: LocalEngine, sequence: Any) -> list[int]:
    run(engine.loaded.engine.wait([sequence]))
    return sequence.take()


def answer(engine: LocalEngine) -> list[int]:
    sequence, ids = begin(engine), []
    while len(ids) < COUNT:
        ids += advance(engine, sequence)
    return ids


def interleaved(engines: list[LocalEngine]) -> list[list[int]]:
    """One step of each in turn."""
    sequences, ids = [begin(engine) for engine in engines], [[] for _ in engines]
    while any(len(found) < COUNT for found in ids):
        for engine, sequence, found in zip(engines, sequences, ids, strict=True):
            if len(found) < COUNT:
                found += advance(engine, sequence)
    return ids


@pytest.mark.parametrize("kind", SHARED)
def test_two_models_answer_as_alone(models, kind):
    names = list(PROMPTS) if kind != "reference" else ["tiny", "tiny"]  # NumPy is slow
    alone = []
    for name in names:
        with load(models, name, kind) as engine:
            alone.append(answer(engine))
    adapter = open_adapter(kind)
    engines = [load(models, name, adapter) for name in names]
    assert interleaved(engines) == alone
    engines[0].close()
    assert answer(engines[1]) == alone[1]
    with pytest.raises(EngineClosed):
        answer(engines[0])
    third = load(models, names[0], adapter)
    assert interleaved([engines[1], third]) == [alone[1], alone[0]]
    adapter.close()
    with pytest.raises(DeviceError, match="closed"):
        load(models, names[0], adapter)


def total_of(engine: LocalEngine) -> int:
    assert isinstance(engine.loaded.engine, Engine)
    return memory_plan(engine.loaded.engine.program.buffers)["total"]


@pytest.mark.parametrize("kind", ["native", "null"])
def test_one_memory_for_all(models, kind):
    with load(models, "built-in", kind) as big, load(models, "tiny", kind) as small:
        sizes = total_of(big), total_of(small)
    adapter = fanlight.open_adapter(kind, memory_bytes=sum(sizes))
    big = load(models, "built-in", adapter)
    assert adapter.limits.memory_bytes == sizes[1]
    small = load(models, "tiny", adapter)
    assert adapter.limits.memory_bytes == 0
    assert small.loaded.engine._device.limits.memory_bytes == sizes[1]  # its own does not count against it
    small.close()
    adapter.allow(sum(sizes) - 1)
    with pytest.raises(DoesNotFit, match="this adapter may use"):
        load(models, "tiny", adapter)
    assert adapter.limits.memory_bytes == sizes[1] - 1
    big.close()
    assert adapter.limits.memory_bytes == sum(sizes) - 1
    with load(models, "tiny", adapter) as engine:
        assert len(answer(engine)) == COUNT


def test_a_context_is_what_the_others_leave(models):
    """Where none is asked for."""
    with load(models, "built-in", "null", None) as engine:
        whole, total = engine.loaded.info["context_length"], total_of(engine)
    adapter = fanlight.open_adapter("null", memory_bytes=2 * total - (1 << 20))
    first, second = (load(models, "built-in", adapter, None) for _ in range(2))
    assert first.loaded.info["context_length"] == whole
    assert 256 <= second.loaded.info["context_length"] < whole
    assert second.loaded.info["memory"]["total"] + total <= 2 * total - (1 << 20)


@pytest.mark.parametrize("kind", SHARED)
def test_a_program_that_was_compiled_for_more_is_refused(kind):
    """Two that each fit alone: the second to be prepared does not, and leaves the first as it was."""
    program = make_program()
    size = memory_plan(program.buffers)["total"]
    adapter = open_adapter(kind, replace(open_device(kind).limits, memory_bytes=2 * size - 1))
    first, second = adapter.device(), adapter.device()
    run(first.prepare(program))
    run(first.prepare(program))  # in place of the first
    with pytest.raises(DoesNotFit, match="others leave"):
        run(second.prepare(program))
    first.write("logit_bias", 0, b"abcd")
    first.close()
    run(second.prepare(program))
    assert run(second.read("logit_bias", 0, 4)) == bytes(4)
    del second
    assert adapter.limits.memory_bytes == 2 * size - 1  # a device that nobody has holds nothing


def test_the_smaller_budget_counts():
    assert open_adapter("null", Limits(memory_bytes=5), 7).limits.memory_bytes == 5
    assert open_adapter("null", Limits(memory_bytes=9), 7).limits.memory_bytes == 7
    assert open_adapter("null", Limits(), 7).limits.memory_bytes == 7
    assert open_adapter("null").limits.memory_bytes is None
