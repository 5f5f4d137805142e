"""StarCoder2.  https://arxiv.org/abs/2402.19173
Llama, except: LayerNorm, biases everywhere, an MLP without a gate, and a sliding window on every layer, of which GGUF files
do not tell."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import llama, stablelm
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import embed, linear
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **{name: theirs for name, theirs in llama.GGUF_NAMES.items() if ".mlp." not in name},
    "model.layers.{i}.mlp.c_fc": "blk.{i}.ffn_up",
    "model.layers.{i}.mlp.c_proj": "blk.{i}.ffn_down",
}
GGUF_KEYS = {"norm_epsilon": "attention.layer_norm_epsilon"}
ALWAYS = {"mlp_type": "default", "norm_type": "layer_norm"}  # in published files


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    layer_norm_eps: float
    sliding_window: int | None


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=4096, kv_heads=2, is_tied=True, act="gelu_pytorch_tanh")
    for key, value in ALWAYS.items():
        keys.only(key, value)
    bias = keys.optional_flag("use_bias", None if keys.is_gguf else True)
    fields |= {"attention_bias": bias, "output_bias": bias, "mlp_bias": bias}
    window = keys.optional_number("sliding_window")
    return Config(**fields, layer_norm_eps=keys.positive("norm_epsilon", 1e-5), sliding_window=window)


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = stablelm.norm(config, layer["input_layernorm"], x)
        x = x + llama.self_attention(config, layer["self_attn"], y, i, table, window=config.sliding_window)
        x = x + mlp(config, layer["mlp"], stablelm.norm(config, layer["post_attention_layernorm"], x))
    return llama.head(config, w, weights["lm_head"], x, samples, stablelm.norm)


def mlp(config: Config, w: Weights, x: Node) -> Node:
    up, down = w["c_fc"].biased(config.mlp_bias), w["c_proj"].biased(config.mlp_bias)
    return linear(ACTIVATIONS[config.hidden_act](linear(x, up, config.intermediate_size)), down, config.hidden_size)
