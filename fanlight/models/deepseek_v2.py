"""DeepSeek V2 and V2-Lite.  https://arxiv.org/abs/2405.04434
Llama, except: attention is to latent vectors (mla.py), and MLPs are routed experts, but for the first layers', beside one that
every token meets. GGUF calls V3 by the same name."""

from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.models import llama, mla, routed
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.mla import GGUF_KEYS, Config, self_attention
from fanlight.models.rope import LongRope, Rope, read_rope, softmax_scale
from fanlight.models.routed import is_unused
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "is_unused", "read_config"]

PAIRED_IN = ("gguf", "safetensors")

GGUF_NAMES = {
    **llama.GGUF_NAMES,
    **routed.GGUF_NAMES,
    **{f"model.layers.{{i}}.self_attn.{name}": f"blk.{{i}}.{gguf}" for name, gguf in mla.NAMES.items()},
}
# What a config.json may leave out: key -> number
DEFAULTS = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "q_lora_rank": 1536}
DEFAULTS |= {"first_k_dense_replace": 0, "max_position_embeddings": 2048}
TRAINING = ("aux_loss_alpha", "seq_aux", "ep_size", "num_key_value_heads", "head_dim", "qk_head_dim")  # or said by others


def read_config(keys: Keys) -> Config:
    if keys.is_gguf:
        return read_gguf(keys)
    method = keys.choice("topk_method", ("greedy", "group_limited_greedy"), "greedy")
    keys.only("scoring_func", "softmax")
    keys.only("norm_topk_prob", False)  # which the published code divides by, and transformers does not
    groups = routed.read_groups(keys, method != "greedy")
    return read(keys, DEFAULTS, (64, 6, 1407), 2, False, {"scale": keys.positive("routed_scaling_factor", 1.0), **groups})


def read_gguf(keys: Keys) -> Config:
    head_dim, turning = keys.number("head_dim"), keys.number("rotary_dim")
    defaults = {"qk_rope_head_dim": turning, "qk_nope_head_dim": head_dim - turning, "first_k_dense_replace": 0}
    defaults |= {"max_position_embeddings": 4096}
    keys.only("key_length", keys.number("kv_lora_rank") + turning)
    keys.only("value_length", keys.number("kv_lora_rank"))
    return read(keys, defaults, (64, 6, 1407), 0, keys.flag("norm_topk_prob", False), routed.read_gguf_routing(keys, 1))


def read(
    keys: Keys,
    defaults: dict[str, int],
    sizes: tuple[int, int, int] | None,
    shared: int,
    normalize: bool,
    routing: dict[str, Any],
    eps: float = 1e-6,
    is_tied: bool = False,
) -> Config:
    """sizes, shared, normalize, routing: as read_routed's."""
    names = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    rank, nope, turning, v_head_dim = (keys.number(name, *[defaults[name]] if name in defaults else []) for name in names)
    if any(size % 8 for size in (rank, nope, turning, v_head_dim)):
        message = f"{', '.join(names)} are {rank}, {nope}, {turning}, {v_head_dim}; expected multiples of 8"
        raise UnsupportedModel(message, where=keys.file)

    def read_table(keys: Keys, head_dim: int, longest: int) -> Rope | LongRope:
        return read_rope(keys, turning, longest)

    longest = defaults["max_position_embeddings"]
    fields = read_decoder(keys, longest, head_dim=turning, rope=read_table, has_values=False, is_tied=is_tied)
    keys.only("moe_layer_freq", 1)
    keys.only("rope_interleave", True)
    keys.ignore(*TRAINING)
    first = defaults["first_k_dense_replace"]
    return Config(
        **fields | {"head_dim": nope + turning, "num_key_value_heads": 1},
        **routed.read_routed(keys, fields["num_hidden_layers"], first, sizes, shared, normalize, routing),
        rms_norm_eps=keys.positive("rms_norm_eps", eps),
        q_lora_rank=keys.optional_number("q_lora_rank", None if keys.is_gguf else defaults["q_lora_rank"]),
        kv_lora_rank=rank,
        nope=nope,
        v_head_dim=v_head_dim,
        scale=(nope + turning) ** -0.5 * softmax_scale(keys),
    )


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    return llama.stack(config, weights, rows, samples, context_length, self_attention, routed.mlp)
