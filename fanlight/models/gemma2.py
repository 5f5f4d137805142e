"""Gemma 2.  https://arxiv.org/abs/2408.00118
Gemma, except: norms before and after each branch, a sliding window on every other layer, and softcaps on attention scores and
logits."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import softcap
from fanlight.models import gemma, llama
from fanlight.models.config import Keys
from fanlight.models.decoder import Decoder, read_decoder, sliding_in_turns, windows
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    "model.layers.{i}.post_attention_layernorm": "blk.{i}.post_attention_norm",
    "model.layers.{i}.pre_feedforward_layernorm": "blk.{i}.ffn_norm",
    "model.layers.{i}.post_feedforward_layernorm": "blk.{i}.post_ffw_norm",
}


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    query_pre_attn_scalar: float  # attention scores are divided by its root
    attn_logit_softcapping: float | None
    final_logit_softcapping: float | None
    windows: tuple[int | None, ...]  # of each layer


def read_config(keys: Keys) -> Config:
    fields = read_fields(keys, longest=8192, layers_of_27b=46)
    keys.only("rope_local_base_freq", keys.positive("rope_theta", 10000.0))
    if not keys.is_gguf:
        keys.only("sliding_window_pattern", 2)
    return Config(
        **fields,
        attn_logit_softcapping=keys.optional_positive("attn_logit_softcapping", 50.0),
        final_logit_softcapping=keys.optional_positive("final_logit_softcapping", 30.0),
        windows=windows(sliding_in_turns(keys, fields["num_hidden_layers"], 2), keys.optional_number("sliding_window", 4096)),
    )


def read_fields(keys: Keys, longest: int, layers_of_27b: int, **more: Any) -> dict[str, Any]:
    """Those that Gemma 3 has as well. A GGUF file does not say the scale, which is the head's width except in the 27B."""
    more |= {"kv_heads": 4, "head_dim": 256, "is_tied": True, "act": "gelu_pytorch_tanh", "act_key": "hidden_activation"}
    fields = read_decoder(keys, longest, **more)
    keys.ignore("hidden_act")  # hidden_activation counts
    is_27b = fields["num_hidden_layers"] == layers_of_27b
    scalar = fields["hidden_size"] // fields["num_attention_heads"] if is_27b else fields["head_dim"]
    return {
        **fields,
        "rms_norm_eps": keys.positive("rms_norm_eps", 1e-6),
        "query_pre_attn_scalar": keys.positive("query_pre_attn_scalar", scalar if keys.is_gguf else 256),
    }


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["model"], config.rope.at(context_length)
    x = gemma.embeddings(config, w["embed_tokens"], rows)
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        x = block(config, layer, x, llama.self_attention, i, table)
    return head(config, w, weights["lm_head"], x, samples)


def block(config: Any, w: Weights, x: Node, attention: Any, i: int, table: Rope) -> Node:
    options = {
        "window": config.windows[i],
        "scale": config.query_pre_attn_scalar**-0.5,
        "cap": config.attn_logit_softcapping,
    }
    y = attention(config, w["self_attn"], gemma.norm(config, w["input_layernorm"], x), i, table, **options)
    x = x + gemma.norm(config, w["post_attention_layernorm"], y)
    y = llama.mlp(config, w["mlp"], gemma.norm(config, w["pre_feedforward_layernorm"], x))
    return x + gemma.norm(config, w["post_feedforward_layernorm"], y)


def head(config: Any, w: Weights, lm_head: Weights, x: Node, samples: int) -> Node:
    cap = config.final_logit_softcapping
    return llama.head(config, w, lm_head, x, samples, gemma.norm, lambda logits: softcap(logits, cap) if cap else logits)
