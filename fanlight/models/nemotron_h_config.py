"""Nemotron-H's configuration: a letter or a word for each layer, what it is."""

import math
from dataclasses import dataclass, replace
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.models import moe, state_space
from fanlight.models.config import Keys
from fanlight.models.decoder import FULL, Decoder, read_decoder
from fanlight.models.moe import Moe
from fanlight.models.rope import without_rope
from fanlight.models.state_space import StateSpace

MAMBA, ATTENTION, MLP, MOE = "linear_attention", FULL, "mlp", "moe"
LETTERS = {"M": MAMBA, "*": ATTENTION, "-": MLP, "E": MOE}
KINDS = {kind: kind for kind in LETTERS.values()} | {"mamba": MAMBA, "attention": ATTENTION}
NAMES = {
    "heads": "mamba_num_heads",
    "size": "mamba_head_dim",
    "groups": "n_groups",
    "states": "ssm_state_size",
    "taps": "conv_kernel",
    "bias": "use_bias",
    "conv_bias": "use_conv_bias",
}
GGUF_KEYS = {NAMES.get(part, part): key for part, key in state_space.MIXER_KEYS.items()} | {
    "layer_norm_epsilon": "attention.layer_norm_rms_epsilon",
    "norm_eps": "attention.layer_norm_epsilon",
    "n_routed_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
    "moe_shared_expert_intermediate_size": "expert_shared_feed_forward_length",
    "n_shared_experts": "expert_shared_count",
    "norm_topk_prob": "expert_weights_norm",
    "routed_scaling_factor": "expert_weights_scale",
    "n_group": "expert_group_count",
    "is_turned": "rope.scaling.finetuned",
}
GGUF_LISTS = ("num_key_value_heads", "intermediate_size")
FASTEST = 0.001  # time step, where nothing is said
UNUSED: tuple[str, ...] = (
    "mamba_chunk_size",
    "num_logits_to_keep",
    "use_mamba_kernels",
    "mamba_ssm_cache_dtype",
    "moe_shared_expert_overlap",
)
UNUSED += ("time_step_limit", "time_step_max", "time_step_floor", "time_step_rank", "chunk_size", "residual_in_fp32")
UNUSED += ("rescale_prenorm_residual", "hidden_dropout", "mtp_layers_block_type", "mtp_hybrid_override_pattern", "expand")
UNUSED += ("hidden_act", "mamba_expand", "mamba_proj_bias", "rope_theta", "rope_scaling", "partial_rotary_factor", "rotary_dim")


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    kinds: tuple[str, ...]  # of layers
    mixer: StateSpace
    moe: Moe | None
    scale: float  # of experts' shares
    groups: tuple[int, int]
    shared_size: int


def read_config(keys: Keys) -> Config:
    keys.rename({"head_dim": "attention_head_dim", "layer_norm_epsilon": "rms_norm_eps", "taps": "mamba_d_conv"})
    kinds = None if keys.is_gguf else read_kinds(keys)
    if kinds:
        keys.assume("num_hidden_layers", len(kinds))
    fields = read_decoder(
        keys, 4096, 8, 128, act="relu2", act_key="mlp_hidden_act", rope=without_rope, sizes={"intermediate_size": 21504}
    )
    layers, eps = fields["num_hidden_layers"], keys.positive("layer_norm_epsilon", 1e-5)
    if kinds and len(kinds) != layers:
        raise FormatError(f"{keys.name('num_hidden_layers')} is {layers}, and {len(kinds)} layers have kinds", where=keys.file)
    kinds = kinds or kinds_of_gguf(keys, layers, fields["num_key_value_heads"], fields["intermediate_size"])
    keys.only("attention_bias", False)
    keys.only("mamba_hidden_act", "silu")
    keys.only("norm_eps", eps)
    keys.only("rms_norm_eps", eps)
    keys.only("is_turned", False)
    keys.ignore(*UNUSED)
    mixer = state_space.read_mixer(keys, NAMES, (128, 64, 8, 128), None, eps)
    fastest = FASTEST if keys.is_gguf else keys.nonnegative("time_step_min", FASTEST)
    return Config(
        **fields,
        rms_norm_eps=eps,
        kinds=kinds,
        mixer=replace(mixer, limits=(fastest, math.inf)),
        **read_experts(keys, layers, MOE in kinds),
    )


def read_kinds(keys: Keys) -> tuple[str, ...]:
    """As the pattern says, a letter for each layer, else a list of kinds."""
    if keys.has("hybrid_override_pattern") and not keys.has("layers_block_type"):
        pattern = keys.text("hybrid_override_pattern")
        if unknown := set(pattern) - set(LETTERS):
            message = f"{keys.name('hybrid_override_pattern')} has {''.join(sorted(unknown))!r}; known are {' '.join(LETTERS)}"
            raise UnsupportedModel(message, where=keys.file)
        return tuple(LETTERS[letter] for letter in pattern)
    keys.ignore("hybrid_override_pattern")
    keys.rename({"layers_block_type": "layer_types"})
    return tuple(KINDS[kind] for kind in keys.kinds("layers_block_type", KINDS))


def kinds_of_gguf(keys: Keys, layers: int, kv_heads: int, size: int) -> tuple[str, ...]:
    """Attention has key heads, an MLP a width, and Mamba neither."""
    heads = keys.per_layer("num_key_value_heads_of_layers", (0, kv_heads), layers) or (kv_heads,) * layers
    sizes = keys.per_layer("intermediate_size_of_layers", (0, size), layers) or (0,) * layers
    sized = MOE if keys.has("n_routed_experts") and keys.count("n_routed_experts") else MLP
    return tuple(ATTENTION if h else sized if s else MAMBA for h, s in zip(heads, sizes, strict=True))


def read_experts(keys: Keys, layers: int, is_sparse: bool) -> dict[str, Any]:
    names = ("moe_intermediate_size", "moe_shared_expert_intermediate_size", "num_experts_per_tok", "n_routed_experts")
    keys.only("moe_latent_size", None)
    if not is_sparse:
        others = ("n_shared_experts", "norm_topk_prob", "routed_scaling_factor", "n_group", "topk_group")
        keys.ignore(*names, *others)
        return {"moe": None, "scale": 1.0, "groups": (1, 1), "shared_size": 0}
    keys.only("n_shared_experts", 1)
    normalize, scale = keys.flag("norm_topk_prob", True), keys.positive("routed_scaling_factor", 1.0)
    read = moe.read_moe(keys, layers, normalize, (8, 2, 7688), count="n_routed_experts")
    groups = keys.number("n_group", 1), keys.number("topk_group", 1)
    size = keys.number("moe_shared_expert_intermediate_size", 7688)
    return {"moe": read, "scale": scale, "groups": groups, "shared_size": size}
