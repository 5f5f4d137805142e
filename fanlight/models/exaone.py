"""EXAONE 3 and 3.5.  https://arxiv.org/abs/2412.04862
Llama, by other names."""

from functools import partial

from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.llama import GGUF_NAMES, Config, forward
from fanlight.models.rope import read_rope

__all__ = ["FOLDER_NAMES", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ()

FOLDER_NAMES = {  # as published; transformers 5 saves it under Llama's
    "model.embed_tokens": "transformer.wte",
    "model.norm": "transformer.ln_f",
    "model.layers.{i}.input_layernorm": "transformer.h.{i}.ln_1",
    "model.layers.{i}.self_attn.q_proj": "transformer.h.{i}.attn.attention.q_proj",
    "model.layers.{i}.self_attn.k_proj": "transformer.h.{i}.attn.attention.k_proj",
    "model.layers.{i}.self_attn.v_proj": "transformer.h.{i}.attn.attention.v_proj",
    "model.layers.{i}.self_attn.o_proj": "transformer.h.{i}.attn.attention.out_proj",
    "model.layers.{i}.post_attention_layernorm": "transformer.h.{i}.ln_2",
    "model.layers.{i}.mlp.gate_proj": "transformer.h.{i}.mlp.c_fc_0",
    "model.layers.{i}.mlp.up_proj": "transformer.h.{i}.mlp.c_fc_1",
    "model.layers.{i}.mlp.down_proj": "transformer.h.{i}.mlp.c_proj",
}
KEYS = {"num_hidden_layers": "num_layers", "hidden_act": "activation_function", "rms_norm_eps": "layer_norm_epsilon"}


def read_config(keys: Keys) -> Config:
    keys.rename(KEYS)
    fields = read_decoder(keys, longest=4096, kv_heads=8, rope=partial(read_rope, theta=500000.0))
    return Config(**fields, rms_norm_eps=keys.positive("rms_norm_eps", 1e-5))
