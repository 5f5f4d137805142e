"""StableLM 2.  https://arxiv.org/abs/2402.17834
Llama, except: LayerNorm, only a quarter of each head turns, q, k and v may have biases, and the 12B has one norm for both
branches of a block, which run side by side, and one for every query and key head."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import embed, layer_norm
from fanlight.models.rope import Rope, read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    "model.layers.{i}.self_attn.q_layernorm.norms": "blk.{i}.attn_q_norm",
    "model.layers.{i}.self_attn.k_layernorm.norms": "blk.{i}.attn_k_norm",
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    layer_norm_eps: float
    use_parallel_residual: bool | None  # None, here and below: as the tensors are
    qk_layernorm: bool | None


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=4096, kv_heads=32, rope=partial(read_rope, partial=0.25))
    bias = {"attention_bias": keys.optional_flag("use_qkv_bias", False), "output_bias": False}
    parallel = keys.optional_flag("use_parallel_residual", False)
    return Config(
        **fields | bias,
        layer_norm_eps=keys.positive("layer_norm_eps", 1e-5),
        use_parallel_residual=None if keys.is_gguf else parallel,  # converters write a guess
        qk_layernorm=keys.optional_flag("qk_layernorm", False),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        x = block(config, layer, x, i, table)
    return llama.head(config, w, weights["lm_head"], x, samples, norm)


def block(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    is_parallel = config.use_parallel_residual
    if is_parallel is None:
        is_parallel = not w["post_attention_layernorm"].has()
    y = norm(config, w["input_layernorm"], x)
    attended = x + self_attention(config, w["self_attn"], y, i, table)
    return attended + llama.mlp(config, w["mlp"], y if is_parallel else norm(config, w["post_attention_layernorm"], attended))


def norm(config: Any, w: Weights, x: Node) -> Node:
    return layer_norm(x, w.vector(config.hidden_size), w.vector(config.hidden_size, "bias"), config.layer_norm_eps)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    q, k, v = llama.qkv(config, w, x, table)
    wq, wk = (w[name]["norms"].paired(config.head_dim, table.rotary) for name in ("q_layernorm", "k_layernorm"))
    if wq.has() if config.qk_layernorm is None else config.qk_layernorm:
        q = head_norm(config, wq, q, config.num_attention_heads)  # [T, H*D]
        k = head_norm(config, wk, k, config.num_key_value_heads)  # [T, K*D]
    return llama.turn_and_attend(config, w, q, k, v, i, table)


def head_norm(config: Config, w: Weights, x: Node, heads: int) -> Node:
    return layer_norm(x, w.vector_of_heads(heads, config.head_dim), None, config.layer_norm_eps, heads)
