"""Tiny random models as MLC LLM writes them, and the same weights as a Hugging Face folder.

The formulas are MLC's own, in NumPy and apart from Fanlight's reader: a group of 32 columns has s = max|w| / 7 and
n = round(w / s) + 7, eight of them to a u32; a value is (n - 7) s, in the model's dtype."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden.tiny_models import draw_weight, round_to_bf16, tensor_shapes, widen_bf16, write_safetensors

SIZES = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZES |= {"num_key_value_heads": 2, "head_dim": 32, "rms_norm_eps": 1e-5}
BASE = 10000
# model_type -> its configuration in MLC's words, and in Hugging Face's what is otherwise there
CONFIGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "llama": ({"position_embedding_base": BASE, "tie_word_embeddings": False}, {"tie_word_embeddings": False}),
    "mistral": (
        {"position_embedding_base": BASE, "sliding_window_size": -1, "attention_sink_size": 4},
        {"sliding_window": None},
    ),
    "qwen2": (
        {"rope_theta": BASE, "hidden_act": "silu", "tie_word_embeddings": True, "dtype": "float32"},
        {"tie_word_embeddings": True},
    ),
    "qwen3": (
        {"rope_theta": BASE, "hidden_act": "silu", "tie_word_embeddings": False, "attention_bias": False},
        {"attention_bias": False, "tie_word_embeddings": False},
    ),
    "phi3": ({"position_embedding_base": BASE, "max_position_embeddings": 128, "partial_rotary_factor": 1.0}, {}),
}
MLC_OWN = {
    "context_window_size": 128,
    "prefill_chunk_size": 128,
    "tensor_parallel_shards": 1,
    "pipeline_parallel_stages": 1,
    "max_batch_size": 8,
}
SHARD_BYTES = 20_000  # MLC's are of 32 MiB


def make_mlc(kind: str, scheme: str, folder: Path, sizes: dict[str, int] | None = None, **config: Any) -> Path:
    """kind: a model_type. config: more of mlc-chat-config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {**SIZES, **(sizes or {})}
    index = write_index(folder, stored_parts(stacked(kind, drawn(kind, sizes)), scheme))
    (folder / config.pop("index", "tensor-cache.json")).write_text(json.dumps(index))
    own = {name: config.get(name, value) for name, value in MLC_OWN.items()}
    model_config = {**sizes, **CONFIGS[kind][0], **own}
    chat = {"version": "0.1.0", "model_type": kind, "quantization": scheme, "model_config": model_config, **own}
    (folder / "mlc-chat-config.json").write_text(json.dumps({**chat, "vocab_size": sizes["vocab_size"], **config}))
    return folder


def stored_parts(tensors: dict[str, np.ndarray], scheme: str) -> list[tuple[str, str, np.ndarray]]:
    """Name, dtype and values of each tensor, under MLC's names."""
    parts: list[tuple[str, str, np.ndarray]] = []
    for name, values in tensors.items():
        if scheme.startswith("q4") and values.ndim == 2:
            codes, scales = quantized(values, scheme)
            stem = name.removesuffix(".weight")
            parts += [(f"{stem}.q_weight", "uint32", codes), (f"{stem}.q_scale", float_of(scheme), scales)]
        else:
            parts.append((name, float_of(scheme), stored(values, scheme)))
    return parts


def make_twin(kind: str, quantization: str, folder: Path, sizes: dict[str, int] | None = None) -> Path:
    """The values that the MLC model has, as f32, under Hugging Face's names."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {**SIZES, **(sizes or {})}
    tensors = {name: rounded(values, quantization) for name, values in drawn(kind, sizes).items()}
    write_safetensors(folder / "model.safetensors", tensors, dict.fromkeys(tensors, "F32"))
    config = {
        "model_type": kind,
        "rope_theta": BASE,
        "max_position_embeddings": 128,
        "hidden_act": "silu",
        **sizes,
        **CONFIGS[kind][1],
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def drawn(kind: str, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """f32, under Hugging Face's names; of Phi-3 stacked, as it has them itself."""
    config = {**sizes, "model_type": kind, "tie_word_embeddings": CONFIGS[kind][0].get("tie_word_embeddings", False)}
    tensors = {name: draw_weight(f"mlc/{name}", name, shape) for name, shape in tensor_shapes(config)}
    return together(tensors, "qkv_proj", "gate_up_proj") if kind == "phi3" else tensors


