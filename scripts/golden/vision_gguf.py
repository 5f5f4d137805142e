"""GGUF files of the checkpoints of tiny_vision: the language model's, and its vision encoder's (mmproj), as llama.cpp's
converter writes them: with the keys that it wrote (record_vision_gguf.py), and tensors of which each is, by its digest, the one
that it wrote.

Needs NumPy and the `gguf` package; knows nothing of Fanlight."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from scripts.golden import architectures_gguf, tiny_delta, tiny_vision

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "golden" / "vision_gguf"
CASES = (
    *("gemma3-published", "idefics3", "qwen2_vl", "qwen2_5_vl-published", "qwen3_vl", "qwen3_5-published", "lfm2_vl"),
    *("mistral3-turned", "pixtral", "llava"),
)
TEXTS = ("model.language_model.", "model.text_model.", "language_model.model.", "language_model.lm_head.", "lm_head.")
SIGLIP = {
    "embeddings.patch_embedding": "v.patch_embd",
    "embeddings.position_embedding": "v.position_embd",
    "post_layernorm": "v.post_ln",
    "layer_norm1": "ln1",
    "layer_norm2": "ln2",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.out_proj": "attn_out",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
    "modality_projection.proj": "mm.model.fc",
    "mm_soft_emb_norm": "mm.soft_emb_norm",
    "mm_input_projection": "mm.input_projection",
    "layer_norm": "mm.input_norm",
    "linear_1": "mm.1",
    "linear_2": "mm.2",
}
PIXTRAL = {
    "patch_conv": "v.patch_embd",
    "ln_pre": "v.pre_ln",
    "attention_norm": "ln1",
    "ffn_norm": "ln2",
    **{f"attention.{letter}_proj": f"attn_{letter}" for letter in "qkv"},
    "attention.o_proj": "attn_out",
    **{f"feed_forward.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")},
    "norm": "mm.input_norm",
    "patch_merger.merging_layer": "mm.patch_merger",
    "linear_1": "mm.1",
    "linear_2": "mm.2",
}
CLIP = {  # of the first converters, with each other's names for the products of an MLP
    **SIGLIP,
    "pre_layrnorm": "v.pre_ln",
    "mlp.fc1": "ffn_down",
    "mlp.fc2": "ffn_up",
    "linear_1": "mm.0",
    "linear_2": "mm.2",
}
QWEN = {
    "patch_embed.proj": "v.patch_embd",
    "pos_embed": "v.position_embd",
    "norm1": "ln1",
    "norm2": "ln2",
    "attn.qkv": "attn_qkv",
    "attn.proj": "attn_out",
    **{f"mlp.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")},
    **dict.fromkeys(("mlp.fc1", "mlp.linear_fc1"), "ffn_up"),
    **dict.fromkeys(("mlp.fc2", "mlp.linear_fc2"), "ffn_down"),
    **dict.fromkeys(("merger.ln_q", "merger.norm"), "v.post_ln"),
    **dict.fromkeys(("merger.mlp.0", "merger.linear_fc1"), "mm.0"),
    **dict.fromkeys(("merger.mlp.2", "merger.linear_fc2"), "mm.2"),
    "norm": "norm",
    "linear_fc1": "fc1",
    "linear_fc2": "fc2",
}
STARTS = {  # what is no part of the names above
    "model.vision_tower.": "",
    "model.vision_model.": "",
    "model.multi_modal_projector.": "",
    "model.connector.": "",
    "model.visual.": "",
    "vision_tower.vision_model.": "",
    "vision_tower.": "",
    "multi_modal_projector.": "",
    "encoder.": "",
    "transformer.": "",
}


def started(part: str, starts: dict[str, str]) -> str:
    """With one start in another's place, where it has one of them."""
    return next((part.replace(start, other, 1) for start, other in starts.items() if part.startswith(start)), part)


