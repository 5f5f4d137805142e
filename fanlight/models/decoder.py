"""What the configuration of every decoder here has, and its reader.  Each architecture's Config adds its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models.config import REQUIRED, Keys
from fanlight.models.rope import LongRope, Rope, read_rope

SLIDING, FULL = "sliding_attention", "full_attention"


@dataclass(frozen=True, slots=True)
class Decoder:
    """Under Hugging Face's names."""

    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    tie_word_embeddings: bool
    hidden_act: str
    attention_bias: bool | None  # of q, k, v; None: as the file has it
    output_bias: bool | None
    mlp_bias: bool | None
    rope: Rope | LongRope

    @property
    def inv_freq(self) -> tuple[float, ...]:
        return self.rope.inv_freq

    @property
    def rope_scale(self) -> float:
        return self.rope.scale


def read_decoder(
    keys: Keys,
    longest: int,
    kv_heads: int | None = None,
    head_dim: int | None = None,
    is_tied: bool = False,
    act: str = "silu",
    act_key: str = "hidden_act",
    acts: Mapping[str, Any] | tuple[str, ...] = ACTIVATIONS,
    rope: Callable[[Keys, int, int], Rope | LongRope] = read_rope,
    sizes: Mapping[str, int] | None = None,
    has_values: bool = True,
) -> dict[str, Any]:
    """Fields of Decoder. The arguments are what counts where a key is not there. longest: max_position_embeddings'. kv_heads,
    head_dim: None for num_attention_heads, and for hidden_size / num_attention_heads. rope: reads the table, given these two.
    acts: which may be.
    sizes: others' by their names. has_values: heads of values are as wide as those of keys."""
    read = read_sizes(keys, kv_heads, head_dim, sizes or {})
    if has_values:
        keys.only("v_head_dim", read["head_dim"])
    longest = keys.number("max_position_embeddings", longest)
    attention_bias = keys.optional_flag("attention_bias", False)
    return {
        **read,
        "model_type": keys.model_type,
        "max_position_embeddings": longest,
        "tie_word_embeddings": keys.flag("tie_word_embeddings", is_tied),
        "hidden_act": keys.choice(act_key, acts, act),
        "attention_bias": attention_bias,
        "output_bias": attention_bias,
        "mlp_bias": keys.optional_flag("mlp_bias", False),
        "rope": rope(keys, read["head_dim"], longest),
    }


def read_sizes(keys: Keys, kv_heads: int | None, head_dim: int | None, sizes: Mapping[str, int]) -> dict[str, int]:
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    read = {name: keys.number(name, sizes.get(name, REQUIRED)) for name in names}
    heads = read["num_attention_heads"]
    kv_heads = keys.optional_number("num_key_value_heads", kv_heads) or heads
    head_dim = keys.optional_number("head_dim", head_dim) or read["hidden_size"] // heads
    if heads % kv_heads:
        given = f"{keys.name('num_attention_heads')} {heads}", f"{keys.name('num_key_value_heads')} {kv_heads}"
        raise FormatError(f"{given[0]} is no multiple of {given[1]}", where=keys.file)
    if head_dim % 8 or not 0 < head_dim <= 256:
        raise UnsupportedModel(f"{keys.name('head_dim')} is {head_dim}; expected a multiple of 8, at most 256", where=keys.file)
    return {**read, "num_key_value_heads": kv_heads, "head_dim": head_dim}


def sliding_layers(keys: Keys, layers: int, default: Callable[[int], bool]) -> tuple[bool, ...]:
    """Which layers have a window: as `layer_types` says, where it is there."""
    kinds = keys.per_layer("layer_types", (SLIDING, FULL), layers)
    return tuple(kind == SLIDING for kind in kinds) if kinds else tuple(default(i) for i in range(layers))


def sliding_in_turns(
    keys: Keys, layers: int, pattern: int, key: str = "sliding_window_pattern", full: int = -1
) -> tuple[bool, ...]:
    """As `layer_types` says; else one layer in a turn of so many as `key` says has no window, the last or that at `full`.
    pattern: where neither is there. (In GGUF the key may be a list, with a flag for each layer.)"""
    if keys.is_gguf and keys.is_list(key):
        return keys.per_layer(key, (True, False), layers) or ()
    pattern = keys.number(key, pattern)
    return sliding_layers(keys, layers, lambda i: (i - full) % pattern != 0)


def windows(is_sliding: tuple[bool, ...], window: int | None) -> tuple[int | None, ...]:
    """Of each layer: a token sees itself and so many - 1 before it; None: all."""
    return tuple(window if slides else None for slides in is_sliding)
