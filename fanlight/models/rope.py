"""Frequencies of rotary position embeddings, from a configuration's RoPE keys.  https://arxiv.org/abs/2104.09864

config.json has them in `rope_parameters` (transformers 5) or in `rope_theta` and `rope_scaling`; where both are there,
`rope_scaling` counts, as in transformers. A GGUF file's keys and tensors of factors come under the same names, and besides
them `rotary_dim`, `freq_factors` (base frequencies are divided by them) and `attn_factor` (multiplies the scale)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.models.config import Keys


@dataclass(frozen=True, slots=True)
class Rope:
    """inv_freq [R/2]: radians per position of each pair, scaling applied. scale: of the rotated result (YaRN), else 1. axes
    [R/2]: which of a row's positions each pair turns by, where it has several; else none."""

    inv_freq: tuple[float, ...]
    scale: float = 1.0
    axes: tuple[int, ...] = ()

    @property
    def rotary(self) -> int:
        """How many elements of a head turn."""
        return 2 * len(self.inv_freq)

    def at(self, context_length: int) -> "Rope":
        return self


@dataclass(frozen=True, slots=True)
class LongRope:
    """Two tables: one up to a context of `original` tokens, one for longer ones. What counts is the context that a model
    is compiled for, as in llama.cpp and vLLM; transformers goes by the prompt at hand.  https://arxiv.org/abs/2402.13753"""

    short: Rope
    long: Rope
    original: int

    @property
    def rotary(self) -> int:
        return self.short.rotary

    @property
    def inv_freq(self) -> tuple[float, ...]:
        return self.short.inv_freq

    @property
    def scale(self) -> float:
        return self.short.scale

    def at(self, context_length: int) -> Rope:
        return self.short if context_length <= self.original else self.long


@dataclass(frozen=True, slots=True)
class Before:
    """What scalings start from. original: the context length of training; longest: the configuration's."""

    inv_freq: list[float]
    theta: float
    original: int
    longest: int


IGNORED = (  # by transformers, in kinds that do not read them
    "type rope_type factor original_max_position_embeddings attention_factor beta_fast beta_slow mscale mscale_all_dim truncate"
    " short_factor long_factor low_freq_factor high_freq_factor rope_theta partial_rotary_factor finetuned"
).split()


def without_rope(keys: Keys, head_dim: int, longest: int) -> Rope:
    """Of attention whose positions turn nothing, whatever the file says of it."""
    keys.ignore("rope_theta", "rope_scaling", "rope_parameters", "partial_rotary_factor", "rotary_dim")
    return Rope(())


def read_rope(
    keys: Keys,
    head_dim: int,
    longest: int,
    theta: float = 10000.0,
    partial: float | None = None,
    original: int | None = None,
    aliases: Mapping[str, str] | None = None,
    theta_key: str = "rope_theta",
    partial_key: str = "partial_rotary_factor",
) -> Rope | LongRope:
    """theta, partial, original: what counts where the file has none; an architecture that turns whole heads only gives no
    `partial`. aliases: other names of kinds. theta_key, partial_key: of the configuration itself."""
    scaling, parameters = keys.inner("rope_scaling"), keys.inner("rope_parameters")
    if scaling and parameters:
        parameters.ignore(*IGNORED)
    parameters = scaling or parameters or Keys({}, keys.file, is_gguf=keys.is_gguf)
    theta = parameters.positive("rope_theta", keys.positive("rope_theta" if keys.is_gguf else theta_key, theta))
    if partial is None:
        rotary = head_dim
        keys.only("rotary_dim", head_dim)
        for given in (keys, parameters):
            given.only("partial_rotary_factor", 1)
    else:
        factor = parameters.positive("partial_rotary_factor", keys.positive(partial_key, partial))
        rotary = (keys.optional_number("rotary_dim") or head_dim) if keys.is_gguf else int(head_dim * factor)
    if rotary % 2 or not 0 < rotary <= head_dim:
        raise UnsupportedModel(f"{rotary} of {head_dim} elements of a head turn; expected an even number", where=keys.file)
    # transformers lets this key, where it stands beside the RoPE parameters, outweigh the one among them.
    beside = keys.optional_number("original_max_position_embeddings", None if keys.is_gguf else original)
    return rope_of(parameters, theta, rotary, beside, longest, aliases)


