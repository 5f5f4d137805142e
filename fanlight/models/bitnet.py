"""BitNet b1.58.  https://arxiv.org/abs/2504.12285
Llama, except: a norm of what attention gives and another of the gated product, before the matrices that read them, and a gate
of squared ReLU; of GGUF files, which are of the first BitNets, SiLU. Matrices are of -1, 0 and 1 (formats/folder_quant.py),
and what they are multiplied with is rounded (layers.linear)."""

from dataclasses import dataclass
from functools import partial

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import attend, linear, rms_norm, rope
from fanlight.models.rope import Rope, read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **{name: theirs for name, theirs in llama.GGUF_NAMES.items() if name != "lm_head"},
    "model.layers.{i}.self_attn.attn_sub_norm": "blk.{i}.attn_sub_norm",
    "model.layers.{i}.mlp.ffn_sub_norm": "blk.{i}.ffn_sub_norm",
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float


def read_config(keys: Keys) -> Config:
    act, table = ("silu", read_rope) if keys.is_gguf else ("relu2", partial(read_rope, theta=500000.0))
    fields = read_decoder(keys, longest=2048, kv_heads=None if keys.is_gguf else 5, act=act, rope=table)
    keys.only("head_dim", fields["hidden_size"] // fields["num_attention_heads"])
    return Config(**fields, rms_norm_eps=keys.positive("rms_norm_eps", 1e-5))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, self_attention, mlp)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    heads, kv_heads, (q, k, v) = config.num_attention_heads, config.num_key_value_heads, llama.qkv(config, w, x, table)
    x = attend(rope(q, heads, table), rope(k, kv_heads, table), v, i, heads, kv_heads)  # [T, C]
    x = rms_norm(x, w["attn_sub_norm"].vector(config.hidden_size), config.rms_norm_eps)
    return linear(x, w["o_proj"].biased(config.output_bias), config.hidden_size)  # [T, C]


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    size = config.intermediate_size
    x = ACTIVATIONS[config.hidden_act](linear(x, w["gate_proj"], size)) * linear(x, w["up_proj"], size)  # [T, F]
    return linear(rms_norm(x, w["ffn_sub_norm"].vector(size), config.rms_norm_eps), w["down_proj"], config.hidden_size)
