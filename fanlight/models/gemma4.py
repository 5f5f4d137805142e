"""Gemma 4, its language models.  https://ai.google.dev/gemma/docs/core/model_card_4
Gemma 3, except: norms by their weight alone, one of values too; heads of the layers without a window are wider, and in them
only the first pairs turn; the last layers attend to what the last before them of their kind have kept; in the small models each
token has an embedding of its own for each layer; in the 26B-A4B there are routed experts beside each MLP. With a vision model
beside it, it is nested in `text_config`."""

import re
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS, softcap
from fanlight.models import gemma, llama
from fanlight.models.gemma4_config import GGUF_KEYS, GGUF_LISTS, Config, read_config
from fanlight.models.gemma4_experts import beside_experts
from fanlight.models.layers import append, attend_to, columns, embed, linear, rms_norm, rope
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_LISTS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "is_unused", "read_config"]

PAIRED_IN = ()

GGUF_NAMES = {
    **{name: theirs for name, theirs in llama.GGUF_NAMES.items() if "post_attention" not in name},
    "model.embed_tokens_per_layer": "per_layer_token_embd",
    "model.per_layer_model_projection": "per_layer_model_proj",
    "model.per_layer_projection_norm": "per_layer_proj_norm",
    "model.layers.{i}.self_attn.q_norm": "blk.{i}.attn_q_norm",
    "model.layers.{i}.self_attn.k_norm": "blk.{i}.attn_k_norm",
    "model.layers.{i}.post_attention_layernorm": "blk.{i}.post_attention_norm",
    "model.layers.{i}.pre_feedforward_layernorm": "blk.{i}.ffn_norm",
    "model.layers.{i}.post_feedforward_layernorm": "blk.{i}.post_ffw_norm",
    "model.layers.{i}.per_layer_input_gate": "blk.{i}.inp_gate",
    "model.layers.{i}.per_layer_projection": "blk.{i}.proj",
    "model.layers.{i}.post_per_layer_input_norm": "blk.{i}.post_norm",
    "model.layers.{i}.layer_scalar": "blk.{i}.layer_output_scale",
    "model.layers.{i}.post_feedforward_layernorm_1": "blk.{i}.post_ffw_norm_1",
    "model.layers.{i}.pre_feedforward_layernorm_2": "blk.{i}.pre_ffw_norm_2",
    "model.layers.{i}.post_feedforward_layernorm_2": "blk.{i}.post_ffw_norm_2",
    "model.layers.{i}.router.proj": "blk.{i}.ffn_gate_inp",
    **{f"model.layers.{{i}}.experts.{name}_proj": f"blk.{{i}}.ffn_{name}_exps" for name in ("gate_up", "gate", "up", "down")},
}


def is_unused(config: Config, name: str) -> bool:
    """Keys and values of layers that attend to others', which some files have all the same."""
    found = re.search(r"(?:layers|blk)\.(\d+)\.(?:self_attn\.[kv]_(?:proj|norm)|attn_[kv](?:_norm)?)\.weight$", name)
    return found is not None and int(found[1]) >= config.num_hidden_layers - config.num_kv_shared_layers


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w = gemma.language_model(weights)
    x = gemma.embeddings(config, w["embed_tokens"], rows)
    of_layers = per_layer_inputs(config, w, x) if config.per_layer else None
    caches: dict[bool, Node] = {}  # the last of layers with a window, and of those without
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = self_attention(config, layer["self_attn"], norm(config, layer["input_layernorm"], x), i, caches)
        x = x + norm(config, layer["post_attention_layernorm"], y)
        y = mlp(config, layer["mlp"], norm(config, layer["pre_feedforward_layernorm"], x), config.mlp_sizes[i])
        y = beside_experts(config, config.moe, layer, x, y) if config.moe else y
        x = x + norm(config, layer["post_feedforward_layernorm"], y)
        if of_layers:
            own = columns(of_layers, i * config.per_layer, config.per_layer)
            x = x + norm(config, layer["post_per_layer_input_norm"], per_layer_mlp(config, layer, x, own))
        x = x * layer_scalar(layer)
    cap = config.final_logit_softcapping
    return llama.head(config, w, weights["lm_head"], x, samples, norm, lambda logits: softcap(logits, cap) if cap else logits)


def norm(config: Any, w: Weights, x: Node) -> Node:
    return rms_norm(x, w.vector(config.hidden_size), config.rms_norm_eps)


def layer_scalar(w: Weights) -> Node | float:
    if not w.is_gguf:
        return w.scalar("layer_scalar")
    return w["layer_scalar"].scalar("weight") if w["layer_scalar"].has() else 1.0


def per_layer_inputs(config: Any, w: Weights, x: Node) -> Node:
    """Of all layers side by side: what the token has for each, and what its embedding makes for each. [T, L*P]"""
    layers, size = config.num_hidden_layers, config.per_layer
    own = embed(w["embed_tokens_per_layer"], x.shape[0], config.per_layer_vocab_size, layers * size, "again") * size**0.5
    made = linear(x, w["per_layer_model_projection"], layers * size) * config.hidden_size**-0.5
    made = rms_norm(made, w["per_layer_projection_norm"].vector(size), config.rms_norm_eps, layers)
    return (made + own) * 2**-0.5


def per_layer_mlp(config: Any, w: Weights, x: Node, own: Node) -> Node:
    gate = ACTIVATIONS[config.hidden_act](linear(x, w["per_layer_input_gate"], config.per_layer))  # [T, P]
    return linear(gate * own, w["per_layer_projection"], config.hidden_size)  # [T, C]


def self_attention(config: Config, w: Weights, x: Node, i: int, caches: dict[bool, Node]) -> Node:
    window, heads = config.windows[i], config.num_attention_heads
    slides, size = window is not None, config.head_dim if window else config.global_head_dim
    table = (config.sliding_rope if slides else config.rope).at(0)
    q = linear(x, w["q_proj"].biased(config.attention_bias).paired(size, table.rotary), heads * size)  # [T, H*D]
    q = rope(rms_norm(q, w["q_norm"].paired(size, table.rotary).vector(size), config.rms_norm_eps, heads), heads, table)
    if i < config.num_hidden_layers - config.num_kv_shared_layers:
        caches[slides] = keep(config, w, x, i, size, table)
    x = attend_to(q, caches[slides], heads, window, scale=1.0)  # [T, H*D]
    return linear(x, w["o_proj"].biased(config.output_bias), config.hidden_size)  # [T, C]


def keep(config: Config, w: Weights, x: Node, i: int, size: int, table: Rope) -> Node:
    kv_heads = config.num_key_value_heads if config.windows[i] else config.global_kv_heads
    wk, wv = (w[name].biased(config.attention_bias) for name in ("k_proj", "v_proj"))
    shares = config.windows[i] is None and (not wv.has() if config.shares_values is None else config.shares_values)
    k = linear(x, wk.paired(size, table.rotary), kv_heads * size)  # [T, K*D]
    v = linear(x, wk if shares else wv, kv_heads * size)  # [T, K*D]
    k = rms_norm(k, w["k_norm"].paired(size, table.rotary).vector(size), config.rms_norm_eps, kv_heads)
    return append(rope(k, kv_heads, table), rms_norm(v, None, config.rms_norm_eps, kv_heads), i, kv_heads)


def mlp(config: Config, w: Weights, x: Node, size: int) -> Node:
    gated = ACTIVATIONS[config.hidden_act](linear(x, w["gate_proj"], size)) * linear(x, w["up_proj"], size)  # [T, F]
    return linear(gated, w["down_proj"], config.hidden_size)  # [T, C]
