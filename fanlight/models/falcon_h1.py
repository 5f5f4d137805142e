"""Falcon-H1.  https://arxiv.org/abs/2507.22448
Llama, except: each layer has attention and Mamba-2 side by side on the same input, and what enters and leaves them, the MLP and
the head is multiplied by numbers that GGUF files have in their weights already."""

from dataclasses import dataclass, replace
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS, silu
from fanlight.models import llama, state_space
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import embed, linear, rms_norm
from fanlight.models.rope import Rope
from fanlight.models.state_space import StateSpace, scaled
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **state_space.HYBRID_NAMES,
    **state_space.MIXER_NAMES,
    "model.final_layernorm": "output_norm",
    "model.layers.{i}.pre_ff_layernorm": "blk.{i}.ffn_norm",
    **{f"model.layers.{{i}}.feed_forward.{part}_proj": f"blk.{{i}}.ffn_{part}" for part in ("gate", "up", "down")},
}
GGUF_KEYS = state_space.PREFIXED_KEYS
MULTIPLIERS = ("embedding", "lm_head", "key", "attention_in", "attention_out", "ssm_in", "ssm_out")
TRAINING = ("attn_layer_indices", "mamba_chunk_size", "mlp_expansion_factor", "num_logits_to_keep", *state_space.UNUSED)


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    multipliers: dict[str, float]
    gates_after_norm: bool
    mixer: StateSpace


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=8192, kv_heads=8, acts=("silu",))
    multipliers = {name: keys.positive(f"{name}_multiplier", 1.0) for name in MULTIPLIERS}
    of_mlp = keys.numbers("mlp_multipliers", (1.0, 1.0))
    keys.only("mamba_use_mlp", True)
    keys.ignore(*TRAINING)
    return Config(
        **fields,
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-5),
        multipliers=multipliers | dict(zip(("gate", "down"), of_mlp, strict=True)),
        gates_after_norm=keys.flag("mamba_norm_before_gate", not keys.is_gguf),
        mixer=read_mixer(keys, fields["hidden_size"]),
    )


def read_mixer(keys: Keys, hidden: int) -> StateSpace:
    inner = None if keys.is_gguf else keys.optional_number("mamba_d_ssm", 1024) or keys.number("mamba_expand", 2) * hidden
    keys.ignore("mamba_expand")
    norm = keys.positive("rms_norm_eps", 1e-5) if keys.is_gguf or keys.flag("mamba_rms_norm", False) else None
    multipliers = keys.numbers("ssm_multipliers", (1.0,) * 5)
    out_bias = None if keys.is_gguf else keys.flag("projectors_bias", False)
    read = state_space.read_mixer(keys, state_space.PREFIXED, (128, None, 1, 256), inner, norm)
    return replace(read, out_bias=out_bias, multipliers=multipliers)


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table, by = weights["model"], config.rope.at(context_length), config.multipliers
    x = scaled(embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size), by["embedding"])  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = llama.norm(config, layer["input_layernorm"], x)
        attended = self_attention(config, layer["self_attn"], y, i, table)
        x = x + mixed(config, layer["mamba"], y, i) + attended
        x = x + mlp(config, layer["feed_forward"], rms_norm(x, second_norm(config, layer), config.rms_norm_eps))
    finish = None if by["lm_head"] == 1 else lambda logits: logits * by["lm_head"]
    return llama.head(config, w, weights["lm_head"], x, samples, finish=finish, norm_name="final_layernorm")


def second_norm(config: Config, layer: Weights) -> Node:
    """In GGUF its name has no kind at its end."""
    usual = layer["pre_ff_layernorm"]
    is_bare = usual.is_gguf and not usual.has()
    return layer["mamba"].vector(config.hidden_size, "ffn_norm") if is_bare else usual.vector(config.hidden_size)


def mixed(config: Config, w: Weights, x: Node, i: int) -> Node:
    def finish(y: Node, z: Node, norm: Weights) -> Node:
        if config.mixer.norm is None or (norm.is_gguf and not norm.has()):
            return y * silu(z)
        if config.gates_after_norm:
            return state_space.group_norm(config.mixer, y, norm) * silu(z)
        return state_space.group_norm(config.mixer, y * silu(z), norm)

    by = config.multipliers
    return scaled(state_space.mixer(config.mixer, w, scaled(x, by["ssm_in"]), i, finish), by["ssm_out"])


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    by = config.multipliers
    q, k, v = llama.qkv(config, w, scaled(x, by["attention_in"]), table)
    return scaled(llama.turn_and_attend(config, w, q, scaled(k, by["key"]), v, i, table), by["attention_out"])


def mlp(config: Any, w: Weights, x: Node) -> Node:
    gate, up, down = (w[name].biased(config.mlp_bias) for name in ("gate_proj", "up_proj", "down_proj"))
    gated = ACTIVATIONS[config.hidden_act](scaled(linear(x, gate, config.intermediate_size), config.multipliers["gate"]))
    y = linear(gated * linear(x, up, config.intermediate_size), down, config.hidden_size)  # [T, C]
    return scaled(y, config.multipliers["down"])