def stacked(kind: str, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Under MLC's names."""
    if kind == "phi3":
        return {phi3_name(name): values for name, values in tensors.items()}
    return together(tensors, "c_attn" if kind.startswith("qwen") else "qkv_proj", "gate_up_proj")


def together(tensors: dict[str, np.ndarray], qkv: str | None, gate_up: str | None) -> dict[str, np.ndarray]:
    """Stacked under these names; None: left apart."""
    stacks = (("q_proj", "k_proj", "v_proj"), qkv), (("gate_proj", "up_proj"), gate_up)
    made: dict[str, np.ndarray] = {}
    for name, values in tensors.items():
        for parts, stack in stacks:
            if stack is None:
                continue
            if any(f".{part}." in name for part in parts[1:]):
                break
            if f".{parts[0]}." in name:
                of = [tensors[name.replace(parts[0], part)] for part in parts]
                made[name.replace(parts[0], stack)] = np.concatenate(of)
                break
        else:
            made[name] = values
    return made


PHI3_NAMES = {
    "model.embed_tokens.": "transformer.embd.",
    "model.norm.": "transformer.norm.",
    "model.layers.": "transformer.h.",
    ".input_layernorm.": ".ln.",
    ".self_attn.o_proj.": ".mixer.out_proj.",
    ".self_attn.qkv_proj.": ".mixer.qkv_proj.",
}


def phi3_name(name: str) -> str:
    for ours, theirs in PHI3_NAMES.items():
        name = name.replace(ours, theirs)
    return name


# --- numbers ---------------------------------------------------------------------------------------------------------
def float_of(quantization: str) -> str:
    return "float16" if "f16" in quantization else "float32"


def stored(values: np.ndarray, quantization: str) -> np.ndarray:
    """float32 is bf16 on the disk ("f32-to-bf16")."""
    return (
        values.astype(np.float16)
        if float_of(quantization) == "float16"
        else round_to_bf16(np.ascontiguousarray(values, np.float32))
    )


def widened(values: np.ndarray, quantization: str) -> np.ndarray:
    return values.astype(np.float32) if float_of(quantization) == "float16" else widen_bf16(values)


def quantized(values: np.ndarray, quantization: str) -> tuple[np.ndarray, np.ndarray]:
    """Codes u32 [N, K/8] and scales [N, K/32], as they are stored."""
    groups = values.reshape(len(values), -1, 32)
    scale = np.maximum(np.abs(groups).max(axis=2) / np.float32(7), np.float32(1e-9))
    n = np.clip(np.round(groups / scale[..., None]) + 7, 0, 14).astype(np.uint32).reshape(len(values), -1, 8)
    codes = (n << (4 * np.arange(8, dtype=np.uint32))).sum(axis=2, dtype=np.uint32)
    return codes, stored(scale, quantization)


def rounded(values: np.ndarray, quantization: str) -> np.ndarray:
    """f32: what a reader of the MLC model gets."""
    if values.ndim != 2 or not quantization.startswith("q4"):
        return widened(stored(values, quantization), quantization)
    codes, scales = quantized(values, quantization)
    n = ((codes[..., None] >> (4 * np.arange(8, dtype=np.uint32))) & 15).reshape(len(values), -1, 32)
    return ((n.astype(np.float32) - 7) * widened(scales, quantization)[..., None]).reshape(values.shape)


# --- files -----------------------------------------------------------------------------------------------------------
def write_index(folder: Path, parts: list[tuple[str, str, np.ndarray]]) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    return {"metadata": {"ParamSize": len(parts)}, "records": write_shards(folder, parts)}


def write_shards(folder: Path, parts: list[tuple[str, str, np.ndarray]]) -> list[dict[str, Any]]:
    shards: list[tuple[bytearray, list[dict[str, Any]]]] = [(bytearray(), [])]
    for name, dtype, values in parts:
        if shards[-1][0] and len(shards[-1][0]) + values.nbytes > SHARD_BYTES:
            shards.append((bytearray(), []))
        data, records = shards[-1]
        shape = list(values.shape)
        record = {
            "name": name,
            "shape": shape,
            "dtype": dtype,
            "format": "f32-to-bf16",
            "nbytes": values.nbytes,
            "byteOffset": len(data),
        }
        records.append(record)
        data += values.tobytes()
    made = []
    for i, (data, records) in enumerate(shards):
        path = f"params_shard_{i}.bin"
        (folder / path).write_bytes(data)
        md5 = hashlib.md5(data).hexdigest()
        made.append({"dataPath": path, "format": "raw-shard", "nbytes": len(data), "md5sum": md5, "records": records})
    return made
