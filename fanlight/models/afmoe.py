"""Trinity, Arcee's: Nano, Mini.  https://huggingface.co/arcee-ai/Trinity-Mini
Llama, except: norms before and after each branch; heads of queries and keys are normalised; what attention gives is multiplied
with the sigmoid of gates; three layers of four have a sliding window, and in the fourth positions turn nothing; embeddings may
be scaled; MLPs are experts as DeepSeek V3 has them, but for the first layers'."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import sigmoid
from fanlight.models import llama, moe, qwen3, routed
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder, sliding_in_turns, windows
from fanlight.models.layers import attend, embed, linear, rope
from fanlight.models.moe import Moe
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **qwen3.GGUF_NAMES,
    **{name: gguf for name, gguf in routed.GGUF_NAMES.items() if ".mlp.gate" not in name},
    "model.layers.{i}.mlp.router.gate": "blk.{i}.ffn_gate_inp",
    "model.layers.{i}.mlp.expert_bias": "blk.{i}.exp_probs_b",
    "model.layers.{i}.self_attn.gate_proj": "blk.{i}.attn_gate",
    "model.layers.{i}.post_attention_layernorm": "blk.{i}.post_attention_norm",
    "model.layers.{i}.pre_mlp_layernorm": "blk.{i}.ffn_norm",
    "model.layers.{i}.post_mlp_layernorm": "blk.{i}.post_ffw_norm",
}
GGUF_KEYS = routed.GGUF_KEYS
KEYS = {  # the usual name -> config.json's
    "n_routed_experts": "num_experts",
    "n_shared_experts": "num_shared_experts",
    "first_k_dense_replace": "num_dense_layers",
    "routed_scaling_factor": "route_scale",
}
ALWAYS = {"route_norm": True, "score_func": "sigmoid", "n_group": 1, "topk_group": 1}
ALWAYS |= {"num_expert_groups": 1, "num_limited_groups": 1}


@dataclass(frozen=True, slots=True)
class Config(llama.Config):
    windows: tuple[int | None, ...]  # of each layer
    is_turned: tuple[bool, ...]  # each layer
    embedding_scale: float
    moe: Moe
    shared_size: int  # 0: there is no such MLP
    routing: dict[str, Any]  # of layers.route
    drafts: int


def read_config(keys: Keys) -> Config:
    keys.rename(KEYS)
    fields = read_decoder(keys, longest=16384, head_dim=None if keys.is_gguf else 128)
    for key, value in ALWAYS.items():
        keys.only(key, value)
    keys.only("gating", 2)
    keys.ignore("load_balance_coeff", "use_grouped_mm")
    normalize, first = not keys.is_gguf or keys.flag("norm_topk_prob", False), 0 if keys.is_gguf else 1
    routing = {"score": "sigmoid", "scale": keys.positive("routed_scaling_factor", 1.0), "eps": 1e-20}
    layers, turn = fields["num_hidden_layers"], "sliding_window_pattern" if keys.is_gguf else "global_attn_every_n_layers"
    is_sliding = sliding_in_turns(keys, layers, 4, turn)
    is_scaled = keys.is_gguf or keys.flag("mup_enabled", False)  # llama.cpp: always
    return Config(
        **fields,
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-5),
        windows=windows(is_sliding, keys.optional_number("sliding_window", None if keys.is_gguf else 1024)),
        is_turned=is_sliding,
        embedding_scale=fields["hidden_size"] ** 0.5 if is_scaled else 1.0,
        **routed.read_routed(keys, layers, first, (64, 6, 1408), 2, normalize, routing),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, table = weights["model"], config.rope.at(context_length)
    x = embed(w["embed_tokens"], rows, config.vocab_size, config.hidden_size)  # [T, C]
    x = x * config.embedding_scale if config.embedding_scale != 1.0 else x
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        y = self_attention(config, layer["self_attn"], llama.norm(config, layer["input_layernorm"], x), i, table)
        x = x + llama.norm(config, layer["post_attention_layernorm"], y)
        y = mlp(config, layer["mlp"], llama.norm(config, layer["pre_mlp_layernorm"], x), i)
        x = x + llama.norm(config, layer["post_mlp_layernorm"], y)
    return llama.head(config, w, weights["lm_head"], x, samples)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    turning = table if config.is_turned[i] else None
    q, k, v = qwen3.normed_qkv(config, w, x, turning)
    if turning:
        q, k = rope(q, heads, turning), rope(k, kv_heads, turning)
    y = attend(q, k, v, i, heads, kv_heads, window=config.windows[i])  # [T, H*D]
    y = y * sigmoid(linear(x, w["gate_proj"], heads * config.head_dim))
    return linear(y, w["o_proj"].biased(config.output_bias), config.hidden_size)  # [T, C]


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    if not config.moe.is_sparse[i]:
        return llama.mlp(config, w, x)
    count = config.moe.num_experts
    bias = w["expert_bias"].vector(count, "bias") if w.is_gguf else w.vector(count, "expert_bias")
    y = moe.mlp(config, config.moe, w, x, router="router.gate", bias=bias, **config.routing)  # [T, C]
    return y + llama.mlp(config, w["shared_experts"], x, config.shared_size) if config.shared_size else y
