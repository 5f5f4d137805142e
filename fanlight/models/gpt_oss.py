"""gpt-oss: 20B, 120B.  https://arxiv.org/abs/2508.10925
Llama, except: a score without a value joins each head's softmax, every other layer has a window, all products have biases, and
MLPs are routed experts whose gates and ups are clamped. Folders have gates and ups row by row in turn, and what is not MXFP4
transposed."""

from dataclasses import dataclass
from functools import partial

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import largest, sigmoid, smallest
from fanlight.models import llama, moe
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder, sliding_layers, windows
from fanlight.models.layers import experts, experts_sum, linear, route
from fanlight.models.moe import Moe
from fanlight.models.rope import Rope, read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    "model.layers.{i}.self_attn.sinks": "blk.{i}.attn_sinks",
    "model.layers.{i}.post_attention_layernorm": "blk.{i}.post_attention_norm",
    "model.layers.{i}.mlp.router": "blk.{i}.ffn_gate_inp",
    "model.layers.{i}.mlp.experts.gate_proj": "blk.{i}.ffn_gate_exps",
    "model.layers.{i}.mlp.experts.up_proj": "blk.{i}.ffn_up_exps",
    "model.layers.{i}.mlp.experts.down_proj": "blk.{i}.ffn_down_exps",
}
GGUF_KEYS = {**moe.COUNTS, "expert_size": "expert_feed_forward_length"}


@dataclass(frozen=True, slots=True)
class Config(llama.Config):
    windows: tuple[int | None, ...]
    moe: Moe
    alpha: float  # of the gate's sigmoid
    limit: float  # of gates from above, and of ups


def read_config(keys: Keys) -> Config:
    rope, scaling = partial(read_rope, theta=150000.0), keys.inner("rope_scaling")
    if keys.is_gguf and scaling:
        scaling.assume("truncate", False)  # as published; no key says so
    fields = read_decoder(keys, longest=131072, kv_heads=8, head_dim=64, rope=rope)
    layers = fields["num_hidden_layers"]
    if not keys.is_gguf:
        bias = keys.flag("attention_bias", True)
        fields |= {"attention_bias": bias, "output_bias": bias}
    keys.ignore("experts_per_token", "initial_context_length")  # said by others too
    size = "expert_size" if keys.is_gguf else "intermediate_size"
    return Config(
        **fields,
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-5),
        windows=windows(sliding_layers(keys, layers, lambda i: i % 2 == 0), keys.optional_number("sliding_window", 128)),
        moe=moe.read_moe(keys, layers, True, (128, 4, 2880), size),
        alpha=keys.positive("swiglu_alpha", 1.702),
        limit=keys.positive("swiglu_limit", 7.0),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, self_attention, mlp)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    heads = config.num_attention_heads
    sinks = w["sinks"].vector(heads) if w.is_gguf else w.vector(heads, "sinks")
    return llama.self_attention(config, w, x, i, table, window=config.windows[i], sinks=sinks)


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    count, size = config.moe.num_experts, config.moe.intermediate_size
    moe.check_size(size, w.name)
    chosen = route(linear(x, w["router"], count), config.moe.num_experts_per_tok)  # [T, 2k]
    of = w["experts"]
    down = of["down_proj"]
    if w.is_gguf:
        both = [(of[name], of[name].bias_of_experts(count, size)) for name in ("gate_proj", "up_proj")]
        down_bias = down.bias_of_experts(count, config.hidden_size)
    else:
        is_mxfp4 = of["gate_up_proj"].has()
        gate_up = of["gate_up_proj"] if is_mxfp4 else of.called("gate_up_proj").turned()
        down = down if is_mxfp4 else of.called("down_proj").turned()
        biases = [of.alternate(c).bias_of_experts(count, size, "gate_up_proj_bias") for c in (0, 1)]
        both = [(gate_up.alternate(c), bias) for c, bias in enumerate(biases)]
        down_bias = of.bias_of_experts(count, config.hidden_size, "down_proj_bias")
    gate, up = (experts(x, chosen, weight, size, bias) for weight, bias in both)  # [T, k*F]
    gate = smallest(gate, config.limit)
    up = largest(smallest(up, config.limit), -config.limit)
    h = gate * sigmoid(config.alpha * gate) * (up + 1.0)
    return experts_sum(h, chosen, down, config.hidden_size, down_bias)  # [T, C]
