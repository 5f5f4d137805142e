"""Families with the gated delta rule, for tiny_architectures and architectures_gguf: their cases, the shapes of their layers,
and what llama.cpp's converter makes of their tensors."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scripts.golden.tiny_models import EOS_TOKEN_ID, draw_uniform, heads
from scripts.golden.tiny_parts import FULL, SHARED, SILU, Shapes, TinyArchitecture, default_rope, family, linear, norms, widths

LINEAR = "linear_attention"
QWEN3_5 = family("Qwen3_5", "qwen3_5_text", rms_norm_eps=1e-6, attention_bias=False, **SILU)
QWEN3_5_MOE = family("Qwen3_5Moe", "qwen3_5_moe_text", rms_norm_eps=1e-6, attention_bias=False, **SILU)
QWEN3_NEXT = family("Qwen3Next", "qwen3_next", rms_norm_eps=1e-6, tie_word_embeddings=False, **SILU)
FAMILIES = ("qwen3_5_text", "qwen3_5_moe_text", "qwen3_next")
MROPE = {"mrope_interleaved": True, "mrope_section": [3, 3, 2]}
VISION = {"depth": 1, "hidden_size": 16, "num_heads": 2, "in_channels": 3, "patch_size": 2, "temporal_patch_size": 2}
VISION |= {"intermediate_size": 24, "out_hidden_size": 96, "spatial_merge_size": 2, "num_position_embeddings": 9}
MARKS = {"image_token_id": 300, "video_token_id": 301, "vision_start_token_id": 302, "vision_end_token_id": 303}


def delta_heads(key: int, value: int, key_dim: int, value_dim: int, taps: int = 4) -> dict[str, int]:
    counts = {"linear_num_key_heads": key, "linear_num_value_heads": value, "linear_conv_kernel_dim": taps}
    return counts | {"linear_key_head_dim": key_dim, "linear_value_head_dim": value_dim}


CASES: dict[str, TinyArchitecture] = {
    "qwen3_5-published": TinyArchitecture(
        {
            "architectures": ["Qwen3_5ForConditionalGeneration"],
            "model_type": "qwen3_5",
            "vision_config": {"model_type": "qwen3_5", "deepstack_visual_indexes": [], **VISION},
            "tie_word_embeddings": True,
            "eos_token_id": EOS_TOKEN_ID,
            **MARKS,
            "text_config": {**SHARED, **QWEN3_5, **heads(4, 2, 32), **delta_heads(2, 6, 16, 16), "num_hidden_layers": 5}
            | {"full_attention_interval": 4, "layer_types": [LINEAR, LINEAR, LINEAR, FULL, LINEAR], "attn_output_gate": True}
            | {"mtp_num_hidden_layers": 1, "mtp_use_dedicated_embeddings": False, "mamba_ssm_dtype": "float32"}
            | {"tie_word_embeddings": True, "mlp_only_layers": []}
            | default_rope(10000.0, partial_rotary_factor=0.5, **MROPE),
        },
        about="nested, as published: three value heads to a key head, a block for drafts and a vision model beside it",
    ),
    "qwen3_5-types": TinyArchitecture(
        {**QWEN3_5, **heads(3, 1, 40), **delta_heads(3, 3, 12, 20, 3), "hidden_size": 100, "num_hidden_layers": 4}
        | {"layer_types": [FULL, LINEAR, LINEAR, FULL], "tie_word_embeddings": False}
        | default_rope(900.0, partial_rotary_factor=0.4, mrope_section=[3, 3, 2], mrope_interleaved=True),
        dtype="BF16",
        about="layers by their kinds, the first one with attention; keys and values of other widths, none a multiple of 8",
    ),
    "qwen3_next-published": TinyArchitecture(
        {**QWEN3_NEXT, **heads(4, 1, 32), **delta_heads(2, 4, 16, 16), "num_hidden_layers": 4, "partial_rotary_factor": 0.25}
        | {"full_attention_interval": 4, "decoder_sparse_step": 1, "mlp_only_layers": [], "num_experts": 6}
        | {"num_experts_per_tok": 3, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 64}
        | {"norm_topk_prob": True, "router_aux_loss_coef": 0.001, "output_router_logits": False, "attention_bias": False}
        | {"rope_theta": 10000.0, "rope_scaling": None, "use_sliding_window": False},
        about="layers by their interval; queries, keys, values and gates of each key head in turn; experts",
    ),
    "qwen3_next-dense": TinyArchitecture(
        {**QWEN3_NEXT, **heads(2, 2, 24), **delta_heads(3, 6, 24, 32), "hidden_size": 72, "num_hidden_layers": 4}
        | {"layer_types": [LINEAR, FULL, LINEAR, LINEAR], "decoder_sparse_step": 2, "mlp_only_layers": [3], "num_experts": 4}
        | {"num_experts_per_tok": 2, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 40}
        | {"norm_topk_prob": False, "attention_bias": True, **default_rope(700.0, partial_rotary_factor=0.5)},
        about="experts in the second layer only, whose shares do not add up to 1; biases in attention",
    ),
    "qwen3_5_moe-published": TinyArchitecture(
        {
            "architectures": ["Qwen3_5MoeForConditionalGeneration"],
            "model_type": "qwen3_5_moe",
            "vision_config": {"model_type": "qwen3_5_moe", "deepstack_visual_indexes": [], **VISION},
            "tie_word_embeddings": False,
            "eos_token_id": EOS_TOKEN_ID,
            **MARKS,
            "text_config": {**SHARED, **QWEN3_5_MOE, **heads(4, 2, 32), **delta_heads(2, 4, 16, 16), "num_hidden_layers": 4}
            | {"full_attention_interval": 4, "layer_types": [LINEAR, LINEAR, LINEAR, FULL], "attn_output_gate": True}
            | {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "mtp_num_hidden_layers": 1}
            | {"shared_expert_intermediate_size": 64, "router_aux_loss_coef": 0.001, "output_router_logits": False}
            | {"mamba_ssm_dtype": "float32", "mtp_use_dedicated_embeddings": False}
            | default_rope(10000.0, partial_rotary_factor=0.5, **MROPE),
        },
        about="nested, as published; each layer's experts in two tensors",
    ),
}


# ---- shapes


def kind_of(config: dict[str, Any], layer: int) -> str:
    if "layer_types" in config:
        return config["layer_types"][layer]
    return LINEAR if (layer + 1) % config["full_attention_interval"] else FULL


def delta_layer(config: dict[str, Any]) -> Shapes:
    yield from norms(config["hidden_size"], "input_layernorm", "post_attention_layernorm")
    yield from delta_net(config) if kind_of(config, config["layer"]) == LINEAR else gated_attention(config)
    if has_experts(config, config["layer"]):
        yield from experts(config)
    else:
        yield from gated("mlp", config["hidden_size"], config["intermediate_size"])


def gated_attention(config: dict[str, Any]) -> Shapes:
    """Queries and gates of each head in turn."""
    hidden, has_bias, (head_dim, query, key_value) = config["hidden_size"], config.get("attention_bias", False), widths(config)
    yield from linear("self_attn.q_proj", 2 * query, hidden, has_bias)
    yield from linear("self_attn.k_proj", key_value, hidden, has_bias)
    yield from linear("self_attn.v_proj", key_value, hidden, has_bias)
    yield from linear("self_attn.o_proj", hidden, query, has_bias)
    yield from norms(head_dim, "self_attn.q_norm", "self_attn.k_norm")


def sizes_of(config: dict[str, Any]) -> tuple[int, int, int, int]:
    """Key heads, value heads, widths of both."""
    counts = config["linear_num_key_heads"], config["linear_num_value_heads"]
    return *counts, config["linear_key_head_dim"], config["linear_value_head_dim"]


def delta_net(config: dict[str, Any]) -> Shapes:
    hidden, (key_heads, value_heads, key_dim, value_dim) = config["hidden_size"], sizes_of(config)
    keys, values = key_heads * key_dim, value_heads * value_dim
    if config["model_type"] == "qwen3_next":
        yield from linear("linear_attn.in_proj_qkvz", 2 * keys + 2 * values, hidden)
        yield from linear("linear_attn.in_proj_ba", 2 * value_heads, hidden)
    else:
        yield from linear("linear_attn.in_proj_qkv", 2 * keys + values, hidden)
        yield from linear("linear_attn.in_proj_z", values, hidden)
        yield from linear("linear_attn.in_proj_b", value_heads, hidden)
        yield from linear("linear_attn.in_proj_a", value_heads, hidden)
    yield "linear_attn.conv1d.weight", (2 * keys + values, 1, config["linear_conv_kernel_dim"])
    yield "linear_attn.dt_bias", (value_heads,)
    yield "linear_attn.A_log", (value_heads,)
    yield from norms(value_dim, "linear_attn.norm")
    yield from linear("linear_attn.out_proj", hidden, values)


def has_experts(config: dict[str, Any], layer: int) -> bool:
    step = config.get("decoder_sparse_step", 1)
    return bool(config.get("num_experts")) and (layer + 1) % step == 0 and layer not in config.get("mlp_only_layers", ())


def gated(part: str, hidden: int, size: int) -> Shapes:
    yield from linear(f"{part}.gate_proj", size, hidden)
    yield from linear(f"{part}.up_proj", size, hidden)
    yield from linear(f"{part}.down_proj", hidden, size)


def experts(config: dict[str, Any]) -> Shapes:
    hidden, count, size = config["hidden_size"], config["num_experts"], config["moe_intermediate_size"]
    yield from linear("mlp.gate", count, hidden)
    if config["model_type"] == "qwen3_next":
        for expert in range(count):
            yield from gated(f"mlp.experts.{expert}", hidden, size)
    else:
        yield "mlp.experts.gate_up_proj", (count, 2 * size, hidden)
        yield "mlp.experts.down_proj", (count, hidden, size)
    yield from gated("mlp.shared_expert", hidden, config["shared_expert_intermediate_size"])
    yield from linear("mlp.shared_expert_gate", 1, hidden)


def vision_shapes(config: dict[str, Any]) -> Shapes:
    """Some of the vision model's, and of the block that predicts ahead: no text meets them."""
    vision, hidden = config["vision_config"], config["text_config"]["hidden_size"]
    patch = vision["temporal_patch_size"], vision["patch_size"], vision["patch_size"]
    yield "visual.patch_embed.proj.weight", (vision["hidden_size"], vision["in_channels"], *patch)
    yield "visual.patch_embed.proj.bias", (vision["hidden_size"],)
    yield from linear("visual.blocks.0.attn.qkv", 3 * vision["hidden_size"], vision["hidden_size"], True)
    yield from linear("mtp.fc", hidden, 2 * hidden)
    yield from norms(hidden, "mtp.norm", "mtp.pre_fc_norm_embedding", "mtp.layers.0.input_layernorm")


