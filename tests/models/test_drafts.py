"""Layers that only predict ahead (multi-token prediction) are known by their place, and left out."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from fanlight.errors import UnsupportedModel
from scripts.golden import architectures_gguf, tiny_architectures, tiny_models
from tests.models.test_graphs import opened

AHEAD = ("enorm.weight", "hnorm.weight", "eh_proj.weight", "shared_head.norm.weight", "self_attn.q_proj.weight")


def folder_with(name: str, tensors: dict[str, np.ndarray], folder: Path) -> Path:
    """The case's folder, with more tensors."""
    config, whole = tiny_architectures.config_of(name), tiny_architectures.rounded_tensors(name) | tensors
    return tiny_models.write_folder(folder, config, config["vocab_size"], whole, dict.fromkeys(whole, "F32"))


@pytest.mark.parametrize(
    ("name", "ahead", "beyond"),
    [
        ("glm4_moe-published", [f"model.layers.3.{part}" for part in AHEAD], "model.layers.4.enorm.weight"),
        ("mellum-ropes", ["mtp.norm.weight", "mtp.layers.0.self_attn.q_proj.weight"], "model.layers.3.enorm.weight"),
    ],
)
def test_a_folder_has_them_after_the_last_layer(name: str, ahead: list[str], beyond: str, tmp_path: Path) -> None:
    some = np.ones((8, 8), np.float32)
    _, model = opened(folder_with(name, dict.fromkeys(ahead, some), tmp_path / "ahead"))
    assert model.config.num_hidden_layers == 3
    with pytest.raises(UnsupportedModel, match=beyond):
        opened(folder_with(name, {beyond: some}, tmp_path / "beyond"))


def test_a_gguf_file_counts_them_among_its_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, made, keys = "glm4_moe-published", architectures_gguf.make_tensors, architectures_gguf.own_keys
    ahead = {f"blk.3.{part}.weight": np.ones((8, 8), np.float32) for part in ("nextn.eh_proj", "nextn.enorm", "attn_q")}
    stored = {part: (gguf.GGMLQuantizationType.F32, values) for part, values in ahead.items()}

    def counted(config: dict[str, Any]) -> dict[str, Any]:
        return keys(config) | {"block_count": 4, "nextn_predict_layers": 1}

    monkeypatch.setattr(architectures_gguf, "make_tensors", lambda case: made(case) | stored)
    monkeypatch.setattr(architectures_gguf, "own_keys", counted)
    _, model = opened(architectures_gguf.make_gguf(name, tmp_path / "ahead.gguf"))
    assert (model.config.num_hidden_layers, model.config.drafts) == (3, 1)
    stored["blk.4.nextn.enorm.weight"] = stored["blk.3.nextn.enorm.weight"]
    with pytest.raises(UnsupportedModel, match=r"blk\.4"):
        opened(architectures_gguf.make_gguf(name, tmp_path / "beyond.gguf"))
