"""Frequencies of rotary position embeddings, from a configuration's RoPE keys.  https://arxiv.org/abs/2104.09864"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rope:
    """inv_freq [R/2]: radians per position of each pair, scaling applied. scale: of the rotated result (YaRN), else 1."""

    inv_freq: tuple[float, ...]
    scale: float = 1.0
