"""A language model's GGUF file and its vision encoder's (mmproj), as llama.cpp's converter writes them
(scripts/golden/record_vision_gguf.py), against what transformers answers of the folder (record_vision.py)."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanlight
from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.layout import TensorInfo
from fanlight.models.vision.gguf import keys_of_seeing, unswapped
from scripts.golden import tiny_vision, vision_gguf
from tests.models.records import GOLDEN, relative_error
from tests.models.test_models import EXACT
from tests.models.test_vision import CONTEXT, Placed, answers, images_of, kept


@pytest.mark.parametrize("name", vision_gguf.CASES)
def test_a_gguf_file_and_its_mmproj_see_the_same(
    name: str, checkpoints: Path, load_model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANLIGHT_DEVICE", "reference")
    with np.load(GOLDEN / "vision" / f"{name}.npz") as record:
        prompt, greedy, rows = record["prompt"].tolist(), record["greedy"].tolist(), record["rows"]
    folder = checkpoints / f"{name}-gguf"
    vision_gguf.make_files(name, folder)
    model = load_model(folder, CONTEXT)
    assert answers(model, [(prompt, images_of(name, prompt))], len(greedy)) == [greedy]
    for number, expected in enumerate(rows):
        assert relative_error(kept(model, number, *expected.shape), expected) < EXACT


def test_which_files_go_together(checkpoints: Path) -> None:
    text, tower = vision_gguf.make_files("idefics3", checkpoints / "idefics3-files")
    with pytest.raises(FormatError, match="is a vision encoder"):
        fanlight.load(tower, device="reference")
    for files, sees in (([text, tower], True), (text, False)):
        with fanlight.load(files, device="reference") as engine:
            assert engine.info.get("has_vision", False) == sees


@pytest.mark.parametrize("name", ["qwen2_5_vl-published", "qwen3_vl"])
def test_a_gguf_file_has_the_language_model_alone(name: str, checkpoints: Path, load_model) -> None:
    """What the folder's says of a text, of which all positions are alike."""
    folder = load_model(tiny_vision.make_checkpoint(name, checkpoints / name), 64)
    file = load_model(vision_gguf.make_text(name, checkpoints / f"{name}.gguf"), 64)
    assert folder.engine.program.turns and file.engine.program.turns and file.engine.program.image_step is None
    prompts: list[tuple[list[int], tuple[Placed, ...]]] = [([5, 17, 60, 3, 140, 91, 33], ())]
    assert answers(file, prompts, 20) == answers(folder, prompts, 20)


def keys_of(name: str) -> dict[str, Any]:
    record = json.loads((vision_gguf.FOLDER / f"{name}.json").read_text())["mmproj"]["keys"]
    return {key: value for key, (_, value) in record.items()}


def tensors_of(name: str) -> dict[str, TensorInfo]:
    record = json.loads((vision_gguf.FOLDER / f"{name}.json").read_text())["mmproj"]["tensors"]
    return {part: TensorInfo(part, kind, tuple(shape), 0, 0, 0) for part, (kind, shape, _) in record.items()}


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a key that nobody knows": (lambda keys: keys.update({"clip.vision.swiglu_clamp": 7.0}), "swiglu_clamp is 7.0"),
    "another family's key": (lambda keys: keys.update({"clip.vision.projector.query_side": 3}), "query_side is 3"),
    "both activations": (lambda keys: keys.update({"clip.use_gelu": True, "clip.use_silu": True}), "are both true"),
    "another projector": (lambda keys: keys.update({"clip.projector_type": "resampler"}), "known are gemma3, idefics3"),
    "another model's": (lambda keys: keys.update({"clip.projector_type": "gemma3"}), "expected gemma3"),
    "a sound's encoder beside": (lambda keys: keys.update({"clip.has_audio_encoder": True}), "has_audio_encoder is True"),
    "windows of another size": (lambda keys: keys.update({"clip.vision.window_size": 56}), "window_size is 56"),
    "a turn of no layers": (lambda keys: keys.update({"clip.vision.n_wa_pattern": 0}), "n_wa_pattern is 0"),
}

LLAVA_CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "several layers' states side by side": ({"clip.vision.feature_layer": [1, 2]}, "feature_layer is [1, 2] of 2 blocks"),
    "blocks behind the one that is read": ({"clip.vision.feature_layer": [1]}, "expected one layer, the last"),
    "tiles": ({"clip.vision.image_grid_pinpoints": [56, 112]}, "image_grid_pinpoints is [56, 112]"),
    "another way to lay rows": ({"clip.vision.mm_patch_merge_type": "spatial_unpad"}, "mm_patch_merge_type is 'spatial_unpad'"),
}