LAYERS: dict[str, Callable[[dict[str, Any]], Shapes]] = dict.fromkeys(FAMILIES, delta_layer)
VISION_SHAPES = dict.fromkeys(("qwen3_5", "qwen3_5_moe"), vision_shapes)


# ---- numbers


def draw_weight(key: str, part: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """Of what has no like elsewhere: how fast heads forget; norms that multiply by 1 + weight."""
    if part.endswith("A_log"):
        return draw_uniform(key, shape, 1.0) - np.float32(1)
    if "norm" in part and "linear_attn" not in part:
        return draw_uniform(key, shape, 0.25) + np.float32(0.7 if "self_attn" in part else 0.0)
    return None


# ---- GGUF

NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "linear_attn.in_proj_qkv": "attn_qkv",
    "linear_attn.in_proj_z": "attn_gate",
    "linear_attn.in_proj_a": "ssm_alpha",
    "linear_attn.in_proj_b": "ssm_beta",
    "linear_attn.in_proj_ba": "ssm_ba",
    "linear_attn.conv1d": "ssm_conv1d",
    "linear_attn.dt": "ssm_dt",
    "linear_attn": "ssm_a",
    "linear_attn.norm": "ssm_norm",
    "linear_attn.out_proj": "ssm_out",
}


def as_converted(config: dict[str, Any], tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Norms' weights with 1 added, decay rates, one tensor for each purpose, value heads in the converter's order."""
    if config["model_type"] not in FAMILIES:
        return tensors
    made: dict[str, np.ndarray] = {}
    for part, values in tensors.items():
        if part.endswith("in_proj_qkvz.weight"):
            for name, rows in zip(("qkv", "z"), unmixed(config, values), strict=True):
                made[part.replace("qkvz", name)] = rows
        elif part.endswith("experts.gate_up_proj"):
            for name, rows in zip(("gate_proj", "up_proj"), np.split(values, 2, axis=1), strict=True):
                made[part.replace("gate_up_proj", f"{name}.weight")] = rows
        else:
            made[part.replace(".dt_bias", ".dt.bias").replace("experts.down_proj", "experts.down_proj.weight")] = values
    return {part.replace(".weight.weight", ".weight"): one(config, part, values) for part, values in made.items()}


def one(config: dict[str, Any], part: str, values: np.ndarray) -> np.ndarray:
    if part.endswith("norm.weight") and "linear_attn" not in part:
        return values + np.float32(1)
    if config["model_type"] != "qwen3_next" and "linear_attn" in part and ".norm." not in part:
        values = dealt(config, part, values)
    if part.endswith("A_log"):
        return -np.exp(values)
    return values.squeeze(1) if part.endswith("conv1d.weight") else values


def unmixed(config: dict[str, Any], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of queries, keys and values, each of all heads; those of gates."""
    key_heads, value_heads, key_dim, value_dim = sizes_of(config)
    per_key = value_heads // key_heads * value_dim
    each = np.split(values.reshape(key_heads, -1, values.shape[1]), [key_dim, 2 * key_dim, 2 * key_dim + per_key], axis=1)
    q, k, v, z = (rows.reshape(-1, values.shape[1]) for rows in each)
    return np.concatenate([q, k, v]), z


def dealt(config: dict[str, Any], part: str, values: np.ndarray) -> np.ndarray:
    """The first value head of each key head, then the second of each, and so on."""
    key_heads, value_heads, key_dim, _ = sizes_of(config)
    if ".out_proj." in part:
        return dealt_rows(values.T, key_heads, value_heads).T
    before = 2 * key_heads * key_dim if "in_proj_qkv" in part or "conv1d" in part else 0
    return np.concatenate([values[:before], dealt_rows(values[before:], key_heads, value_heads)])


def dealt_rows(rows: np.ndarray, key_heads: int, value_heads: int) -> np.ndarray:
    by_head = rows.reshape(key_heads, value_heads // key_heads, -1, *rows.shape[1:])
    return by_head.swapaxes(0, 1).reshape(rows.shape)


def keys_of(config: dict[str, Any]) -> dict[str, Any]:
    key_heads, value_heads, key_dim, value_dim = sizes_of(config)
    keys: dict[str, Any] = {
        "ssm.conv_kernel": config["linear_conv_kernel_dim"],
        "ssm.state_size": key_dim,
        "ssm.group_count": key_heads,
        "ssm.time_step_rank": value_heads,
        "ssm.inner_size": value_heads * value_dim,
        "full_attention_interval": config["full_attention_interval"],
    }
    if "layer_types" in config:
        keys["attention.recurrent_layers"] = [kind == LINEAR for kind in config["layer_types"]]
    if config["model_type"] != "qwen3_next":
        keys["rope.dimension_sections"] = [*config["rope_parameters"]["mrope_section"], 0]
    return keys


ARCHITECTURE_NAMES = {"qwen3_5_text": "qwen35", "qwen3_5_moe_text": "qwen35moe", "qwen3_next": "qwen3next"}
