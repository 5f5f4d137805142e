"""Families with a state space mixer (Mamba), for tiny_architectures: their cases, and the shapes of their layers."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from scripts.golden.tiny_models import draw_uniform, heads
from scripts.golden.tiny_parts import (
    SILU,
    Shapes,
    TinyArchitecture,
    Tree,
    attention,
    default_rope,
    family,
    gated_mlp,
    linear,
    norms,
)

MAMBA2 = family("Mamba2", "mamba2", layer_norm_epsilon=1e-5, intermediate_size=None, **SILU)
GRANITE = family("GraniteMoeHybrid", "granitemoehybrid", rms_norm_eps=1e-5, **SILU)
FALCON_H1 = family("FalconH1", "falcon_h1", rms_norm_eps=1e-5, **SILU)
NEMOTRON = family("NemotronH", "nemotron_h", layer_norm_epsilon=1e-5, mlp_hidden_act="relu2", mamba_hidden_act="silu")
MAMBA = family("Mamba", "mamba", layer_norm_epsilon=1e-5, intermediate_size=None, **SILU)
FALCON_MAMBA = family("FalconMamba", "falcon_mamba", intermediate_size=None, **SILU)
JAMBA = family("Jamba", "jamba", rms_norm_eps=1e-6, **SILU)
MULTIPLIERS = {"embedding_multiplier": 3.0, "residual_multiplier": 0.6, "attention_multiplier": 0.35, "logits_scaling": 0.5}
TRAINING = {"time_step_min": 0.001, "time_step_max": 0.1, "time_step_floor": 0.0001, "rescale_prenorm_residual": False}
TRAINING |= {"residual_in_fp32": True, "chunk_size": 16}
INFINITE = [0.0, math.inf]

CASES: dict[str, TinyArchitecture] = {
    "mamba2-published": TinyArchitecture(
        {**MAMBA2, **TRAINING, "num_heads": 12, "head_dim": 16, "n_groups": 2, "state_size": 16, "conv_kernel": 4, "expand": 2}
        | {"use_bias": False, "use_conv_bias": True, "norm_before_gate": True, "rms_norm": True, "time_step_limit": INFINITE}
        | {"time_step_rank": 6, "tie_word_embeddings": True, "num_hidden_layers": 4},
        about="two groups; nothing but mixers",
    ),
    "mamba2-limits": TinyArchitecture(
        {**MAMBA2, **TRAINING, "num_heads": 5, "head_dim": 30, "n_groups": 5, "state_size": 21, "conv_kernel": 3, "expand": 2}
        | {"hidden_size": 75, "use_bias": True, "use_conv_bias": False, "time_step_limit": [0.4, 0.8]}
        | {"tie_word_embeddings": False},
        about="biases of products, none of the convolution; time steps within limits; odd sizes",
    ),
    "granitemoehybrid-published": TinyArchitecture(
        {**GRANITE, **MULTIPLIERS, **heads(4, 1), "num_hidden_layers": 4, "intermediate_size": 160}
        | {"shared_intermediate_size": 160, "num_local_experts": 0, "num_experts_per_tok": 0, "rope_theta": 10000.0}
        | {"mamba_n_heads": 12, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 32, "mamba_d_conv": 4}
        | {"mamba_expand": 2, "mamba_chunk_size": 16, "mamba_conv_bias": True, "mamba_proj_bias": False}
        | {"layer_types": ["mamba", "mamba", "attention", "mamba"], "position_embedding_type": "nope"}
        | {"normalization_function": "rmsnorm", "init_method": "mup", "tie_word_embeddings": True, "rope_scaling": None},
        about="as H micro: an MLP alone, attention without positions",
    ),
    "granitemoehybrid-experts": TinyArchitecture(
        {**GRANITE, **MULTIPLIERS, **heads(3, 3), "num_hidden_layers": 3, "intermediate_size": 32}
        | {"shared_intermediate_size": 70, "num_local_experts": 6, "num_experts_per_tok": 3}
        | {"mamba_n_heads": 8, "mamba_d_head": "auto", "mamba_n_groups": 2, "mamba_d_state": 16, "mamba_d_conv": 4}
        | {"mamba_expand": 2, "mamba_chunk_size": 16, "mamba_conv_bias": True, "mamba_proj_bias": False}
        | {"layers_block_type": ["mamba", "attention", "mamba"], "position_embedding_type": "nope"}
        | {"tie_word_embeddings": False, "rope_theta": 10000.0, "rope_scaling": None},
        about="as H tiny: an MLP beside experts",
    ),
    "granitemoehybrid-turned": TinyArchitecture(
        {**GRANITE, **MULTIPLIERS, **heads(4, 2), "num_hidden_layers": 3, "intermediate_size": 64}
        | {"shared_intermediate_size": 48, "num_local_experts": 5, "num_experts_per_tok": 2}
        | {"mamba_n_heads": 6, "mamba_d_head": 32, "mamba_n_groups": 1, "mamba_d_state": 20, "mamba_d_conv": 3}
        | {"mamba_expand": 2, "mamba_conv_bias": False, "mamba_proj_bias": True, "time_step_limit": [0.5, 1.0]}
        | {"layer_types": ["full_attention", "linear_attention", "full_attention"], "position_embedding_type": "rope"}
        | {"tie_word_embeddings": False, **default_rope(900.0)},
        about="positions turn; biases of the mixer's products; transformers 5's names of layers",
    ),
    "falcon_h1-published": TinyArchitecture(
        {**FALCON_H1, **heads(4, 2), "num_hidden_layers": 3, "rope_theta": 1000.0, "rope_scaling": None}
        | {"mamba_d_ssm": 128, "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 24}
        | {"mamba_d_conv": 4, "mamba_expand": 2, "mamba_chunk_size": 16, "mamba_conv_bias": True, "mamba_proj_bias": False}
        | {"mamba_norm_before_gate": False, "mamba_rms_norm": False, "mamba_use_mlp": True, "projectors_bias": False}
        | {"attn_layer_indices": None, "mlp_expansion_factor": 8, "time_step_rank": "auto", "time_step_limit": INFINITE}
        | {"attention_in_multiplier": 0.7, "attention_out_multiplier": 1.4, "embedding_multiplier": 2.0}
        | {"key_multiplier": 0.6, "lm_head_multiplier": 0.8, "mlp_multipliers": [0.6, 1.5], "ssm_in_multiplier": 1.25}
        | {"ssm_multipliers": [0.7, 1.3, 0.5, 1.6, 0.8], "ssm_out_multiplier": 0.6, "tie_word_embeddings": False},
        about="attention beside the mixer, every multiplier; no norm of what is gated",
    ),
    "falcon_h1-norm": TinyArchitecture(
        {**FALCON_H1, **heads(3, 1), "num_hidden_layers": 2, "rope_theta": 10000.0, "rope_scaling": None}
        | {"mamba_d_ssm": 96, "mamba_n_heads": 6, "mamba_d_head": 16, "mamba_n_groups": 2, "mamba_d_state": 16}
        | {"mamba_d_conv": 4, "mamba_conv_bias": True, "mamba_proj_bias": False, "mamba_norm_before_gate": False}
        | {"mamba_rms_norm": True, "tie_word_embeddings": False, "ssm_multipliers": [1.0, 0.7, 0.7, 0.7, 1.5]},
        about="a norm of what is gated, in two groups",
    ),
    "falcon_h1-before": TinyArchitecture(
        {**FALCON_H1, **heads(4, 4), "num_hidden_layers": 2, "attention_bias": True, "mlp_bias": True, "head_dim": 32}
        | {"mamba_d_ssm": None, "mamba_n_heads": 12, "mamba_d_head": "auto", "mamba_n_groups": 3, "mamba_d_state": 16}
        | {"mamba_d_conv": 3, "mamba_conv_bias": False, "mamba_proj_bias": True, "projectors_bias": True}
        | {"mamba_norm_before_gate": True, "mamba_rms_norm": True, "tie_word_embeddings": True, **default_rope(700.0)}
        | {"ssm_multipliers": [1.3, 0.7, 1.6, 0.7, 1.5], "mlp_multipliers": None},
        about="the norm before the gate; biases; sizes by expansion",
    ),
    "nemotron_h-published": TinyArchitecture(
        {**NEMOTRON, **TRAINING, **heads(4, 2), "hybrid_override_pattern": "M-M*-M", "num_hidden_layers": 6, "head_dim": 32}
        | {"mamba_num_heads": 10, "mamba_head_dim": 16, "ssm_state_size": 24, "n_groups": 2, "conv_kernel": 4, "expand": 2}
        | {"use_bias": False, "use_conv_bias": True, "mlp_bias": False, "attention_bias": False, "mamba_proj_bias": False}
        | {"time_step_limit": INFINITE, "time_step_rank": 256, "tie_word_embeddings": False, "sliding_window": None}
        | {"num_logits_to_keep": 1, "use_mamba_kernels": True, "hidden_dropout": 0.0, "rms_norm_eps": 1e-5},
        about="as Nano 9B v2: a letter for each layer; a mixer of other width than its model's doubled",
    ),
    "nemotron_h-experts": TinyArchitecture(
        {**NEMOTRON, **TRAINING, **heads(3, 3), "layers_block_type": ["mamba", "attention", "moe", "mamba", "moe"]}
        | {"num_hidden_layers": 5, "head_dim": 40, "mamba_num_heads": 8, "mamba_head_dim": 24, "ssm_state_size": 16}
        | {"n_groups": 4, "conv_kernel": 4, "use_bias": False, "use_conv_bias": True, "mlp_bias": False}
        | {"n_routed_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 64, "n_shared_experts": 1}
        | {"moe_shared_expert_intermediate_size": 50, "norm_topk_prob": True, "routed_scaling_factor": 1.7, "n_group": 1}
        | {"topk_group": 1, "tie_word_embeddings": False},
        about="as 3 Nano: experts without gates beside one for all",
    ),
    "nemotron_h-limit": TinyArchitecture(
        {**NEMOTRON, **TRAINING, **heads(4, 1), "hybrid_override_pattern": "-M*M", "num_hidden_layers": 4, "head_dim": 24}
        | {"mamba_num_heads": 6, "mamba_head_dim": 20, "ssm_state_size": 16, "n_groups": 1, "conv_kernel": 3}
        | {"use_bias": True, "use_conv_bias": False, "mlp_bias": True, "time_step_min": 0.6, "tie_word_embeddings": False},
        about="a smallest time step that shows; biases",
    ),
    "mamba-published": TinyArchitecture(
        {**MAMBA, **TRAINING, "state_size": 16, "conv_kernel": 4, "expand": 2, "use_bias": False, "use_conv_bias": True}
        | {"time_step_rank": 12, "time_step_scale": 1.0, "time_step_init_scheme": "random", "num_hidden_layers": 4}
        | {"d_model": 96, "d_inner": 192, "n_layer": 4, "fused_add_norm": True, "rms_norm": True, "ssm_cfg": {}}
        | {"chunk_size": None, "intermediate_size": 192},
        about="as 130m; no word of tying",
    ),
    "mamba-biases": TinyArchitecture(
        {**MAMBA, "hidden_size": 72, "state_size": 9, "conv_kernel": 3, "expand": 2, "use_bias": True, "use_conv_bias": False}
        | {"time_step_rank": "auto", "tie_word_embeddings": False, "intermediate_size": 144},
        about="biases of products, none of the convolution; a rank of 5",
    ),
    "falcon_mamba-published": TinyArchitecture(
        {**FALCON_MAMBA, **TRAINING, "state_size": 16, "conv_kernel": 4, "expand": 16, "use_bias": False}
        | {"use_conv_bias": True, "time_step_rank": 8, "time_step_scale": 1.0, "time_step_init_scheme": "random"}
        | {"intermediate_size": 192, "mixer_rms_eps": 1e-6, "layer_norm_epsilon": 1e-6, "tie_word_embeddings": False}
        | {"chunk_size": None},
        about="norms without weights; a width that is not what expand says",
    ),
    "jamba-published": TinyArchitecture(
        {**JAMBA, **heads(4, 1), "num_hidden_layers": 5, "attn_layer_offset": 1, "attn_layer_period": 3, "num_experts": 4}
        | {"intermediate_size": 64, "expert_layer_offset": 1, "expert_layer_period": 2, "num_experts_per_tok": 2}
        | {"mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_state": 16, "mamba_dt_rank": 12, "mamba_expand": 2}
        | {"mamba_inner_layernorms": True, "mamba_proj_bias": False, "num_logits_to_keep": 1, "sliding_window": None}
        | {"use_mamba_kernels": True, "tie_word_embeddings": False},
        about="attention and experts in turns; norms of the mixer; shares that do not add up to 1",
    ),
    "jamba-dense": TinyArchitecture(
        {**JAMBA, **heads(3, 3), "num_hidden_layers": 3, "attn_layer_offset": 2, "attn_layer_period": 3, "num_experts": 1}
        | {"expert_layer_offset": 1, "expert_layer_period": 2, "num_experts_per_tok": 1, "mamba_conv_bias": False}
        | {"mamba_d_conv": 3, "mamba_d_state": 12, "mamba_dt_rank": "auto", "mamba_proj_bias": True}
        | {"tie_word_embeddings": True},
        about="as 3B: no experts; biases of products",
    ),
}


# ---- shapes


def mixer(part: str, hidden: int, heads: int, size: int, groups: int, states: int, taps: int, *has_bias: bool) -> Shapes:
    """has_bias: products, convolution."""
    inner = heads * size
    channels = inner + 2 * groups * states
    yield from linear(f"{part}.in_proj", inner + channels + heads, hidden, has_bias[0])
    yield f"{part}.conv1d.weight", (channels, 1, taps)
    if has_bias[1]:
        yield f"{part}.conv1d.bias", (channels,)
    for vector in ("A_log", "D", "dt_bias"):
        yield f"{part}.{vector}", (heads,)
    yield from norms(inner, f"{part}.norm")
    yield from linear(f"{part}.out_proj", hidden, inner, has_bias[0])


def mamba2_layer(config: dict[str, Any]) -> Shapes:
    yield from norms(config["hidden_size"], "norm")
    sizes = (config[key] for key in ("hidden_size", "num_heads", "head_dim", "n_groups", "state_size", "conv_kernel"))
    yield from mixer("mixer", *sizes, config["use_bias"], config["use_conv_bias"])


def prefixed_mixer(config: dict[str, Any]) -> Shapes:
    count, size = config["mamba_n_heads"], config["mamba_d_head"]
    inner = config.get("inner") or config["mamba_expand"] * config["hidden_size"]
    size = inner // count if size == "auto" else size
    sizes = (config[f"mamba_{key}"] for key in ("n_groups", "d_state", "d_conv"))
    biases = config["mamba_proj_bias"], config["mamba_conv_bias"]
    yield from mixer("mamba", config["hidden_size"], count, size, *sizes, *biases)


def granite_layer(config: dict[str, Any]) -> Shapes:
    hidden, experts, size = config["hidden_size"], config["num_local_experts"], config["shared_intermediate_size"]
    yield from norms(hidden, "input_layernorm", "post_attention_layernorm")
    kinds = config.get("layer_types") or config["layers_block_type"]
    attends = kinds[config["layer"]] in ("attention", "full_attention")
    yield from attention(config) if attends else prefixed_mixer(config)
    yield from linear("shared_mlp.input_linear", 2 * size, hidden)
    yield from linear("shared_mlp.output_linear", hidden, size)
    if experts:
        yield from linear("block_sparse_moe.router.layer", experts, hidden)
        yield "block_sparse_moe.input_linear.weight", (experts, 2 * config["intermediate_size"], hidden)
        yield "block_sparse_moe.output_linear.weight", (experts, hidden, config["intermediate_size"])


def falcon_h1_layer(config: dict[str, Any]) -> Shapes:
    hidden, bias = config["hidden_size"], config.get("attention_bias", False)
    yield from norms(hidden, "input_layernorm", "pre_ff_layernorm")
    yield from attention(config, bias, bias)
    yield from feed_forward(config, config.get("mlp_bias", False))
    for part, shape in prefixed_mixer({**config, "hidden_size": hidden, "inner": falcon_inner(config)}):
        if ".norm." not in part or config["mamba_rms_norm"]:
            yield part, shape
    if config.get("projectors_bias") and not config["mamba_proj_bias"]:
        yield "mamba.out_proj.bias", (hidden,)


def falcon_inner(config: dict[str, Any]) -> int:
    return config["mamba_d_ssm"] or config.get("mamba_expand", 2) * config["hidden_size"]


def feed_forward(config: dict[str, Any], has_bias: bool = False) -> Shapes:
    yield from ((part.replace("mlp.", "feed_forward."), shape) for part, shape in gated_mlp(config, has_bias))


def nemotron_kinds(config: dict[str, Any]) -> list[str]:
    letters = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
    return config.get("layers_block_type") or [letters[letter] for letter in config["hybrid_override_pattern"]]


def nemotron_layer(config: dict[str, Any]) -> Shapes:
    hidden, bias, kind = config["hidden_size"], config["mlp_bias"], nemotron_kinds(config)[config["layer"]]
    yield from norms(hidden, "norm")
    if kind == "mamba":
        names = ("mamba_num_heads", "mamba_head_dim", "n_groups", "ssm_state_size", "conv_kernel")
        yield from mixer("mixer", hidden, *(config[name] for name in names), config["use_bias"], config["use_conv_bias"])
    elif kind == "attention":
        yield from ((part.replace("self_attn.", "mixer."), shape) for part, shape in attention(config))
    elif kind == "mlp":
        yield from plain_mlp("mixer", hidden, config["intermediate_size"], bias)
    else:
        yield from linear("mixer.gate", config["n_routed_experts"], hidden)
        yield "mixer.gate.e_score_correction_bias", (config["n_routed_experts"],)
        for expert in range(config["n_routed_experts"]):
            yield from plain_mlp(f"mixer.experts.{expert}", hidden, config["moe_intermediate_size"])
        yield from plain_mlp("mixer.shared_experts", hidden, config["moe_shared_expert_intermediate_size"], bias)


def plain_mlp(part: str, hidden: int, size: int, has_bias: bool = False) -> Shapes:
    yield from linear(f"{part}.up_proj", size, hidden, has_bias)
    yield from linear(f"{part}.down_proj", hidden, size, has_bias)


def selective(part: str, hidden: int, inner: int, states: int, taps: int, rank: int | str, *has_bias: bool) -> Shapes:
    """Mamba-1's mixer. has_bias: products, convolution."""
    rank = math.ceil(hidden / 16) if isinstance(rank, str) else rank
    yield from linear(f"{part}.in_proj", 2 * inner, hidden, has_bias[0])
    yield f"{part}.conv1d.weight", (inner, 1, taps)
    if has_bias[1]:
        yield f"{part}.conv1d.bias", (inner,)
    yield from linear(f"{part}.x_proj", rank + 2 * states, inner)
    yield from linear(f"{part}.dt_proj", inner, rank, True)
    yield f"{part}.A_log", (inner, states)
    yield f"{part}.D", (inner,)
    yield from linear(f"{part}.out_proj", hidden, inner, has_bias[0])


