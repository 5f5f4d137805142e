"""Families with a state space mixer (Mamba), for architectures_gguf: their keys, and their tensors as llama.cpp's converter
writes them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scripts.golden.tiny_mamba import falcon_inner, nemotron_kinds

Config = dict[str, Any]

CASES = (
    "mamba2-published",
    "granitemoehybrid-published",
    "granitemoehybrid-experts",
    "falcon_h1-published",
    "falcon_h1-norm",
    "nemotron_h-published",
    "nemotron_h-experts",
    "mamba-published",
    "falcon_mamba-published",
    "jamba-published",
)
ARCHITECTURE_NAMES = {"granitemoehybrid": "granitehybrid", "falcon_h1": "falcon-h1", "falcon_mamba": "mamba"}
UNLIMITED = 1 << 20
EPSILONS = dict.fromkeys(("mamba2", "mamba", "falcon_mamba", "nemotron_h"), "layer_norm_epsilon")

MIXER = {
    **{"in_proj": "ssm_in", "conv1d": "ssm_conv1d", "out_proj": "ssm_out", "norm": "ssm_norm"},
    **{"x_proj": "ssm_x", "dt_proj": "ssm_dt"},
    **{f"{part}_layernorm": f"ssm_{part}_norm" for part in ("dt", "b", "c")},
    **{f"{part}_proj": f"attn_{part}" for part in "qkv"},
    **{"o_proj": "attn_output", "up_proj": "ffn_up", "down_proj": "ffn_down", "gate": "ffn_gate_inp"},
    **{f"shared_experts.{part}_proj": f"ffn_{part}_shexp" for part in ("up", "down")},
    **{f"experts.{part}_proj": f"ffn_{part}_exps" for part in ("gate", "up", "down")},
}
LAYER = {
    "norm": "attn_norm",
    "input_layernorm": "attn_norm",
    "pre_ff_layernorm": "ffn_norm",
    "post_attention_layernorm": "ffn_norm",
    "feed_forward.router": "ffn_gate_inp",
    **{f"feed_forward.{part}_proj": f"ffn_{part}" for part in ("gate", "up", "down")},
    **{f"feed_forward.experts.{part}_proj": f"ffn_{part}_exps" for part in ("gate", "up", "down")},
    **{f"self_attn.{part}_proj": f"attn_{part}" for part in "qkv"},
    "self_attn.o_proj": "attn_output",
    **{f"{place}.{part}": name for place in ("mixer", "mamba") for part, name in MIXER.items()},
}
OUTSIDE = {"embeddings": "token_embd", "embed_tokens": "token_embd", "norm_f": "output_norm", "norm": "output_norm"}
OUTSIDE |= {"final_layernorm": "output_norm", "lm_head": "output"}


def converted(config: Config, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Under their names in GGUF, but Granite's experts, which other families have too."""
    made: dict[str, Any] = {}
    for part, values in multiplied(config, tensors).items():
        before, _, inside = part.partition("layers.")
        layer, _, stem = inside.partition(".")
        if ".block_sparse_moe." in part:
            made[part] = values
        elif not layer:
            stem, _, kind = before.removeprefix("model.").removeprefix("backbone.").rpartition(".")
            made[f"{OUTSIDE[stem]}.{kind}"] = values
        else:
            for name, own in in_layer(config, stem, values):
                made.setdefault(f"blk.{layer}.{name}", []).append(own)
    stacked = {name: np.stack(own) if "_exps." in name else own[0] for name, own in made.items() if isinstance(own, list)}
    return {**made, **stacked}


