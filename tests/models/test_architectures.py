"""Fanlight on the tiny checkpoints and GGUF files of every architecture against what transformers and llama.cpp answered, on an
adapter (one case of each architecture, and all with minutes) and in NumPy."""

from collections.abc import Collection
from pathlib import Path

import pytest

from fanlight.models import ARCHITECTURES
from scripts.golden import architectures_gguf, mamba_gguf, tiny_architectures, tiny_mamba
from tests.models.devices import on_devices
from tests.models.records import read_record, relative_error
from tests.models.test_models import EXACT, context_of, some_positions

# Of layers that others have too
MINUTES, MINUTES_OF_GGUF = {"qwen3_next-dense"}, {"qwen3_next-published"}
MINUTES |= tiny_mamba.CASES.keys() - {"falcon_h1-published", "jamba-published"}
MINUTES_OF_GGUF |= {*mamba_gguf.CASES} - {"granitemoehybrid-experts"}


def firsts_of(names: Collection[str], seen: Collection[str] = ()) -> dict[str, str]:
    """By architecture, of those that are not `seen` yet."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(tiny_architectures.text_config_of(name)["model_type"], name)
    return {architecture: name for architecture, name in found.items() if architecture not in seen}


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


FIRST = firsts_of([name for name in tiny_architectures.CASES if name not in MINUTES])
FIRST_FILES = firsts_of([name for name in architectures_gguf.CASES if name not in MINUTES_OF_GGUF], FIRST)
FOLDERS = on_devices(tiny_architectures.CASES, FIRST.values(), MINUTES)
FILES = on_devices(architectures_gguf.CASES, FIRST_FILES.values(), MINUTES_OF_GGUF)


@pytest.mark.parametrize(("name", "device"), FOLDERS, indirect=["device"])
def test_folder_meets_transformers(name: str, device: str, checkpoints: Path, load_model) -> None:
    skip_unknown(name)
    check_answers(name, tiny_architectures.make_checkpoint(name, checkpoints / name), load_model)


@pytest.mark.parametrize(("name", "device"), FILES, indirect=["device"])
def test_gguf_meets_transformers(name: str, device: str, checkpoints: Path, load_model) -> None:
    """And transformers is what llama.cpp answers on the file (test_truth)."""
    skip_unknown(name)
    check_answers(name, architectures_gguf.make_gguf(name, checkpoints / f"{name}.gguf"), load_model)
