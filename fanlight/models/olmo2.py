"""OLMo 2.  https://arxiv.org/abs/2501.00656
Llama, except: each branch is normalised after it, not before, and queries and keys are, over all heads at once."""

from dataclasses import dataclass

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder
from fanlight.models.layers import embed, rms_norm
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    "model.layers.{i}.self_attn.q_norm": "blk.{i}.attn_q_norm",
    "model.layers.{i}.self_attn.k_norm": "blk.{i}.attn_k_norm",
    "model.layers.{i}.post_attention_layernorm": "blk.{i}.post_attention_norm",
    "model.layers.{i}.post_feedforward_layernorm": "blk.{i}.post_ffw_norm",
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float


def read_config(keys: Keys) -> Config:
    return Config(**read_decoder(keys, longest=2048), rms_norm_eps=keys.positive("rms_norm_eps", 1e-5))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = self_attention(config, layer["self_attn"], x, i, table)
        x = x + llama.norm(config, layer["post_attention_layernorm"], y)
        x = x + llama.norm(config, layer["post_feedforward_layernorm"], llama.mlp(config, layer["mlp"], x))
    return llama.head(config, w, weights["lm_head"], x, samples)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    q, k, v = llama.qkv(config, w, x, table)
    wq, wk = (w[name].paired(config.head_dim, table.rotary) for name in ("q_norm", "k_norm"))
    q = rms_norm(q, wq.vector(q.shape[1]), config.rms_norm_eps)  # [T, H*D]
    k = rms_norm(k, wk.vector(k.shape[1]), config.rms_norm_eps)  # [T, K*D]
    return llama.turn_and_attend(config, w, q, k, v, i, table)
