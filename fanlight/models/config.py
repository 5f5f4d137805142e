"""A model's numbers under Hugging Face's names, from config.json or from GGUF metadata.

`config_from_gguf` translates GGUF's keys to config.json's at the border; `read_config` then checks and completes either. What
would change the numbers and is not implemented is an error, never ignored."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fanlight.errors import FormatError, UnsupportedModel


@dataclass(frozen=True, slots=True)
class Config:
    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    max_position_embeddings: int
    tie_word_embeddings: bool
    sliding_window: int | None  # a token sees itself and sliding_window - 1 before it
    inv_freq: tuple[float, ...]  # [D/2] radians per position, scaling applied
    rope_scale: float  # what rope multiplies its result by (YaRN), else 1


GGUF_KEYS = {
    "vocab_size": "{arch}.vocab_size",
    "hidden_size": "{arch}.embedding_length",
    "intermediate_size": "{arch}.feed_forward_length",
    "num_hidden_layers": "{arch}.block_count",
    "num_attention_heads": "{arch}.attention.head_count",
    "num_key_value_heads": "{arch}.attention.head_count_kv",
    "head_dim": "{arch}.attention.key_length",
    "rms_norm_eps": "{arch}.attention.layer_norm_rms_epsilon",
    "max_position_embeddings": "{arch}.context_length",
    "rope_theta": "{arch}.rope.freq_base",
    "sliding_window": "{arch}.attention.sliding_window",
}


def config_from_gguf(metadata: Mapping, tensors: Mapping, rope_factors: tuple[float, ...] | None) -> dict:
    """A config.json's dictionary. rope_factors: the file's tensor rope_freqs, by which frequencies are divided (Llama 3)."""
    arch = metadata.get("general.architecture")
    config = {"model_type": arch, "hidden_act": "silu"}
    for ours, key in GGUF_KEYS.items():
        value = metadata.get(key.format(arch=arch))
        if value is not None:
            config[ours] = value
    if "token_embd.weight" in tensors:
        config["vocab_size"] = tensors["token_embd.weight"].shape[0]
    config["tie_word_embeddings"] = "output.weight" not in tensors
    config.setdefault("rope_theta", 10000.0)
    scaling = metadata.get(f"{arch}.rope.scaling.type", "none")
    if rope_factors:
        config["rope_scaling"] = {"rope_type": "factors", "factors": rope_factors}
    elif scaling != "none":
        config["rope_scaling"] = {
            "rope_type": scaling,
            "factor": metadata.get(f"{arch}.rope.scaling.factor", 1.0),
            "original_max_position_embeddings": metadata.get(f"{arch}.rope.scaling.original_context_length"),
        }
    return config


def read_config(config: Mapping, file: str) -> Config:
    """Checked and completed. Raises FormatError for a missing or absurd number, UnsupportedModel for what is not
    implemented."""
    heads = _number(config, "num_attention_heads", file)
    hidden = _number(config, "hidden_size", file)
    kv_heads = _number(config, "num_key_value_heads", file, default=heads)
    head_dim = _number(config, "head_dim", file, default=hidden // heads)
    if heads % kv_heads:
        raise FormatError(f"num_attention_heads {heads} is no multiple of num_key_value_heads {kv_heads}", where=file)
    if head_dim % 8 or head_dim > 256:
        raise UnsupportedModel(f"head_dim {head_dim}: expected a multiple of 8, at most 256", where=file)
    if config.get("hidden_act", "silu") not in ("silu", "swish"):
        raise UnsupportedModel(f"hidden_act {config['hidden_act']!r}: expected 'silu'", where=file)
    inv_freq, rope_scale = rope_frequencies(config, head_dim, file)
    window = config.get("sliding_window") if config.get("use_sliding_window", True) else None
    return Config(
        model_type=str(config["model_type"]),
        vocab_size=_number(config, "vocab_size", file),
        hidden_size=hidden,
        intermediate_size=_number(config, "intermediate_size", file),
        num_hidden_layers=_number(config, "num_hidden_layers", file),
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        rms_norm_eps=float(config.get("rms_norm_eps", 1e-6)),
        max_position_embeddings=_number(config, "max_position_embeddings", file, default=2048),
        tie_word_embeddings=bool(config.get("tie_word_embeddings", False)),
        sliding_window=window,
        inv_freq=inv_freq,
        rope_scale=rope_scale,
    )


def _number(config: Mapping, key: str, file: str, default: int | None = None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 24:
        raise FormatError(f"{key} is {value!r}, expected a positive whole number", where=file)
    return value


def rope_frequencies(config: Mapping, head_dim: int, file: str) -> tuple[tuple[float, ...], float]:
    """Radians per position for each of the D/2 pairs, and the factor on the rotated result."""
    parameters = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = float(config.get("rope_theta") or parameters.get("rope_theta") or 10000.0)
    base = [theta ** (-2 * i / head_dim) for i in range(head_dim // 2)]
    kind = parameters.get("rope_type") or parameters.get("type") or "default"
    if config.get("partial_rotary_factor", 1.0) != 1.0:
        raise UnsupportedModel(f"partial_rotary_factor {config['partial_rotary_factor']}: expected 1", where=file)
    if kind not in ROPE_SCALINGS:
        raise UnsupportedModel(f"RoPE scaling {kind!r}: known are {', '.join(sorted(ROPE_SCALINGS))}", where=file)
    try:
        freqs, scale = ROPE_SCALINGS[kind](base, parameters, config, theta)
    except KeyError as key:
        raise FormatError(f"RoPE scaling {kind!r} lacks {key}", where=file) from None
    if len(freqs) != head_dim // 2:
        raise FormatError(f"{len(freqs)} RoPE factors, expected {head_dim // 2}", where=file)
    return tuple(freqs), scale


def _linear(base, p, config, theta):
    return [f / p["factor"] for f in base], 1.0


def _factors(base, p, config, theta):
    return [f / g for f, g in zip(base, p["factors"], strict=False)], 1.0


def _llama3(base, p, config, theta):
    """Slow frequencies are divided by `factor`, fast ones kept, those between blended. (Llama 3.1's release, section 3.)"""
    low, high, old = p["low_freq_factor"], p["high_freq_factor"], p["original_max_position_embeddings"]

    def scaled(f: float) -> float:
        turns = old * f / (2 * math.pi)  # full turns within the original context
        blend = min(max((turns - low) / (high - low), 0.0), 1.0)
        return f * (blend + (1 - blend) / p["factor"])

    return [scaled(f) for f in base], 1.0


def _yarn(base, p, config, theta):
    """https://arxiv.org/abs/2309.00071"""
    factor, half = p["factor"], len(base)
    old = p.get("original_max_position_embeddings") or config["max_position_embeddings"]

    def pair(turns: float) -> float:
        return 2 * half * math.log(old / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(pair(p.get("beta_fast") or 32)), 0)
    high = min(math.ceil(pair(p.get("beta_slow") or 1)), 2 * half - 1)
    ramps = [min(max((i - low) / max(high - low, 0.001), 0.0), 1.0) for i in range(half)]
    scale = p.get("attention_factor") or (0.1 * math.log(factor) + 1 if factor > 1 else 1.0)
    return [f * (1 - r) + f / factor * r for f, r in zip(base, ramps, strict=True)], scale


ROPE_SCALINGS = {
    "default": lambda base, p, config, theta: (base, 1.0),
    "none": lambda base, p, config, theta: (base, 1.0),
    "linear": _linear,
    "llama3": _llama3,
    "factors": _factors,
    "yarn": _yarn,
}
