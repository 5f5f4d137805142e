"""The recorded answers of transformers and llama.cpp, and how far two sets of logits are apart."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden"


@dataclass(frozen=True, slots=True)
class Record:
    prompt: list[int]
    greedy: list[int]
    positions: list[int]  # of the prompt; the logits after each of them follow
    logits: dict[str, np.ndarray]  # by who computed them: f32 [positions, V]


def read_record(oracle: str, name: str) -> Record:
    with np.load(GOLDEN / oracle / f"{name}.npz") as arrays:
        lists = {key: arrays[key].tolist() for key in ("prompt", "greedy", "positions")}
        return Record(**lists, logits={key: arrays[key] for key in arrays.files if key not in lists})


def read_about(oracle: str) -> dict[str, Any]:
    return json.loads((GOLDEN / oracle / "about.json").read_text())


def relative_error(logits: np.ndarray, truth: np.ndarray) -> float:
    """The largest difference, as a share of the largest logit."""
    assert logits.shape == truth.shape
    return float(np.abs(logits - truth).max() / np.abs(truth).max())
