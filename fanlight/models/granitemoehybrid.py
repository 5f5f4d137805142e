"""Granite 4: H micro, tiny and small, and the folders of its dense models.  https://www.ibm.com/granite/docs/models/granite
Granite, except: most layers have Mamba-2 in place of attention, whose positions mostly turn nothing, and each layer's MLP
stands beside experts, or alone."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import granite, granitemoe, moe, state_space
from fanlight.models.config import Keys
from fanlight.models.decoder import FULL
from fanlight.models.layers import linear
from fanlight.models.moe import Moe
from fanlight.models.rope import Rope
from fanlight.models.state_space import StateSpace
from fanlight.models.weights import Weights

PAIRED_IN = ("gguf",)

PARTS = {"gate": "gate", "up": "up", "output_linear": "down"}  # of the MLP
GGUF_NAMES = {
    **{ours: theirs for ours, theirs in granitemoe.GGUF_NAMES.items() if ".mlp." not in ours},
    **state_space.MIXER_NAMES,
    **{f"model.layers.{{i}}.shared_mlp.{part}": f"blk.{{i}}.ffn_{theirs}_shexp" for part, theirs in PARTS.items()},
    **{f"model.layers.{{i}}.alone.{part}": f"blk.{{i}}.ffn_{theirs}" for part, theirs in PARTS.items()},  # without experts
}
GGUF_KEYS = {
    **granitemoe.GGUF_KEYS,
    **state_space.PREFIXED_KEYS,
    "shared_intermediate_size": "expert_shared_feed_forward_length",
}
GGUF_LISTS = ("num_key_value_heads",)
ATTENTION, RECURRENT = (FULL, "attention"), ("linear_attention", "mamba")


@dataclass(frozen=True, slots=True)
class Config(granite.Config):
    shared_intermediate_size: int
    attends: tuple[bool, ...]  # each layer: or has a mixer
    turns: bool
    mixer: StateSpace
    moe: Moe | None


def read_config(keys: Keys) -> Config:
    fields = granite.read_fields(keys, always_turns=False)
    layers, hidden = fields["num_hidden_layers"], fields["hidden_size"]
    keys.only("hidden_act", "silu")
    keys.only("normalization_function", "rmsnorm")
    keys.ignore("mamba_chunk_size", "mamba_expand", "init_method")
    inner = None if keys.is_gguf else keys.number("mamba_expand", 2) * hidden
    return Config(
        **fields,
        shared_intermediate_size=keys.number("shared_intermediate_size", fields["intermediate_size"] if keys.is_gguf else 1024),
        attends=read_attends(keys, layers, fields["num_key_value_heads"]),
        turns=read_turns(keys),
        mixer=state_space.read_mixer(keys, state_space.PREFIXED, (128, None, 1, 256), inner, fields["rms_norm_eps"]),
        moe=read_experts(keys, layers),
    )


def read_turns(keys: Keys) -> bool:
    if keys.is_gguf:
        return keys.flag("is_turned", True)
    return keys.has("position_embedding_type") and keys.choice("position_embedding_type", ("rope", "nope")) == "rope"


def read_attends(keys: Keys, layers: int, kv_heads: int) -> tuple[bool, ...]:
    """In GGUF those that have key heads."""
    if keys.is_gguf:
        counts = keys.per_layer("num_key_value_heads_of_layers", (0, kv_heads), layers)
        return tuple(count > 0 for count in counts or (kv_heads,) * layers)
    keys.rename({"layer_types": "layers_block_type"})
    kinds = keys.per_layer("layer_types", (*ATTENTION, *RECURRENT), layers)
    return tuple(kind in ATTENTION for kind in kinds or RECURRENT[:1] * layers)


def read_experts(keys: Keys, layers: int) -> Moe | None:
    count = "num_experts" if keys.is_gguf else "num_local_experts"
    if (keys.is_gguf and not keys.has(count)) or not keys.count(count, 8):
        keys.ignore("num_experts_per_tok")
        return None
    return moe.read_moe(keys, layers, True, (8, 2, 11008), "intermediate_size")


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return granite.stack(config, weights, rows, samples, context_length, mlp, mixer_or_attention)


def mixer_or_attention(config: Config, layer: Weights, x: Node, i: int, table: Rope) -> Node:
    if config.attends[i]:
        return granite.self_attention(config, layer, x, i, table if config.turns else None)
    return state_space.mixer(config.mixer, layer["mamba"], x, i)


def mlp(config: Config, layer: Weights, x: Node) -> Node:
    size, shared = config.shared_intermediate_size, layer["shared_mlp"]
    if shared.is_gguf:
        shared = shared if config.moe else layer["alone"]
        gate, up = shared["gate"], shared["up"]
    else:
        gate, up = shared["input_linear"].split(size, size)
    gated = ACTIVATIONS[config.hidden_act](linear(x, gate, size)) * linear(x, up, size)  # [T, F]
    y = linear(gated, shared["output_linear"], config.hidden_size)  # [T, C]
    return y + granitemoe.mlp(config, layer, x) if config.moe else y
