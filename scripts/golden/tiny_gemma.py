"""Gemma 3n and 4, for tiny_architectures: their cases, shapes, and how their weights are drawn."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

from scripts.golden.tiny_models import EOS_TOKEN_ID, draw_uniform, heads
from scripts.golden.tiny_parts import (
    FULL,
    GELU,
    SHARED,
    SLIDING,
    Shapes,
    TinyArchitecture,
    attention,
    family,
    gated_mlp,
    linear,
    norms,
    widths,
)

GEMMA4 = family("Gemma4", "gemma4_text", rms_norm_eps=1e-6, attention_bias=False, tie_word_embeddings=True, **GELU)
GEMMA3N = family("Gemma3n", "gemma3n_text", rms_norm_eps=1e-6, attention_bias=False, **GELU)
PLAIN_NORMS = ("gemma4_text", "gemma4_unified_text", "gemma3n_text")  # which multiply by weight, not 1 + weight


def two_ropes(full: float, sliding: float, share: float) -> dict[str, Any]:
    return {
        "rope_parameters": {
            FULL: {"rope_type": "proportional", "rope_theta": full, "partial_rotary_factor": share},
            SLIDING: {"rope_type": "default", "rope_theta": sliding},
        }
    }


def streams(count: int = 4, active: int = 0) -> dict[str, Any]:
    return {"altup_num_inputs": count, "altup_active_idx": active, "altup_coef_clip": 120.0, "altup_correct_scale": True}


CASES: dict[str, TinyArchitecture] = {
    "gemma3n-published": TinyArchitecture(
        {**GEMMA3N, **heads(4, 2, 24), **streams(), "intermediate_size": [90] * 7, "num_hidden_layers": 7, "laurel_rank": 12}
        | {"activation_sparsity_pattern": [0.95, 0.8, 0.0, 0.0, 0.7, 0.0, 0.0], "final_logit_softcapping": 3.0}
        | {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 203, "num_kv_shared_layers": 2}
        | {"layer_types": [SLIDING, SLIDING, FULL, SLIDING, FULL, SLIDING, FULL], "sliding_window": 9}
        | {"rope_theta": 50000.0, "rope_local_base_freq": 1000.0, "rope_scaling": None},
        about="four streams; gates cut far above their mean; tokens that the table of embeddings for layers lacks",
    ),
    "gemma3n-streams": TinyArchitecture(
        {**GEMMA3N, **heads(3, 1, 40), **streams(3, 1), "intermediate_size": 61, "num_hidden_layers": 3, "laurel_rank": 8}
        | {"altup_correct_scale": False, "final_logit_softcapping": 3.0, "sliding_window": 9, "num_kv_shared_layers": 0}
        | {"hidden_size_per_layer_input": 16, "vocab_size_per_layer_input": 211, "tie_word_embeddings": True}
        | {"activation_sparsity_pattern": [0.9, 0.3, 0.0], "layer_types": [FULL, SLIDING, FULL]}
        | {
            "rope_parameters": {
                FULL: {"rope_type": "linear", "factor": 4.0, "rope_theta": 5000.0},
                SLIDING: {"rope_type": "default", "rope_theta": 300.0},
            }
        },
        dtype="BF16",
        about="three streams, of which layers read the second; its output is not scaled",
    ),
    "gemma3n-wrapper": TinyArchitecture(
        {
            "architectures": ["Gemma3nForConditionalGeneration"],
            "model_type": "gemma3n",
            "audio_config": {"model_type": "gemma3n_audio", "hidden_size": 8},
            "vision_config": {"model_type": "gemma3n_vision", "hidden_size": 8},
            "audio_soft_tokens_per_image": 188,
            "vision_soft_tokens_per_image": 256,
            "audio_token_id": 262273,
            "image_token_id": 262145,
            "eos_token_id": [EOS_TOKEN_ID, 0],
            "text_config": {**SHARED, **GEMMA3N, **heads(2, 1, 40), **streams(2), "num_hidden_layers": 3, "laurel_rank": 8}
            | {"hidden_size_per_layer_input": 16, "vocab_size_per_layer_input": 211, "num_kv_shared_layers": 1}
            | {"final_logit_softcapping": 3.0, "sliding_window": 9, "layer_types": [FULL, SLIDING, FULL]}
            | {"rope_parameters": {FULL: {"rope_type": "default", "rope_theta": 5000.0}, SLIDING: {"rope_theta": 300.0}}},
        },
        about="nested, beside models that see and hear, whose tensors no text meets",
    ),
    "gemma4-per-layer": TinyArchitecture(
        {**GEMMA4, **heads(4, 2, 24), "intermediate_size": 90, "num_hidden_layers": 7, "global_head_dim": 40}
        | {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 211, "num_kv_shared_layers": 2}
        | {"use_double_wide_mlp": True, "attention_k_eq_v": False, "final_logit_softcapping": 3.0, "sliding_window": 9}
        | {"enable_moe_block": False, "num_experts": None, "use_bidirectional_attention": None}
        | {"layer_types": [SLIDING, SLIDING, FULL, SLIDING, FULL, SLIDING, FULL], **two_ropes(5000.0, 300.0, 0.25)},
        about="as the E2B: an embedding for each layer; the last two attend to others' keys; their MLPs are twice as wide",
    ),
    "gemma4-values": TinyArchitecture(
        {**GEMMA4, **heads(4, 2, 24), "num_hidden_layers": 4, "global_head_dim": 512, "num_global_key_value_heads": 1}
        | {"hidden_size_per_layer_input": 0, "attention_k_eq_v": True, "sliding_window": 9}
        | {"use_bidirectional_attention": "vision", "layer_types": [SLIDING, FULL, SLIDING, FULL]}
        | two_ropes(5000.0, 300.0, 0.5),
        about="as the 12B: heads of 512 whose keys are values too, by a key head of their own",
    ),
    "gemma4-experts": TinyArchitecture(
        {**GEMMA4, **heads(4, 2, 24), "intermediate_size": 90, "num_hidden_layers": 4, "global_head_dim": 40}
        | {"num_global_key_value_heads": 1, "attention_k_eq_v": True, "sliding_window": 9, "final_logit_softcapping": 3.0}
        | {"enable_moe_block": True, "num_experts": 6, "top_k_experts": 3, "moe_intermediate_size": 64}
        | {"hidden_size_per_layer_input": 0, "num_kv_shared_layers": 0, "use_bidirectional_attention": "vision"}
        | {"layer_types": [SLIDING, SLIDING, FULL, FULL], **two_ropes(5000.0, 300.0, 0.25)},
        about="as the 26B-A4B: experts beside each MLP, by a router with a norm and scales of its own",
    ),
    "gemma4-wrapper": TinyArchitecture(
        {
            "architectures": ["Gemma4ForConditionalGeneration"],
            "model_type": "gemma4",
            "audio_config": None,
            "vision_config": None,
            "boi_token_id": 255999,
            "eos_token_id": [EOS_TOKEN_ID, 0],
            "image_token_id": 258880,
            "tie_word_embeddings": True,
            "text_config": {**SHARED, **GEMMA4, **heads(2, 1, 40), "num_hidden_layers": 3, "global_head_dim": 64}
            | {"hidden_size_per_layer_input": 16, "vocab_size_per_layer_input": 211, "sliding_window": 9}
            | {"layer_types": [FULL, SLIDING, FULL], **two_ropes(900.0, 100.0, 0.25)},
        },
        dtype="BF16",
        about="nested, as published",
    ),
    "gemma4-unified": TinyArchitecture(
        {
            "architectures": ["Gemma4UnifiedForConditionalGeneration"],
            "model_type": "gemma4_unified",
            "audio_config": None,
            "vision_config": None,
            "eos_token_id": [EOS_TOKEN_ID, 0],
            "tie_word_embeddings": True,
            "text_config": {**SHARED, **GEMMA4, **heads(4, 2, 24), "model_type": "gemma4_unified_text", "num_hidden_layers": 3}
            | {"num_global_key_value_heads": 1, "attention_k_eq_v": True, "global_head_dim": 64, "sliding_window": 9}
            | {"use_bidirectional_attention": "vision", "layer_types": [SLIDING, FULL, FULL], **two_ropes(900.0, 100.0, 0.25)},
        },
        about="as the 12B is published: by another name, with other defaults",
    ),
}


# ---- shapes


def gemma4_layer(config: dict[str, Any]) -> Shapes:
    layer, hidden, query = config["layer"], config["hidden_size"], config["num_attention_heads"]
    is_full, is_shared = config["layer_types"][layer] == FULL, layer >= first_shared(config)
    size = config["global_head_dim"] if is_full else config["head_dim"]
    shares_values = is_full and config.get("attention_k_eq_v", False)
    kv_heads = config["num_global_key_value_heads"] if shares_values else config["num_key_value_heads"]
    around = ("post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
    yield from norms(hidden, "input_layernorm", *around)
    yield from linear("self_attn.q_proj", query * size, hidden)
    yield from norms(size, "self_attn.q_norm")
    if not is_shared:
        yield from linear("self_attn.k_proj", kv_heads * size, hidden)
        yield from norms(size, "self_attn.k_norm")
        if not shares_values:
            yield from linear("self_attn.v_proj", kv_heads * size, hidden)
    yield from linear("self_attn.o_proj", hidden, query * size)
    mlp = config["intermediate_size"] * (2 if is_shared and config.get("use_double_wide_mlp") else 1)
    yield from linear("mlp.gate_proj", mlp, hidden)
    yield from linear("mlp.up_proj", mlp, hidden)
    yield from linear("mlp.down_proj", hidden, mlp)
    if config.get("enable_moe_block"):
        yield from expert_shapes(config)
    if width := config.get("hidden_size_per_layer_input", 0):
        yield from linear("per_layer_input_gate", width, hidden)
        yield from linear("per_layer_projection", hidden, width)
        yield from norms(hidden, "post_per_layer_input_norm")
    yield "layer_scalar", (1,)


def expert_shapes(config: dict[str, Any]) -> Shapes:
    hidden, count, size = config["hidden_size"], config["num_experts"], config["moe_intermediate_size"]
    names = ("post_feedforward_layernorm_1", "pre_feedforward_layernorm_2", "post_feedforward_layernorm_2")
    yield from norms(hidden, *names)
    yield from linear("router.proj", count, hidden)
    yield "router.scale", (hidden,)
    yield "router.per_expert_scale", (count,)
    yield "experts.gate_up_proj", (count, 2 * size, hidden)
    yield "experts.down_proj", (count, hidden, size)


def first_shared(config: dict[str, Any]) -> int:
    return config["num_hidden_layers"] - config.get("num_kv_shared_layers", 0)


def beside_layers(config: dict[str, Any]) -> Shapes:
    """Of each token's embeddings for the layers."""
    if width := config.get("hidden_size_per_layer_input", 0):
        size = config["num_hidden_layers"] * width
        yield from linear("model.embed_tokens_per_layer", config["vocab_size_per_layer_input"], size)
        yield from linear("model.per_layer_model_projection", size, config["hidden_size"])
        yield from norms(width, "model.per_layer_projection_norm")

    if count := config.get("altup_num_inputs"):
        for name in ("altup_projections", "altup_unembed_projections"):
            for i in range(count - 1):
                yield from linear(f"model.{name}.{i}", config["hidden_size"], config["hidden_size"])