def mamba_layer(config: dict[str, Any]) -> Shapes:
    yield from norms(config["hidden_size"], "norm")
    names = ("hidden_size", "intermediate_size", "state_size", "conv_kernel", "time_step_rank", "use_bias", "use_conv_bias")
    yield from selective("mixer", *(config[name] for name in names))


def jamba_layer(config: dict[str, Any]) -> Shapes:
    hidden, i = config["hidden_size"], config["layer"]
    yield from norms(hidden, "input_layernorm", "pre_ff_layernorm")
    if i % config["attn_layer_period"] == config["attn_layer_offset"]:
        yield from attention(config)
    else:
        names = ("mamba_d_state", "mamba_d_conv", "mamba_dt_rank", "mamba_proj_bias", "mamba_conv_bias")
        states, taps, rank, *biases = (config[name] for name in names)
        rank = math.ceil(hidden / 16) if isinstance(rank, str) else rank
        yield from selective("mamba", hidden, 2 * hidden, states, taps, rank, *biases)
        yield from norms(rank, "mamba.dt_layernorm")
        yield from norms(states, "mamba.b_layernorm", "mamba.c_layernorm")
    if config["num_experts"] > 1 and i % config["expert_layer_period"] == config["expert_layer_offset"]:
        yield from linear("feed_forward.router", config["num_experts"], hidden)
        for expert in range(config["num_experts"]):
            for part, shape in feed_forward(config):
                yield part.replace("feed_forward.", f"feed_forward.experts.{expert}."), shape
    else:
        yield from feed_forward(config)


LAYERS: dict[str, Callable[[dict[str, Any]], Shapes]] = {
    "mamba2": mamba2_layer,
    "granitemoehybrid": granite_layer,
    "falcon_h1": falcon_h1_layer,
    "nemotron_h": nemotron_layer,
    **dict.fromkeys(("mamba", "falcon_mamba"), mamba_layer),
    "jamba": jamba_layer,
}
BACKBONE = Tree("backbone.layers", "backbone.embeddings", "backbone.norm_f")
TREES = {
    **dict.fromkeys(("mamba2", "nemotron_h", "mamba", "falcon_mamba"), BACKBONE),
    **dict.fromkeys(("falcon_h1", "jamba"), Tree(norm="model.final_layernorm")),
}
TIED_BY_DEFAULT = ("mamba", "falcon_mamba")


def draw_weight(key: str, part: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """A mixer's own: states that fade at many paces, some slowly enough to carry a prompt."""
    if part.endswith("A_log"):
        return draw_uniform(key, shape, 2.0) - np.float32(2)
    if part.endswith(".D"):
        return np.float32(1) + draw_uniform(key, shape, 0.5)
    if part.endswith(("dt_bias", "dt_proj.bias")):
        return draw_uniform(key, shape, 1.0)
    return None
