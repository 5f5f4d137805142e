"""GLM-4-0414 and Z1.  https://arxiv.org/abs/2406.12793
Llama, except: norms before and after each branch, half of each head turns, neighbours together, q, k and v may have biases,
and gate and up are one matrix."""

from dataclasses import dataclass
from functools import partial

from fanlight.compiler.graph import Node
from fanlight.models import llama, phi3
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import embed
from fanlight.models.rope import read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ("gguf", "safetensors")

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    "model.layers.{i}.post_self_attn_layernorm": "blk.{i}.post_attention_norm",
    "model.layers.{i}.post_mlp_layernorm": "blk.{i}.post_ffw_norm",
    "model.layers.{i}.mlp.gate_up_proj": "blk.{i}.ffn_up",
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=131072, kv_heads=2, head_dim=128, rope=partial(read_rope, partial=0.5))
    bias = {"attention_bias": keys.optional_flag("attention_bias", True), "output_bias": False}
    return Config(**fields | bias, rms_norm_eps=keys.positive("rms_norm_eps", 1.5625e-7))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = llama.self_attention(config, layer["self_attn"], llama.norm(config, layer["input_layernorm"], x), i, table)
        x = x + llama.norm(config, layer["post_self_attn_layernorm"], y)
        y = phi3.mlp(config, layer["mlp"], llama.norm(config, layer["post_attention_layernorm"], x))
        x = x + llama.norm(config, layer["post_mlp_layernorm"], y)
    return llama.head(config, w, weights["lm_head"], x, samples)
