"""MiniMax M2.  https://huggingface.co/MiniMaxAI/MiniMax-M2
OLMoE, except: a part of each head turns, and experts are chosen by a sigmoid of their scores and a bias; their shares add up
to 1."""

from fanlight.compiler.graph import Node
from fanlight.models import llama, mixtral, moe, olmo2
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.olmoe import Config
from fanlight.models.rope import LongRope, Rope, read_rope
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ()

GGUF_NAMES = {
    **mixtral.GGUF_NAMES,
    "model.layers.{i}.self_attn.q_norm": "blk.{i}.attn_q_norm",
    "model.layers.{i}.self_attn.k_norm": "blk.{i}.attn_k_norm",
    "model.layers.{i}.block_sparse_moe.e_score_correction": "blk.{i}.exp_probs_b",
}
GGUF_KEYS = {**moe.COUNTS, "expert_size": "expert_feed_forward_length", "gating": "expert_gating_func"}
ALWAYS = {"qk_norm_type": "per_layer", "scoring_func": "sigmoid", "use_qk_norm": True, "use_routing_bias": True}
ALWAYS |= {"shared_intermediate_size": 0, "gating": 2}
UNUSED = ("use_mtp", "num_mtp_modules", "mtp_transformer_layers", "shared_moe_mode")  # of what predicts ahead, or is not there


def read_config(keys: Keys) -> Config:
    fields = read_decoder(keys, longest=196608, kv_heads=8, head_dim=None if keys.is_gguf else 128, rope=read_table)
    for key, value in ALWAYS.items():
        keys.only(key, value)
    keys.ignore(*UNUSED)
    layers, size = fields["num_hidden_layers"], "expert_size" if keys.is_gguf else "intermediate_size"
    keys.per_layer("attn_type_list", (1,), layers)  # all of them full attention
    return Config(
        **fields,
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-6),
        windows=(None,) * layers,
        sliding_rope=fields["rope"],
        moe=moe.read_moe(keys, layers, True, (256, 8, 1536), size),
    )


def read_table(keys: Keys, head_dim: int, longest: int) -> Rope | LongRope:
    """Published files say how many elements of a head turn, others which part."""
    rotary = None if keys.is_gguf else keys.optional_number("rotary_dim")
    return read_rope(keys, head_dim, longest, theta=5000000.0, partial=rotary / head_dim if rotary else 1.0)


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    arguments = config, weights, rows, samples, context_length
    return llama.stack(*arguments, olmo2.self_attention, mlp, "block_sparse_moe")


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    count = config.moe.num_experts
    bias = w["e_score_correction"].vector(count, "bias") if w.is_gguf else w.vector(count, "e_score_correction_bias")
    return moe.mlp(config, config.moe, w, x, names=("w1", "w3", "w2"), score="sigmoid", bias=bias)