def rope_of(
    parameters: Keys,
    theta: float,
    rotary: int,
    original: int | None,
    longest: int,
    aliases: Mapping[str, str] | None = None,
) -> Rope | LongRope:
    """The table that `parameters` ({rope_type, factor, ...}) describe."""
    inv_freq = [theta ** (-2 * i / rotary) for i in range(rotary // 2)]
    if parameters.is_gguf and parameters.has("freq_factors"):
        factors = read_factors(parameters, "freq_factors", rotary)
        inv_freq = [f / g for f, g in zip(inv_freq, factors, strict=True)]
    kind = "rope_type" if parameters.has("rope_type") or not parameters.has("type") else "type"
    kind = parameters.choice(kind, {**KINDS, **(aliases or {})}, "default")
    original = original or parameters.optional_number("original_max_position_embeddings") or longest
    try:
        rope = KINDS[(aliases or {}).get(kind, kind)](parameters, Before(inv_freq, theta, original, longest))
    except (ZeroDivisionError, OverflowError, ValueError) as error:
        raise FormatError(
            f"{parameters.name('rope_type')} {kind!r}: no frequencies from these numbers", where=parameters.file
        ) from error
    parameters.ignore(*IGNORED)
    return _times(rope, parameters.positive("attn_factor", 1.0)) if parameters.is_gguf else rope


def read_factors(parameters: Keys, key: str, rotary: int) -> tuple[float, ...]:
    factors = parameters.numbers(key)
    if len(factors) != rotary // 2:
        raise FormatError(f"{parameters.name(key)} has {len(factors)} numbers, expected {rotary // 2}", where=parameters.file)
    return factors


def _times(rope: Rope | LongRope, factor: float) -> Rope | LongRope:
    if isinstance(rope, LongRope):
        return LongRope(
            Rope(rope.short.inv_freq, rope.short.scale * factor),
            Rope(rope.long.inv_freq, rope.long.scale * factor),
            rope.original,
        )
    return Rope(rope.inv_freq, rope.scale * factor)


# --- kinds -----------------------------------------------------------------------------------------------------------
def _default(p: Keys, before: Before) -> Rope:
    return Rope(tuple(before.inv_freq))


def _linear(p: Keys, before: Before) -> Rope:
    factor = p.positive("factor")
    return Rope(tuple(f / factor for f in before.inv_freq))


def _llama3(p: Keys, before: Before) -> Rope:
    """Slow frequencies are divided by `factor`, fast ones kept, those between blended. (Llama 3.1's release, section 3.)"""
    factor, low, high = p.positive("factor"), p.positive("low_freq_factor"), p.positive("high_freq_factor")
    if low >= high:
        raise FormatError(f"{p.name('low_freq_factor')} is {low}, expected less than high_freq_factor {high}", where=p.file)

    def scaled(f: float) -> float:
        turns = before.original * f / (2 * math.pi)  # full turns within the original context
        blend = min(max((turns - low) / (high - low), 0.0), 1.0)
        return f * (blend + (1 - blend) / factor)

    return Rope(tuple(scaled(f) for f in before.inv_freq))


def _yarn(p: Keys, before: Before) -> Rope:
    """https://arxiv.org/abs/2309.00071; mscale and mscale_all_dim as DeepSeek has them."""
    factor = p.optional_positive("factor", before.longest / before.original) or before.longest / before.original
    half = len(before.inv_freq)

    def pair(turns: float) -> float:
        return 2 * half * math.log(before.original / (turns * 2 * math.pi)) / (2 * math.log(before.theta))

    low = pair(p.optional_positive("beta_fast", 32.0) or 32.0)
    high = pair(p.optional_positive("beta_slow", 1.0) or 1.0)
    if p.flag("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, 2 * half - 1)
    ramps = [min(max((i - low) / (high - low or 0.001), 0.0), 1.0) for i in range(half)]
    inv_freq = tuple(f * (1 - r) + f / factor * r for f, r in zip(before.inv_freq, ramps, strict=True))
    mscale, of_all = p.optional_positive("mscale"), p.optional_positive("mscale_all_dim")
    scale = _mscale(factor, mscale) / _mscale(factor, of_all) if mscale and of_all else _mscale(factor, 1.0)
    return Rope(inv_freq, p.optional_positive("attention_factor") or scale)


def softmax_scale(keys: Keys) -> float:
    """What DeepSeek multiplies its scores by besides, where RoPE is scaled and mscale_all_dim is there."""
    p = keys.inner("rope_scaling") or keys.inner("rope_parameters")
    of_all = p.optional_positive("mscale_all_dim") if p else None
    return _mscale(p.positive("factor"), of_all) ** 2 if p and of_all else 1.0


def _mscale(factor: float, mscale: float) -> float:
    return 0.1 * mscale * math.log(factor) + 1.0 if factor > 1 else 1.0


def _longrope(p: Keys, before: Before) -> LongRope:
    factor = p.optional_positive("factor") or before.longest / before.original
    scale = p.optional_positive("attention_factor")
    if scale is None:
        scale = math.sqrt(1 + math.log(factor) / math.log(before.original)) if factor > 1 else 1.0
    rotary = 2 * len(before.inv_freq)

    def table(key: str) -> Rope:
        return Rope(tuple(f / g for f, g in zip(before.inv_freq, read_factors(p, key, rotary), strict=True)), scale)

    return LongRope(table("short_factor"), table("long_factor"), before.original)


KINDS: dict[str, Callable[[Keys, Before], Any]] = {
    "default": _default,
    "linear": _linear,
    "llama3": _llama3,
    "longrope": _longrope,
    "yarn": _yarn,
}
