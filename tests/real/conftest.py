"""The real model and its tokenizer."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fanlight.driver import run
from fanlight.formats.checkpoint import Checkpoint, open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.text.tokenizer import Tokenizer, open_tokenizer
from tests.real.model import CannotDownload, model_file


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """Where a change is judged, these tests run; elsewhere they may lack a network."""
    try:
        return model_file()
    except CannotDownload as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def checkpoint(smollm2: Path) -> Checkpoint:
    return run(open_checkpoint(run(resolve_model(str(smollm2)))))


@pytest.fixture(scope="session")
def tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    return open_tokenizer(checkpoint.format, checkpoint.metadata)


def golden(name: str) -> dict[str, Any]:
    """Made by scripts/golden/record_smollm2.py."""
    return json.loads((Path(__file__).parent / "golden" / f"{name}.json").read_text(encoding="utf-8"))