@pytest.mark.parametrize(("more", "message"), LLAVA_CHANGES.values(), ids=LLAVA_CHANGES)
def test_of_llava_what_is_not_understood_is_refused_by_name(more: dict[str, Any], message: str) -> None:
    assert seen("llava", "llama", {"clip.vision.feature_layer": [2]})["model_type"] == "llava"
    with pytest.raises(UnsupportedModel, match=re.escape(message)):
        seen("llava", "llama", more)


def seen(name: str, text: str, more: dict[str, Any]) -> dict[str, Any]:
    return keys_of_seeing({**keys_of(name), **more}, tensors_of(name), text, "mmproj.gguf")


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_what_is_not_understood_is_refused_by_name(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    name = "qwen2_5_vl-published"
    keys, tensors = keys_of(name), tensors_of(name)
    assert keys_of_seeing(keys, tensors, "qwen2_5_vl", "f")["vision_config"]["fullatt_block_indexes"] == [1]
    change(keys)
    with pytest.raises(UnsupportedModel, match=message):
        keys_of_seeing(keys, tensors, "qwen2_5_vl", "f")


def test_a_projector_goes_with_several_language_models() -> None:
    keys, tensors = keys_of("qwen3_vl"), tensors_of("qwen3_vl")
    for text in ("qwen3_vl", "qwen3_5", "qwen3_5_moe"):
        seen = keys_of_seeing(keys, tensors, text, "f")
        assert seen["model_type"] == text
        assert seen["vision_config"]["deepstack_visual_indexes"] == [0, 2]
        assert seen["vision_config"]["num_position_embeddings"] == 25
    with pytest.raises(UnsupportedModel, match="beside a language model of llama; expected qwen3_vl"):
        keys_of_seeing(keys, tensors, "llama", "f")


def test_keys_of_the_first_converters_are_read() -> None:
    keys, tensors = keys_of("qwen2_5_vl-published"), tensors_of("qwen2_5_vl-published")
    expected = keys_of_seeing(keys, tensors, "qwen2_5_vl", "f")
    keys |= {
        "clip.has_text_encoder": False,
        "clip.has_qwen2vl_merger": True,
        "clip.vision.window_size": 112,
        "clip.use_gelu": False,
    }
    assert keys_of_seeing(keys | {"clip.vision.feed_forward_length": 0}, tensors, "qwen2_5_vl", "f") == expected


def test_mistral_small_may_call_itself_llama(checkpoints: Path, load_model, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the first files of it: the tower merges patches, as Pixtral 12B's does not."""
    monkeypatch.setenv("FANLIGHT_DEVICE", "reference")
    with np.load(GOLDEN / "vision" / "mistral3-turned.npz") as record:
        rows = record["rows"]
    folder = checkpoints / "mistral3-as-llama"
    folder.mkdir()
    vision_gguf.make_text("pixtral", folder / "text.gguf")
    vision_gguf.make_tower("mistral3-turned", folder / "mmproj-tower.gguf")
    model, prompt = load_model(folder, CONTEXT), tiny_vision.prompt_of("mistral3-turned", 0)
    answers(model, [(prompt, images_of("mistral3-turned", prompt))], 1)
    for number, expected in enumerate(rows):
        assert relative_error(kept(model, number, *expected.shape), expected) < EXACT


def test_the_width_of_an_mlp_is_its_tensors() -> None:
    """The converter writes another number of Qwen2-VL's; older files have each other's names for the two products."""
    keys, tensors = keys_of("qwen2_vl"), tensors_of("qwen2_vl")
    assert keys["clip.vision.feed_forward_length"] == 96
    assert keys_of_seeing(keys, tensors, "qwen2_5_vl", "f")["vision_config"]["mlp_ratio"] == 2
    other = {"up": "down", "down": "up"}
    swapped = {
        name.replace(part, other[part]) if (part := name.split(".")[-2][4:]) in other else name: info
        for name, info in tensors.items()
    }
    assert swapped != tensors and unswapped(swapped, 64) == tensors and unswapped(tensors, 64) == tensors


def test_files_of_two_models_are_refused(checkpoints: Path) -> None:
    """Qwen3-VL's language model says how many of its layers are given something."""
    text = vision_gguf.make_text("qwen3_vl", checkpoints / "qwen3_vl-only.gguf")
    tower = vision_gguf.make_tower("qwen3_5-published", checkpoints / "mmproj-qwen3_5-only.gguf")
    with pytest.raises(FormatError, match="n_deepstack_layers is 2, and the encoder has 0"):
        fanlight.load([text, tower], device="reference")
