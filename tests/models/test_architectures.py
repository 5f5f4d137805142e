"""Fanlight on the tiny checkpoints and GGUF files of every architecture against what transformers and llama.cpp answered, on an
adapter and in NumPy."""

from pathlib import Path

import pytest

from fanlight.models import ARCHITECTURES
from scripts.golden import architectures_gguf, mamba_gguf, tiny_architectures, tiny_mamba
from tests.models.records import read_record, relative_error
from tests.models.test_models import EXACT, context_of, some_positions

# Of layers that others have too
MINUTES, MINUTES_OF_GGUF = {"qwen3_next-dense"}, {"qwen3_next-published"}
MINUTES |= tiny_mamba.CASES.keys() - {"falcon_h1-published", "jamba-published"}
MINUTES_OF_GGUF |= {*mamba_gguf.CASES} - {"granitemoehybrid-experts"}


@pytest.fixture(params=["native", "reference"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("FANLIGHT_DEVICE", request.param)
    return request.param


def skip_unknown(name: str) -> None:
    known = {tiny_architectures.config_of(name)["model_type"], tiny_architectures.text_config_of(name)["model_type"]}
    if not known & set(ARCHITECTURES):
        pytest.skip(f"no architecture {' or '.join(sorted(known))} yet")


def check_answers(name: str, path: Path, load_model) -> None:
    record = read_record("architectures", name)
    model = load_model(path, context_of(record))
    some = some_positions(record)
    logits = model.logits_of(record.prompt, [record.positions[i] for i in some])
    assert relative_error(logits, record.logits["logits"][some]) < EXACT
    assert model.greedy(record.prompt, len(record.greedy)) == record.greedy


FOLDERS = [pytest.param(name, marks=[pytest.mark.minutes] if name in MINUTES else []) for name in tiny_architectures.CASES]
FILES = [
    pytest.param(name, marks=[pytest.mark.minutes] if name in MINUTES_OF_GGUF else []) for name in architectures_gguf.CASES
]


@pytest.mark.parametrize("name", FOLDERS)
def test_folder_meets_transformers(name: str, device: str, checkpoints: Path, load_model) -> None:
    skip_unknown(name)
    check_answers(name, tiny_architectures.make_checkpoint(name, checkpoints / name), load_model)


@pytest.mark.parametrize("name", FILES)
def test_gguf_meets_transformers(name: str, device: str, checkpoints: Path, load_model) -> None:
    """And transformers is what llama.cpp answers on the file (test_truth)."""
    skip_unknown(name)
    check_answers(name, architectures_gguf.make_gguf(name, checkpoints / f"{name}.gguf"), load_model)