def in_layer(config: Config, stem: str, values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Names within the layer, and what is stored under them."""
    has_channels = config["model_type"] in ("mamba", "falcon_mamba", "jamba")  # as heads
    match stem.rpartition(".")[2]:
        case "A_log":
            return [("ssm_a", -np.exp(values if has_channels else values[:, None]))]
        case "D":
            return [("ssm_d", values if has_channels else values[:, None])]
        case "dt_bias":
            return [("ssm_dt.bias", values)]
        case "e_score_correction_bias":
            return [("exp_probs_b.bias", values)]
    if stem.startswith("shared_mlp."):
        kind = "_shexp" if config["num_local_experts"] else ""
        halves = np.split(values, 2) if "input_linear" in stem else [values]
        names = ("gate", "up") if len(halves) == 2 else ("down",)
        return [(f"ffn_{name}{kind}.weight", half) for name, half in zip(names, halves, strict=True)]
    stem, _, kind = ".".join(piece for piece in stem.split(".") if not piece.isdigit()).rpartition(".")
    name = LAYER[stem]
    if name == "ssm_conv1d" and kind == "weight":
        values = values.squeeze(1)
    if name == "ssm_norm":
        values = values.reshape(config.get("n_groups") or config.get("mamba_n_groups"), -1)
    if name == "ffn_norm" and config["model_type"] == "falcon_h1":
        return [(name, values)]
    return [(f"{name}.{kind}", values)]


def multiplied(config: Config, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Falcon-H1's multipliers are in the weights."""
    if config["model_type"] != "falcon_h1":
        return tensors
    by = {key.removesuffix("_multiplier"): value for key, value in config.items() if key.endswith("_multiplier")}
    gate, down = config.get("mlp_multipliers") or (1.0, 1.0)
    attention_in = by.get("attention_in", 1.0)
    factors = {
        "embed_tokens": by.get("embedding", 1.0),
        "lm_head": by.get("lm_head", 1.0),
        "q_proj": attention_in,
        "k_proj": attention_in * by.get("key", 1.0),
        "v_proj": attention_in,
        "o_proj": by.get("attention_out", 1.0),
        "gate_proj": gate,
        "down_proj": down,
        "in_proj": by.get("ssm_in", 1.0) * of_parts(config),
        "out_proj": by.get("ssm_out", 1.0),
    }
    return {part: values * np.float32(factors.get(part.split(".")[-2], 1.0)) for part, values in tensors.items()}


def of_parts(config: Config) -> np.ndarray:
    inner, both = falcon_inner(config), config["mamba_n_groups"] * config["mamba_d_state"]
    counts = (inner, inner, both, both, config["mamba_n_heads"])
    return np.repeat(np.array(config.get("ssm_multipliers") or [1.0] * 5, np.float32), counts)[:, None]


# ---- keys


def mixer_keys(config: Config, names: tuple[str, str, str, str], inner: int) -> Config:
    """Of Mamba-2. names: of what is under the first four keys."""
    keys = ("time_step_rank", "group_count", "state_size", "conv_kernel")
    return {f"ssm.{key}": config[name] for key, name in zip(keys, names, strict=True)} | {"ssm.inner_size": inner}


def selective_keys(config: Config, rank: str, states: str, taps: str, inner: int) -> Config:
    """Of Mamba-1."""
    sizes = {"time_step_rank": config[rank], "state_size": config[states], "conv_kernel": config[taps], "inner_size": inner}
    return {f"ssm.{key}": value for key, value in sizes.items()}


PREFIXED = ("mamba_n_heads", "mamba_n_groups", "mamba_d_state", "mamba_d_conv")
NO_ATTENTION = {"context_length": UNLIMITED, "feed_forward_length": 0, "attention.head_count": 0}


def mamba2_keys(config: Config) -> Config:
    names = ("num_heads", "n_groups", "state_size", "conv_kernel")
    return mixer_keys(config, names, config["expand"] * config["hidden_size"]) | NO_ATTENTION


def granite_keys(config: Config) -> Config:
    kinds, kv_heads = config.get("layer_types") or config["layers_block_type"], config["num_key_value_heads"]
    return mixer_keys(config, PREFIXED, config["mamba_expand"] * config["hidden_size"]) | {
        "expert_count": config["num_local_experts"],
        "expert_used_count": config["num_experts_per_tok"],
        "context_length": UNLIMITED,
        "attention.head_count_kv": [kv_heads if kind == "attention" else 0 for kind in kinds],
        "expert_shared_feed_forward_length": config["shared_intermediate_size"],
        "rope.scaling.finetuned": False,
        "rope.freq_base": float(config["rope_theta"]),
        "embedding_scale": config["embedding_multiplier"],
        "residual_scale": config["residual_multiplier"],
        "attention.scale": config["attention_multiplier"],
        "logit_scale": config["logits_scaling"],
    }


def falcon_h1_keys(config: Config) -> Config:
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return mixer_keys(config, PREFIXED, falcon_inner(config)) | {
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": width,
        "attention.value_length": width,
        "rope.freq_base": config["rope_theta"],
    }


def nemotron_keys(config: Config) -> Config:
    names = ("mamba_num_heads", "n_groups", "ssm_state_size", "conv_kernel")
    kinds, size = nemotron_kinds(config), config.get("moe_intermediate_size") or config["intermediate_size"]
    keys = mixer_keys(config, names, config["mamba_num_heads"] * config["mamba_head_dim"]) | {
        "attention.head_count_kv": [config["num_key_value_heads"] if kind == "attention" else 0 for kind in kinds],
        "attention.key_length": config["head_dim"],
        "attention.value_length": config["head_dim"],
        "attention.layer_norm_epsilon": config["layer_norm_epsilon"],
        "feed_forward_length": [size if kind in ("mlp", "moe") else 0 for kind in kinds],
        "rope.scaling.finetuned": False,
    }
    if "n_routed_experts" not in config:
        return keys
    return keys | {
        "expert_count": config["n_routed_experts"],
        "expert_used_count": config["num_experts_per_tok"],
        "expert_feed_forward_length": size,
        "expert_shared_feed_forward_length": config["moe_shared_expert_intermediate_size"],
        "expert_shared_count": config["n_shared_experts"],
        "expert_weights_norm": config["norm_topk_prob"],
        "expert_weights_scale": config["routed_scaling_factor"],
        "expert_group_count": config["n_group"],
    }


def mamba_keys(config: Config) -> Config:
    sizes = selective_keys(config, "time_step_rank", "state_size", "conv_kernel", config["intermediate_size"])
    return sizes | NO_ATTENTION | {"ssm.dt_b_c_rms": config["model_type"] == "falcon_mamba"}


def jamba_keys(config: Config) -> Config:
    period, offset = config["attn_layer_period"], config["attn_layer_offset"]
    kv_heads = [config["num_key_value_heads"] * (i % period == offset) for i in range(config["num_hidden_layers"])]
    sizes = selective_keys(config, "mamba_dt_rank", "mamba_d_state", "mamba_d_conv", 2 * config["hidden_size"])
    experts = {"expert_count": config["num_experts"], "expert_used_count": config["num_experts_per_tok"]}
    return sizes | experts | {"attention.head_count_kv": kv_heads}


def architecture_of(config: Config) -> str:
    name = config["model_type"]
    if name == "nemotron_h" and "n_routed_experts" in config:
        return "nemotron_h_moe"
    return ARCHITECTURE_NAMES.get(name, name)


KEYS: dict[str, Callable[[Config], Config]] = {
    "mamba2": mamba2_keys,
    "granitemoehybrid": granite_keys,
    "falcon_h1": falcon_h1_keys,
    "nemotron_h": nemotron_keys,
    **dict.fromkeys(("mamba", "falcon_mamba"), mamba_keys),
    "jamba": jamba_keys,
}
