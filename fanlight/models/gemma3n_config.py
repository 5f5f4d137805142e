"""What Gemma 3n's configuration says (gemma3n.py), by config.json's names and GGUF's."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.models import gemma4_config
from fanlight.models.config import REQUIRED, Keys
from fanlight.models.decoder import read_decoder, sliding_in_turns, windows
from fanlight.models.gemma3 import read_rope, read_sliding_rope

GGUF_KEYS = {
    "hidden_size_per_layer_input": "embedding_length_per_layer_input",
    "num_kv_shared_layers": "attention.shared_kv_layers",
    "altup_num_inputs": "altup.num_inputs",
    "altup_active_idx": "altup.active_idx",
    "activation_sparsity_scale": "activation_sparsity_scale",
}
GGUF_LISTS = ("intermediate_size", "activation_sparsity_scale")  # which may differ from layer to layer
IGNORED = ("altup_coef_clip", "query_pre_attn_scalar")  # of training; read by nobody
SIZES = {
    "vocab_size": 262400,
    "hidden_size": 2048,
    "intermediate_size": 16384,
    "num_hidden_layers": 35,
    "num_attention_heads": 8,
}
OWN_CACHES = 20  # layers that llama.cpp takes to keep keys of their own
SPARSE, SPARSITY = 10, 0.95  # the first layers, where no file says otherwise


@dataclass(frozen=True, slots=True)
class Config(gemma4_config.Config):
    streams: int
    active: int  # the stream that layers read and write
    has_output_scale: bool  # of the active stream, before it meets a token's embedding for the layer
    laurel_rank: int
    cuts: tuple[float | None, ...]  # of each layer: deviations above the mean from which gates count; None: all do


def read_config(keys: Keys) -> Config:
    return gemma4_config.read_nested(keys, read_text)


def read_text(keys: Keys) -> Config:
    keys.spread("intermediate_size")
    keys.ignore(*IGNORED)
    fields = read_decoder(
        keys,
        longest=32768,
        kv_heads=2,
        head_dim=256,
        is_tied=True,
        act="gelu_pytorch_tanh",
        act_key="hidden_activation",
        sizes={} if keys.is_gguf else SIZES,
        rope=read_rope,
    )
    layers, is_gguf = fields["num_hidden_layers"], keys.is_gguf
    shared = keys.count("num_kv_shared_layers", max(layers - OWN_CACHES, 0) if is_gguf else 15)
    is_sliding = sliding_in_turns(keys, layers, 5)
    gemma4_config.check_sharing(keys, is_sliding, shared)
    return Config(
        **fields,
        **read_streams(keys),
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-6),
        final_logit_softcapping=keys.optional_positive("final_logit_softcapping", 30.0),
        windows=windows(is_sliding, keys.number("sliding_window", REQUIRED if is_gguf else 512)),
        sliding_rope=read_sliding_rope(keys, fields["head_dim"], fields["max_position_embeddings"]),
        global_head_dim=fields["head_dim"],
        global_kv_heads=fields["num_key_value_heads"],
        shares_values=False,
        num_kv_shared_layers=shared,
        mlp_sizes=gemma4_config.read_mlp_sizes(keys, layers, shared, fields["intermediate_size"]),
        per_layer=keys.number("hidden_size_per_layer_input", REQUIRED if is_gguf else 256),
        per_layer_vocab_size=keys.number("vocab_size_per_layer_input", fields["vocab_size"] if is_gguf else 262144),
        moe=None,
        laurel_rank=keys.number("laurel_rank", 64),
        cuts=read_cuts(keys, layers),
    )


def read_streams(keys: Keys) -> dict[str, Any]:
    streams, active = keys.number("altup_num_inputs", 4), keys.count("altup_active_idx", 0)
    if streams < 2:
        raise UnsupportedModel(f"{keys.name('altup_num_inputs')} is {streams}; expected two or more", where=keys.file)
    if active >= streams:
        message = f"{keys.name('altup_active_idx')} is {active}, and there are {keys.name('altup_num_inputs')} {streams}"
        raise FormatError(message, where=keys.file)
    return {"streams": streams, "active": active, "has_output_scale": keys.flag("altup_correct_scale", True)}


def read_cuts(keys: Keys, layers: int) -> tuple[float | None, ...]:
    """A config.json says which share of gates is to be zero, were they normally distributed; a GGUF file, how many deviations
    from their mean that is."""
    sparse = SPARSE if layers > SPARSE else 0
    usual = NormalDist().inv_cdf(SPARSITY)
    if keys.is_gguf:
        keys.ignore("activation_sparsity_scale")
        if not keys.has("activation_sparsity_scale_of_layers"):
            return (usual,) * sparse + (None,) * (layers - sparse)
        found = keys.reals("activation_sparsity_scale_of_layers", layers, -math.inf)
        return tuple(None if cut == -math.inf else cut for cut in found)
    if not keys.has("activation_sparsity_pattern"):
        keys.ignore("activation_sparsity_pattern")
        return (usual,) * sparse + (None,) * (layers - sparse)
    shares = keys.reals("activation_sparsity_pattern", layers, 0.0)
    if any(share >= 1 for share in shares):
        message = f"{keys.name('activation_sparsity_pattern')} has {max(shares)}; expected shares below 1"
        raise FormatError(message, where=keys.file)
    return tuple(NormalDist().inv_cdf(share) if share else None for share in shares)