def gemma3n_layer(config: dict[str, Any]) -> Shapes:
    """With keys and values of layers that attend to others' too, as published."""
    layer, hidden, count = config["layer"], config["hidden_size"], config["altup_num_inputs"]
    size, width, mlp, rank = (
        widths(config)[0],
        *(config[key] for key in ("hidden_size_per_layer_input", "intermediate_size", "laurel_rank")),
    )
    yield from norms(hidden, "input_layernorm", "post_attention_layernorm")
    yield from norms(hidden, "pre_feedforward_layernorm", "post_feedforward_layernorm", "post_per_layer_input_norm")
    yield from attention(config)
    yield from norms(size, "self_attn.q_norm", "self_attn.k_norm")
    yield from gated_mlp({**config, "intermediate_size": mlp[layer] if isinstance(mlp, list) else mlp})
    yield from linear("per_layer_input_gate", width, hidden)
    yield from linear("per_layer_projection", hidden, width)
    yield from linear("laurel.linear_left", rank, hidden)
    yield from linear("laurel.linear_right", hidden, rank)
    yield from norms(hidden, "laurel.post_laurel_norm", "altup.router_norm")
    yield from linear("altup.modality_router", count, hidden)
    yield from linear("altup.prediction_coefs", count**2, count)
    yield from linear("altup.correction_coefs", count, count)
    yield "altup.correct_output_scale", (hidden,)


