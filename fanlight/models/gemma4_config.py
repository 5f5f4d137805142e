"""What Gemma 4's configuration says (gemma4.py), by config.json's names and GGUF's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.models.config import REQUIRED, Keys
from fanlight.models.decoder import FULL, Decoder, read_decoder, sliding_in_turns, windows
from fanlight.models.gemma3 import read_sliding_rope
from fanlight.models.moe import Moe, read_moe
from fanlight.models.rope import LongRope, Rope, rope_of

GGUF_KEYS = {
    "head_dim": "attention.key_length_swa",
    "v_head_dim": "attention.value_length_swa",
    "rotary_dim": "rope.dimension_count_swa",
    "global_head_dim": "attention.key_length",
    "global_v_head_dim": "attention.value_length",
    "global_rotary_dim": "rope.dimension_count",
    "hidden_size_per_layer_input": "embedding_length_per_layer_input",
    "num_kv_shared_layers": "attention.shared_kv_layers",
    "num_experts": "expert_count",
    "top_k_experts": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
}
GGUF_LISTS = ("intermediate_size", "num_key_value_heads")  # which may differ from layer to layer
OTHERS = "vision_config audio_config vision_soft_tokens_per_image audio_soft_tokens_per_image".split()  # which no text meets
EXPERTS = "num_experts top_k_experts moe_intermediate_size".split()
SIZES = {
    "vocab_size": 262144,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 30,
    "num_attention_heads": 8,
}


Read = TypeVar("Read", bound=Decoder)


@dataclass(frozen=True, slots=True)
class Config(Decoder):
    rms_norm_eps: float
    final_logit_softcapping: float | None
    windows: tuple[int | None, ...]  # of each layer
    sliding_rope: Rope | LongRope  # of the layers with a window
    global_head_dim: int  # of the layers without one
    global_kv_heads: int
    shares_values: bool | None  # those layers' keys are their values too; None: as the tensors are
    num_kv_shared_layers: int  # the last ones
    mlp_sizes: tuple[int, ...]  # of each layer
    per_layer: int  # width of a token's embedding for each layer; 0: there are none
    per_layer_vocab_size: int
    moe: Moe | None  # of each layer, beside its MLP


def read_config(keys: Keys) -> Config:
    return read_nested(keys, read_text)


def read_nested(keys: Keys, read: Callable[[Keys], Read]) -> Read:
    """A language model's alone, or with other models beside it."""
    text = keys.inner("text_config")
    if text is None:
        return read(keys)
    keys.ignore(*OTHERS)
    config = read(text)
    keys.only("tie_word_embeddings", config.tie_word_embeddings)
    return config


def read_text(keys: Keys) -> Config:
    if keys.has("use_bidirectional_attention"):
        keys.choice("use_bidirectional_attention", ("vision",))
    wide, is_unified = read_global_heads(keys), keys.model_type == "gemma4_unified_text"  # the 12B
    fields = read_decoder(
        keys,
        longest=262144 if is_unified else 131072,
        kv_heads=4,
        head_dim=256,
        is_tied=True,
        act="gelu_pytorch_tanh",
        act_key="hidden_activation",
        sizes={} if keys.is_gguf else SIZES,
        rope=lambda keys, head_dim, longest: read_rope(keys, wide, longest),
    )
    layers, shared = fields["num_hidden_layers"], keys.count("num_kv_shared_layers", 0)
    keys.only("rotary_dim", fields["head_dim"])
    is_sliding = sliding_in_turns(keys, layers, 6)
    if not is_sliding or is_sliding[-1]:
        is_sliding = (*is_sliding[:-1], False)
    check_sharing(keys, is_sliding, shared)
    kv_heads, global_kv_heads = read_kv_heads(keys, is_sliding, fields["num_key_value_heads"])
    return Config(
        **fields | {"num_key_value_heads": kv_heads},
        rms_norm_eps=keys.positive("rms_norm_eps", 1e-6),
        final_logit_softcapping=keys.optional_positive("final_logit_softcapping"),
        windows=windows(is_sliding, keys.number("sliding_window", REQUIRED if keys.is_gguf else 1024 if is_unified else 512)),
        sliding_rope=read_sliding_rope(keys, fields["head_dim"], fields["max_position_embeddings"]),
        global_head_dim=wide,
        global_kv_heads=global_kv_heads,
        shares_values=None if keys.is_gguf else keys.flag("attention_k_eq_v", False),
        num_kv_shared_layers=shared,
        mlp_sizes=read_mlp_sizes(keys, layers, shared, fields["intermediate_size"]),
        per_layer=keys.count("hidden_size_per_layer_input", REQUIRED if keys.is_gguf else 0 if is_unified else 256),
        per_layer_vocab_size=keys.number("vocab_size_per_layer_input", fields["vocab_size"] if keys.is_gguf else 262144),
        moe=read_experts(keys, layers),
    )


