"""InternLM 2 and 2.5.  https://arxiv.org/abs/2403.17297
Llama, by other names, except: in folders q, k and v are one matrix, by key heads. (Its `dynamic` RoPE changes nothing up to
max_position_embeddings, beyond which no context goes.)"""

from functools import partial

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.layers import linear
from fanlight.models.llama import GGUF_NAMES, Config
from fanlight.models.rope import Rope, read_rope
from fanlight.models.weights import Weights

__all__ = ["FOLDER_NAMES", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ("gguf",)

FOLDER_NAMES = {
    "model.embed_tokens": "model.tok_embeddings",
    "lm_head": "output",
    "model.layers.{i}.input_layernorm": "model.layers.{i}.attention_norm",
    "model.layers.{i}.self_attn.wqkv": "model.layers.{i}.attention.wqkv",
    "model.layers.{i}.self_attn.o_proj": "model.layers.{i}.attention.wo",
    "model.layers.{i}.post_attention_layernorm": "model.layers.{i}.ffn_norm",
    "model.layers.{i}.mlp.gate_proj": "model.layers.{i}.feed_forward.w1",
    "model.layers.{i}.mlp.up_proj": "model.layers.{i}.feed_forward.w3",
    "model.layers.{i}.mlp.down_proj": "model.layers.{i}.feed_forward.w2",
}


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=2048, rope=partial(read_rope, aliases={"dynamic": "default"}))
    if not keys.is_gguf:
        fields["attention_bias"] = fields["output_bias"] = keys.optional_flag("bias", True)
    return Config(**fields, rms_norm_eps=keys.positive("rms_norm_eps", 1e-6))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, self_attention)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    if w.is_gguf:
        return llama.self_attention(config, w, x, i, table)
    kv_heads, head_dim = config.num_key_value_heads, config.head_dim
    wq, wk, wv = w["wqkv"].biased(config.attention_bias).grouped(kv_heads, config.num_attention_heads // kv_heads, head_dim)
    q = linear(x, wq.paired(head_dim, table.rotary), config.num_attention_heads * head_dim)  # [T, H*D]
    k = linear(x, wk.paired(head_dim, table.rotary), kv_heads * head_dim)  # [T, K*D]
    return llama.turn_and_attend(config, w, q, k, linear(x, wv, kv_heads * head_dim), i, table)
