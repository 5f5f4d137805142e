"""Nemotron-H, Nemotron Nano 2 and 3.  https://arxiv.org/abs/2504.03624, https://arxiv.org/abs/2508.14444
Layers are one thing each, after a norm: Mamba-2, attention whose positions turn nothing, an MLP that squares what ReLU leaves,
or experts of such MLPs beside one that every token meets."""

from typing import Any

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import llama, moe, state_space
from fanlight.models.layers import embed, experts, experts_sum, linear, route
from fanlight.models.moe import Moe
from fanlight.models.nemotron_h_config import GGUF_KEYS, GGUF_LISTS, Config, read_config
from fanlight.models.weights import Weights

__all__ = ["FOLDER_NAMES", "GGUF_KEYS", "GGUF_LISTS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ()

LAYER, THEIRS = "model.layers.{i}", "backbone.layers.{i}"
EXPERTS = ("up_proj", "down_proj")
GGUF_NAMES = {
    **state_space.BACKBONE_NAMES,
    **state_space.MIXER_NAMES,
    **{f"{LAYER}.self_attn.{part}_proj": f"blk.{{i}}.attn_{part}" for part in "qkv"},
    f"{LAYER}.self_attn.o_proj": "blk.{i}.attn_output",
    f"{LAYER}.mlp.up_proj": "blk.{i}.ffn_up",
    f"{LAYER}.mlp.down_proj": "blk.{i}.ffn_down",
    f"{LAYER}.moe.gate": "blk.{i}.ffn_gate_inp",
    f"{LAYER}.moe.gate.e_score_correction": "blk.{i}.exp_probs_b",
    **{f"{LAYER}.moe.experts.{part}": f"blk.{{i}}.ffn_{part.removesuffix('_proj')}_exps" for part in EXPERTS},
    **{f"{LAYER}.moe.shared_experts.{part}": f"blk.{{i}}.ffn_{part.removesuffix('_proj')}_shexp" for part in EXPERTS},
}
FOLDER_NAMES = {
    **state_space.BACKBONE_FOLDERS,
    **{f"{LAYER}.self_attn.{part}_proj": f"{THEIRS}.mixer.{part}_proj" for part in "qkvo"},
    **{f"{LAYER}.mlp.{part}": f"{THEIRS}.mixer.{part}" for part in EXPERTS},
    **{f"{LAYER}.moe.{part}": f"{THEIRS}.mixer.{part}" for part in ("gate", "gate.e_score_correction")},
    **{f"{LAYER}.moe.experts.{{e}}.{part}": f"{THEIRS}.mixer.experts.{{e}}.{part}" for part in EXPERTS},
    **{f"{LAYER}.moe.shared_experts.{part}": f"{THEIRS}.mixer.shared_experts.{part}" for part in EXPERTS},
}


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w = weights["model"]
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        x = x + block(config, layer, llama.norm(config, layer["input_layernorm"], x), i)
    return llama.head(config, w, weights["lm_head"], x, samples)


def block(config: Config, layer: Weights, x: Node, i: int) -> Node:
    """[T, C] -> [T, C]"""
    match config.kinds[i]:
        case "linear_attention":
            return state_space.mixer(config.mixer, layer["mamba"], x, i)
        case "full_attention":
            return llama.self_attention(config, layer["self_attn"], x, i, None)
        case "mlp":
            return mlp(config, layer["mlp"], x, config.intermediate_size)
    return sparse(config, config.moe, layer["moe"], x)


def mlp(config: Config, w: Weights, x: Node, size: int) -> Node:
    up, down = (w[name].biased(config.mlp_bias) for name in EXPERTS)
    return linear(ACTIVATIONS[config.hidden_act](linear(x, up, size)), down, config.hidden_size)


def sparse(config: Config, of: Moe | None, w: Weights, x: Node) -> Node:
    assert of, "a layer of experts without any"
    bias = moe.correction(of, w, "gate")
    logits, groups = linear(x, w["gate"], of.num_experts), config.groups
    shares: dict[str, Any] = {
        "score": "sigmoid",
        "normalize": of.norm_topk_prob,
        "scale": config.scale,
        "eps": 1e-20,
        "bias": bias,
    }
    chosen = route(logits, of.num_experts_per_tok, groups=groups[0], top_groups=groups[1], **shares)
    moe.check_size(of.intermediate_size, w.name)
    up, down = (w["experts"][name] for name in EXPERTS)
    h = ACTIVATIONS[config.hidden_act](experts(x, chosen, up, of.intermediate_size))  # [T, k*F]
    return experts_sum(h, chosen, down, config.hidden_size) + mlp(config, w["shared_experts"], x, config.shared_size)