def tower_shapes(config: dict[str, Any]) -> Shapes:
    """Some of what stands beside Gemma 3n's language model."""
    hidden = config["text_config"]["hidden_size"]
    for tower in ("vision", "audio"):
        yield from linear(f"{tower}_tower.conv_stem.conv", 8, 3)
        yield from linear(f"embed_{tower}.embedding", 4, 8)
        yield from linear(f"embed_{tower}.embedding_projection", hidden, 8)


LAYERS: dict[str, Callable[[dict[str, Any]], Shapes]] = dict.fromkeys(PLAIN_NORMS, gemma4_layer) | {
    "gemma3n_text": gemma3n_layer
}


# ---- numbers


def draw_weight(key: str, part: str, shape: tuple[int, ...], config: dict[str, Any]) -> np.ndarray | None:
    """Of what has no like elsewhere. (Scores of heads are not scaled: norms keep them small.)"""
    if "q_norm" in part or "k_norm" in part:
        return np.float32((2.5 / shape[0] ** 0.5) ** 0.5) * (1 + draw_uniform(key, shape, 0.25))
    if part == "model.norm.weight" and config.get("final_logit_softcapping") == 30:  # which is far
        return 12 * (1 + draw_uniform(key, shape, 0.25))
    if part.endswith("modality_router.weight"):  # of what is divided by its width
        return draw_uniform(key, shape, 1.5 * shape[1] ** 0.5)
    if part.endswith("_coefs.weight"):
        return draw_uniform(key, shape, 0.4)
    if part.endswith(("layer_scalar", "router.scale", "correct_output_scale")):
        return 1 + draw_uniform(key, shape, 0.25)
    if part.endswith("per_expert_scale"):
        return 1 + draw_uniform(key, shape, 0.6)
    if part.endswith("router.proj.weight"):  # of what is divided by the root of its width
        return draw_uniform(key, shape, 4.0)
    if "embed_tokens_per_layer" in part:
        return draw_uniform(key, shape, 0.3)
    return None


