"""OLMo 2.  https://arxiv.org/abs/2501.00656
Llama, except: each branch is normalised after it, not before, and queries and keys are, over all heads at once."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder, sliding_in_turns, windows
from fanlight.models.layers import embed, rms_norm
from fanlight.models.rope import LongRope, Rope, rope_of
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
    windows: tuple[int | None, ...]  # of each layer
    sliding_rope: Rope | LongRope  # of the layers with a window


def read_config(keys: Keys) -> Config:
    """A GGUF file of OLMo 3 calls itself OLMo 2."""
    fields = read_decoder(keys, longest=2048)
    layers, window = fields["num_hidden_layers"], keys.optional_number("sliding_window") if keys.is_gguf else None
    eps = keys.positive("rms_norm_eps", 1e-5)
    if window is None:
        return Config(**fields, rms_norm_eps=eps, windows=(None,) * layers, sliding_rope=fields["rope"])
    theta = keys.positive("rope_local_base_freq", keys.positive("rope_theta"))
    unscaled = rope_of(Keys({}, keys.file), theta, fields["head_dim"], None, fields["max_position_embeddings"])
    return Config(**fields, rms_norm_eps=eps, windows=windows(sliding_in_turns(keys, layers, 4), window), sliding_rope=unscaled)


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return stack(config, weights, rows, samples, context_length, self_attention)


def stack(config: Any, weights: Weights, rows: int, samples: int, context_length: int, attention: Any) -> Node:
    """attention: as self_attention."""
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = attention(config, layer["self_attn"], x, i, table)
        x = x + llama.norm(config, layer["post_attention_layernorm"], y)
        x = x + llama.norm(config, layer["post_feedforward_layernorm"], llama.mlp(config, layer["mlp"], x))
    return llama.head(config, w, weights["lm_head"], x, samples)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    if config.windows[i]:
        table = config.sliding_rope.at(0)
    q, k, v = llama.qkv(config, w, x, table)
    wq, wk = (w[name].paired(config.head_dim, table.rotary) for name in ("q_norm", "k_norm"))
    q = rms_norm(q, wq.vector(q.shape[1]), config.rms_norm_eps)  # [T, H*D]
    k = rms_norm(k, wk.vector(k.shape[1]), config.rms_norm_eps)  # [T, K*D]
    return llama.turn_and_attend(config, w, q, k, v, i, table, window=config.windows[i])
