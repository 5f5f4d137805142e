"""Fanlight on the tiny models against what transformers and llama.cpp answered (scripts/golden, tests/golden)."""

from pathlib import Path

import pytest

from scripts.golden import tiny_gguf, tiny_models
from tests.models.records import Record, read_about, read_record, relative_error

EXACT = 1e-3  # against float32 and float64: the order of the sums, and half-precision roundings on the way

ENOUGH_POSITIONS = 5  # each costs a prefill; the first and the last ones are taken


def some_positions(record: Record) -> list[int]:
    """Indices into the record's positions."""
    count = len(record.positions)
    return sorted({0, 1, *range(max(0, count - ENOUGH_POSITIONS + 2), count)})


def context_of(record: Record) -> int:
    return len(record.prompt) + len(record.greedy) + 1


@pytest.mark.parametrize("name", tiny_models.CASES)
def test_meets_transformers(name: str, checkpoints: Path, load_model) -> None:
    record = read_record("transformers", name)
    model = load_model(tiny_models.make_checkpoint(name, checkpoints / name), context_of(record))
    some = some_positions(record)
    logits = model.logits_of(record.prompt, [record.positions[i] for i in some])
    assert relative_error(logits, record.logits["logits"][some]) < EXACT
    assert model.greedy(record.prompt, len(record.greedy)) == record.greedy


@pytest.mark.parametrize("name", tiny_gguf.CASES)
def test_meets_gguf_and_llamacpp(name: str, checkpoints: Path, load_model) -> None:
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
