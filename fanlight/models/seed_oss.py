"""Seed-OSS.  https://huggingface.co/ByteDance-Seed/Seed-OSS-36B-Instruct
Llama, except: q, k and v have biases, and the other products may."""

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.llama import Config
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {**llama.GGUF_NAMES, "model.layers.{i}.post_attention_layernorm": "blk.{i}.post_attention_norm"}


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=524288, kv_heads=8, head_dim=128)
    fields["attention_bias"] = keys.optional_flag("attention_bias", True)
    fields["output_bias"] = keys.optional_flag("attention_out_bias", None if keys.is_gguf else False)
    return Config(**fields, rms_norm_eps=keys.positive("rms_norm_eps", 1e-6))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, llama.self_attention)