# ---- GGUF

EXPERT_NAMES = {
    "router.proj.weight": "ffn_gate_inp.weight",
    "router.scale": "ffn_gate_inp.scale",
    "router.per_expert_scale": "ffn_down_exps.scale",
    "experts.gate_up_proj": "ffn_gate_up_exps.weight",
    "experts.down_proj": "ffn_down_exps.weight",
    "post_feedforward_layernorm_1.weight": "post_ffw_norm_1.weight",
    "pre_feedforward_layernorm_2.weight": "pre_ffw_norm_2.weight",
    "post_feedforward_layernorm_2.weight": "post_ffw_norm_2.weight",
}


STACKED = {"altup_projections": "altup_proj", "altup_unembed_projections": "altup_unembd_proj"}
STREAM_NAMES = {
    "altup.correct_output_scale": "altup_correct_scale",
    "altup.correction_coefs": "altup_correct_coef",
    "altup.prediction_coefs": "altup_predict_coef",
    "altup.modality_router": "altup_router",
    "altup.router_norm": "altup_router_norm",
    "laurel.linear_left": "laurel_l",
    "laurel.linear_right": "laurel_r",
    "laurel.post_laurel_norm": "laurel_post_norm",
}


def as_converted(config: dict[str, Any], tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors of experts, and matrices that are stacked, under GGUF's names."""
    if config["model_type"] not in PLAIN_NORMS:
        return tensors
    made = {}
    for name, theirs in STACKED.items():
        if parts := [part for part in tensors if part.startswith(f"model.{name}.")]:
            made[f"{theirs}.weight"] = np.stack([tensors[part] for part in parts])
            tensors = {part: values for part, values in tensors.items() if part not in parts}
    for part, values in tensors.items():
        layer, _, stem = part.removeprefix("model.layers.").partition(".")
        made[f"blk.{layer}.{EXPERT_NAMES[stem]}" if stem in EXPERT_NAMES else part] = values
    return made


def expert_keys(config: dict[str, Any]) -> dict[str, Any]:
    if not config.get("enable_moe_block"):
        return {}
    names = {"expert_count": "num_experts", "expert_used_count": "top_k_experts"}
    names |= {"expert_feed_forward_length": "moe_intermediate_size"}
    return {theirs: config[ours] for theirs, ours in names.items()}


def gemma3n_keys(config: dict[str, Any]) -> dict[str, Any]:
    """llama.cpp reads of these no more than the heads, the bases, the window and its pattern."""
    shares = config.get("activation_sparsity_pattern") or [0.95] * 10 + [0.0] * (config["num_hidden_layers"] - 10)
    return {
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": config["head_dim"],
        "attention.value_length": config["head_dim"],
        "attention.sliding_window": config["sliding_window"],
        "attention.sliding_window_pattern": [kind == SLIDING for kind in config["layer_types"]],
        "attention.shared_kv_layers": config["num_kv_shared_layers"],
        "rope.freq_base": config["rope_theta"],
        "rope.freq_base_swa": config["rope_local_base_freq"],
        "embedding_length_per_layer_input": config["hidden_size_per_layer_input"],
        "altup.active_idx": config["altup_active_idx"],
        "altup.num_inputs": config["altup_num_inputs"],
        "activation_sparsity_scale": [NormalDist().inv_cdf(share) if share else -math.inf for share in shares],
    }
