"""Hunyuan, dense.  https://huggingface.co/tencent/Hunyuan-7B-Instruct
Llama, except: RMSNorm on every query and key head after the rotation, and `alpha` raises RoPE's base once and for all."""

from fanlight.compiler.graph import Node
from fanlight.models import llama
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.layers import attend, linear, rms_norm, rope
from fanlight.models.llama import Config
from fanlight.models.rope import LongRope, Rope, read_rope
from fanlight.models.weights import Weights

PAIRED_IN = ()

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    "model.layers.{i}.self_attn.query_layernorm": "blk.{i}.attn_q_norm",
    "model.layers.{i}.self_attn.key_layernorm": "blk.{i}.attn_k_norm",
}
# What published files say of the architecture, and is so in all of them.
ALWAYS = {
    "add_classification_head": False,
    "cla_share_factor": 2,
    "norm_type": "rms",
    "num_experts": 1,
    "position_embedding_xdrope": False,
    "use_cla": False,
    "use_qk_norm": True,
    "use_rotary_pos_emb": True,
}
NAMELESS = "class_num eod_token_id mask_init_id org_vocab_size pad_id pool_type".split()
MARKS = [f"{kind}_{end}_id" for kind in ("im", "text", "video", "vit") for end in ("start", "end", "newline")]


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=2048, rope=read_table)
    keys.only("attention_head_dim", fields["head_dim"])
    for key, value in ALWAYS.items():
        keys.only(key, value)
    keys.ignore(*NAMELESS, *MARKS)
    return Config(**fields, rms_norm_eps=keys.positive("rms_norm_eps", 1e-5))


def read_table(keys: Keys, head_dim: int, longest: int) -> Rope | LongRope:
    """theta * alpha^(D / (D - 2)) in theta's place. A GGUF file has the product."""
    given = keys.inner("rope_scaling") or keys.inner("rope_parameters")
    alpha = given.optional_positive("alpha") if given and not keys.is_gguf else None
    if given is None or alpha is None:
        return read_rope(keys, head_dim, longest)
    given.choice("rope_type" if given.has("rope_type") else "type", ("dynamic",))
    table = read_rope(keys, head_dim, longest, aliases={"dynamic": "default"})
    return Rope(tuple(f * alpha ** (-2 * i / (head_dim - 2)) for i, f in enumerate(table.inv_freq)))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, self_attention)


def self_attention(config: Config, w: Weights, x: Node, i: int, table: Rope) -> Node:
    heads, kv_heads, head_dim = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    q, k, v = llama.qkv(config, w, x, table)
    wq, wk = (w[name].paired(head_dim, table.rotary).vector(head_dim) for name in ("query_layernorm", "key_layernorm"))
    q = rms_norm(rope(q, heads, table), wq, config.rms_norm_eps, heads)  # [T, H*D]
    k = rms_norm(rope(k, kv_heads, table), wk, config.rms_norm_eps, kv_heads)  # [T, K*D]
    return linear(attend(q, k, v, i, heads, kv_heads), w["o_proj"].biased(config.output_bias), config.hidden_size)
