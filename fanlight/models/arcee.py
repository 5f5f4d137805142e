"""AFM, Arcee's.  https://www.arcee.ai/blog/deep-dive-afm-4-5b-the-first-arcee-foundational-model
Llama, except: the MLP has no gate, and squares what ReLU leaves."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import embed, linear
from fanlight.models.llama import GGUF_NAMES
from fanlight.models.weights import Weights

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ("gguf",)


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float


def read_config(keys: Keys) -> Config:
    return Config(**read_decoder(keys, longest=4096, act="relu2"), rms_norm_eps=keys.positive("rms_norm_eps", 1e-5))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = llama.norm(config, layer["input_layernorm"], x)
        x = x + llama.self_attention(config, layer["self_attn"], y, i, table)
        x = x + mlp(config, layer["mlp"], llama.norm(config, layer["post_attention_layernorm"], x))
    return llama.head(config, w, weights["lm_head"], x, samples)


def mlp(config: Decoder, w: Weights, x: Node) -> Node:
    up, down = w["up_proj"].biased(config.mlp_bias), w["down_proj"].biased(config.mlp_bias)
    return linear(ACTIVATIONS[config.hidden_act](linear(x, up, config.intermediate_size)), down, config.hidden_size)  # [T, C]
