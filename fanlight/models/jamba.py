"""Jamba.  https://arxiv.org/abs/2403.19887
Llama, except: most layers have Mamba in place of attention, whose time steps, B and C are normalised; positions turn
nothing; in some layers experts are in place of the MLP."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import granitemoehybrid, llama, mamba, moe, state_space
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import embed
from fanlight.models.mamba import Selective
from fanlight.models.moe import Moe
from fanlight.models.rope import without_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

MLP = ("gate", "up", "down")
GGUF_NAMES = {
    **state_space.HYBRID_NAMES,
    **mamba.MIXER_NAMES,
    "model.final_layernorm": "output_norm",
    "model.layers.{i}.pre_ff_layernorm": "blk.{i}.ffn_norm",
    "model.layers.{i}.feed_forward.router": "blk.{i}.ffn_gate_inp",
    **{f"model.layers.{{i}}.feed_forward.{part}_proj": f"blk.{{i}}.ffn_{part}" for part in MLP},
    **{f"model.layers.{{i}}.feed_forward.experts.{part}_proj": f"blk.{{i}}.ffn_{part}_exps" for part in MLP},
}
NAMES = {
    "rank": "mamba_dt_rank",
    "states": "mamba_d_state",
    "taps": "mamba_d_conv",
    "expand": "mamba_expand",
    "bias": "mamba_proj_bias",
    "conv_bias": "mamba_conv_bias",
}
GGUF_KEYS = {NAMES.get(part, part): key for part, key in mamba.MIXER_KEYS.items()} | moe.COUNTS
GGUF_LISTS = ("num_key_value_heads",)
UNUSED = ("use_mamba_kernels", "use_mambapy", "use_associative_scan", "num_logits_to_keep", "calc_logits_for_entire_prompt")


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    attends: tuple[bool, ...]  # each layer: or has a mixer
    mixer: Selective
    moe: Moe | None


def read_config(keys: Keys) -> Config:
    keys.ignore(*UNUSED)
    fields = read_decoder(keys, longest=262144, kv_heads=8, acts=("silu",), rope=without_rope)
    layers, hidden, eps = fields["num_hidden_layers"], fields["hidden_size"], keys.positive("rms_norm_eps", 1e-6)
    keys.only("mamba_inner_layernorms", True)
    inner = keys.number("inner") if keys.is_gguf else keys.number("mamba_expand", 2) * hidden
    return Config(
        **fields,
        rms_norm_eps=eps,
        attends=read_attends(keys, layers, fields["num_key_value_heads"]),
        mixer=mamba.read_mixer(keys, NAMES, inner, hidden, eps, is_weighed=True),
        moe=read_experts(keys, layers),
    )


def read_attends(keys: Keys, layers: int, kv_heads: int) -> tuple[bool, ...]:
    if keys.is_gguf:
        return granitemoehybrid.read_attends(keys, layers, kv_heads)
    return in_turns(keys, "attn_layer", layers, (8, 4))


def in_turns(keys: Keys, name: str, layers: int, default: tuple[int, int]) -> tuple[bool, ...]:
    """One layer of each turn of so many, the first at an offset."""
    period, offset = keys.number(f"{name}_period", default[0]), keys.count(f"{name}_offset", default[1])
    return tuple(i % period == offset for i in range(layers))


def read_experts(keys: Keys, layers: int) -> Moe | None:
    """Which layers have them is said by tensors in GGUF."""
    is_sparse = None if keys.is_gguf else in_turns(keys, "expert_layer", layers, (2, 1))
    if (keys.is_gguf and not keys.has("num_experts")) or keys.count("num_experts", 16) < 2:
        keys.ignore("num_experts_per_tok")
        return None
    return moe.read_moe(keys, layers, False, (16, 2, 14336), "intermediate_size", is_sparse)


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w = weights["model"]
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = llama.norm(config, layer["input_layernorm"], x)
        if config.attends[i]:
            x = x + llama.self_attention(config, layer["self_attn"], y, i, None)
        else:
            x = x + mamba.mixer(config.mixer, layer["mamba"], y, i)
        x = x + mlp(config, layer["feed_forward"], llama.norm(config, layer["pre_ff_layernorm"], x), i)
    return llama.head(config, w, weights["lm_head"], x, samples, norm_name="final_layernorm")


def mlp(config: Any, w: Weights, x: Node, i: int) -> Node:
    is_sparse = w["router"].has() if w.is_gguf else config.moe and config.moe.is_sparse[i]
    return moe.mlp(config, config.moe, w, x, "router") if config.moe and is_sparse else llama.mlp(config, w, x)