def make_files(name: str, folder: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return make_text(name, folder / f"{name}.gguf"), make_tower(name, folder / f"mmproj-{name}.gguf")


def make_text(name: str, path: Path) -> Path:
    config = tiny_vision.CASES[name].config["text_config"]
    config = {**config, "model_type": {"mistral": "llama"}.get(config["model_type"], config["model_type"])}
    starts = {start: "lm_head." if "lm_head" in start else "model." for start in TEXTS}
    parts = {started(part, starts): values for part, values in tiny_vision.tensors_of(name).items() if part.startswith(TEXTS)}
    tensors = {}
    for part, values in tiny_delta.as_converted(config, parts).items():
        made = architectures_gguf.as_converted(part, values, config)
        tensors[architectures_gguf.gguf_name(part, config["model_type"])] = made
    return written(name, "text", tensors, path)


def make_tower(name: str, path: Path) -> Path:
    parts = {part: values for part, values in tiny_vision.tensors_of(name).items() if not part.startswith(TEXTS)}
    tensors = {made: rows for part, values in parts.items() for made, rows in converted(name, part, values)}
    return written(name, "mmproj", tensors, path)


def converted(name: str, part: str, values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Of a tower's tensor the names and values in GGUF."""
    vision = tiny_vision.CASES[name].config["vision_config"]
    stem, _, kind = started(started(part, STARTS), STARTS).replace("projection_weight", "projection.weight").rpartition(".")
    layer = re.match(r"(layers|blocks|deepstack_merger_list)\.(\d+)\.(.+)", stem)
    names = QWEN if ".visual." in part else {"pixtral": PIXTRAL, "clip_vision_model": CLIP}.get(vision["model_type"], SIGLIP)
    if names is CLIP and (stem == "post_layernorm" or (layer and int(layer[2]) == vision["num_hidden_layers"] - 1)):
        return  # nothing reads it
    if kind == "class_embedding":
        yield "v.class_embd", values
        return
    theirs = names[layer[3] if layer else stem]
    if layer and layer[1].startswith("deepstack"):
        theirs = f"v.deepstack.{vision['deepstack_visual_indexes'][int(layer[2])]}.{theirs}"
    elif layer:
        theirs = f"v.blk.{layer[2]}.{theirs}"
    if part.endswith("patch_embedding.weight") and values.ndim == 2:  # pixel by pixel
        values = values.reshape(len(values), vision["patch_size"], -1, 3).transpose(0, 3, 1, 2)
    if values.ndim == 5:  # of two moments
        yield from ((f"{theirs}.{kind}", values[:, :, 0]), (f"{theirs}.{kind}.1", values[:, :, 1]))
    elif names is PIXTRAL and theirs.endswith(("attn_q", "attn_k")):
        yield f"{theirs}.{kind}", architectures_gguf.for_neighbours(values, vision["head_dim"])
    elif theirs.endswith("attn_qkv") and "qwen3" not in vision["model_type"]:
        yield from ((f"{theirs[:-3]}{letter}.{kind}", rows) for letter, rows in zip("qkv", np.split(values, 3), strict=True))
    else:
        yield f"{theirs}.{kind}", values + np.float32(1) if "soft_emb_norm" in part else values


def written(name: str, kind: str, tensors: dict[str, np.ndarray], path: Path) -> Path:
    """With the keys that were recorded. Raises ValueError where a tensor is none of the converter's."""
    record: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())[kind]
    if found := {*tensors} ^ {*record["tensors"]}:
        raise ValueError(f"{name}: {sorted(found)} are only here, or only in the record")
    arch = next((key.partition(".")[0] for key in record["keys"] if key.endswith(".block_count") and kind == "text"), "clip")
    writer = gguf.GGUFWriter(path, arch)
    if kind == "text":  # which has none, and an empty list is not written; there is no such token
        record["keys"].setdefault("tokenizer.ggml.merges", (("ARRAY", "STRING"), ["a b"]))
    for key, (types, value) in record["keys"].items():
        writer.add_key_value(key, value, *(gguf.GGUFValueType[found] for found in types))
    for tensor, (weights, shape, digest) in record["tensors"].items():
        values = np.ascontiguousarray(tensors[tensor], np.float16 if weights == "F16" else np.float32)
        is_rounded = tensor.endswith(".ssm_a")  # an exponential, whose last bit is PyTorch's
        is_same = is_rounded or hashlib.sha256(values.tobytes()).hexdigest()[:16] == digest
        if [*values.shape] != shape or not is_same:
            raise ValueError(f"{name}: {tensor} {values.shape} is not what the converter wrote")
        writer.add_tensor(tensor, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
