"""Fanlight on the tiny models against what transformers and llama.cpp answered (scripts/golden, tests/golden)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scripts.golden import forward, tiny_gguf, tiny_models
from tests.models.devices import on_devices
from tests.models.records import Record, read_about, read_record, relative_error

EXACT = 1e-3  # against float32 and float64, with a float32 KV cache: a half-precision one alone may cost more

NATIVELY = {"llama-plain", "llama-head128", "llama-f16", "mistral-window", "qwen2-groups7", "qwen3-tied"}
NATIVELY |= {"llama-Q3_K", "llama-Q5_0", "llama-Q4_K_M", "llama-narrow-Q4_0", "llama-rope-freqs-Q8_0", "qwen3-Q8_0"}
ENOUGH_POSITIONS = 5  # each costs a prefill; the first and the last ones are taken


def some_positions(record: Record) -> list[int]:
    """Indices into the record's positions."""
    count = len(record.positions)
    return sorted({0, 1, *range(max(0, count - ENOUGH_POSITIONS + 2), count)})


def context_of(record: Record) -> int:
    return len(record.prompt) + len(record.greedy) + 1


@pytest.mark.parametrize(("name", "device"), on_devices(tiny_models.CASES, NATIVELY), indirect=["device"])
def test_meets_transformers(name: str, device: str, checkpoints: Path, load_model) -> None:
    record = read_record("transformers", name)
    model = load_model(tiny_models.make_checkpoint(name, checkpoints / name), context_of(record))
    some = some_positions(record)
    logits = model.logits_of(record.prompt, [record.positions[i] for i in some])
    assert relative_error(logits, record.logits["logits"][some]) < EXACT
    assert model.greedy(record.prompt, len(record.greedy)) == record.greedy


@pytest.mark.parametrize(("name", "device"), on_devices(tiny_gguf.CASES, NATIVELY), indirect=["device"])
def test_meets_gguf_and_llamacpp(name: str, device: str, checkpoints: Path, load_model) -> None:
    """Tightly with exact arithmetic on the weights as the gguf package reads them, and no farther from llama.cpp, which rounds
    activations to 8 bit, than exact arithmetic is; its 32 greedy tokens are ours."""
    record = read_record("llamacpp", name)
    model = load_model(tiny_gguf.make_gguf(name, checkpoints / f"{name}.gguf"), context_of(record))
    some = some_positions(record)
    logits = model.logits_of(record.prompt, [record.positions[i] for i in some])
    assert relative_error(logits, record.logits["exact"][some]) < EXACT
    distance = relative_error(record.logits["exact"][some], record.logits["llamacpp"][some])
    assert relative_error(logits, record.logits["llamacpp"][some]) < distance + EXACT
    assert read_about("llamacpp")["cases"][name]["distance"] < 0.08, "llama.cpp itself is far from exact: record another prompt"
    assert model.greedy(record.prompt, len(record.greedy)) == record.greedy


@pytest.mark.parametrize(("name", "device"), on_devices(tiny_gguf.CASES, NATIVELY), indirect=["device"])
def test_integer_activations_are_as_good_as_llamacpps(name: str, device: str, checkpoints: Path, load_model) -> None:
    """Rounding activations to 8 bit takes the logits about as far from exact arithmetic as it takes llama.cpp's, which has one
    scale to 32 values too."""
    record = read_record("llamacpp", name)
    model = load_model(tiny_gguf.make_gguf(name, checkpoints / f"{name}.gguf"), context_of(record), activations="int8")
    some = some_positions(record)
    logits = model.logits_of(record.prompt, [record.positions[i] for i in some])
    distance = relative_error(record.logits["exact"][some], record.logits["llamacpp"][some])
    assert relative_error(logits, record.logits["exact"][some]) < 1.5 * distance + EXACT


@pytest.mark.parametrize("name", ["llama-Q4_K_M", "llama-narrow-Q4_0", "qwen2-Q8_0", "qwen3-Q8_0"])
def test_half_precision_cache_rounds_keys_and_values_only(name: str, checkpoints: Path, load_model) -> None:
    """The default cache: the distance from exact is what rounding keys and values to f16 costs, and nothing else."""
    record = read_record("llamacpp", name)
    path = tiny_gguf.make_gguf(name, checkpoints / f"{name}.gguf")
    positions = [record.positions[i] for i in some_positions(record)]
    logits = load_model(path, context_of(record), kv_dtype="f16").logits_of(record.prompt, positions)
    decoder = replace(tiny_gguf.decoder_of(name), cache_dtype=np.float16)
    truth = forward.forward(decoder, forward.as_f64(tiny_gguf.weights_of(name)), record.prompt)
    assert relative_error(logits, truth[positions]) < EXACT