def read_experts(keys: Keys, layers: int) -> Moe | None:
    if not (keys.has("num_experts") and keys.count("num_experts") if keys.is_gguf else keys.flag("enable_moe_block", False)):
        keys.ignore(*EXPERTS)
        return None
    return read_moe(keys, layers, True, (REQUIRED,) * 3, count="num_experts", top_k="top_k_experts")


def read_global_heads(keys: Keys) -> int:
    wide = keys.number("global_head_dim", REQUIRED if keys.is_gguf else 512)
    if wide % 8 or wide > 512:
        name = keys.name("global_head_dim")
        raise UnsupportedModel(f"{name} is {wide}; expected a multiple of 8, at most 512", where=keys.file)
    keys.only("global_v_head_dim", wide)
    keys.only("global_rotary_dim", wide)
    return wide


def read_kv_heads(keys: Keys, is_sliding: tuple[bool, ...], kv_heads: int) -> tuple[int, int]:
    """Of layers with a window, and of those without."""
    if of_layers := keys.numbers_of_layers("num_key_value_heads_of_layers", len(is_sliding)):
        kinds = {slides: {n for n, s in zip(of_layers, is_sliding, strict=True) if s == slides} for slides in (True, False)}
        if any(len(found) > 1 for found in kinds.values()):
            name = keys.name("num_key_value_heads")
            raise UnsupportedModel(f"{name} is {of_layers}; expected one for each kind", where=keys.file)
        return next(iter(kinds[True]), kv_heads), next(iter(kinds[False]))
    given = keys.optional_number("num_global_key_value_heads")
    return kv_heads, given if given and keys.flag("attention_k_eq_v", False) else kv_heads


def read_mlp_sizes(keys: Keys, layers: int, shared: int, size: int) -> tuple[int, ...]:
    if of_layers := keys.numbers_of_layers("intermediate_size_of_layers", layers):
        return of_layers
    is_doubled = keys.flag("use_double_wide_mlp", False)
    return tuple(2 * size if is_doubled and i >= layers - shared else size for i in range(layers))


def check_sharing(keys: Keys, is_sliding: tuple[bool, ...], shared: int) -> None:
    own = is_sliding[: len(is_sliding) - shared]
    if shared >= len(is_sliding) or not set(is_sliding) <= set(own):
        name, layers = keys.name("num_kv_shared_layers"), len(is_sliding)
        raise FormatError(f"{name} is {shared} of {layers} layers; expected one of each kind before them", where=keys.file)


def read_rope(keys: Keys, head_dim: int, longest: int) -> Rope | LongRope:
    """Of the layers without a window: only the first pairs turn, as far as `partial_rotary_factor` says. A GGUF file says it by
    what divides the frequencies of the others."""
    if keys.is_gguf:
        given = keys.inner("rope_scaling") or Keys({}, keys.file, is_gguf=True)
        return rope_of(given, keys.positive("rope_theta"), head_dim, None, longest)
    parameters = keys.inner("rope_parameters")
    full = (parameters.inner(FULL) if parameters else None) or Keys(
        {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6}, keys.file
    )
    turned = int(full.positive("partial_rotary_factor", 1.0) * head_dim // 2)
    factor = full.positive("factor", 1.0)
    full.choice("rope_type", ("proportional",))
    table = rope_of(full, full.positive("rope_theta"), head_dim, None, longest, {"proportional": "default"})
    return Rope(tuple(f / factor if i < turned else 0.0 for i, f in enumerate(table.at(0).inv_freq)))
