"""GGML's formats of one to three bits and a half, IQ1 to IQ3: neighbouring weights are a point of a lattice, chosen by an
index, with a scale and signs.  The points are in lattices.json (scripts/lattices.py)."""

import base64
import json
from array import array
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fanlight.arrays import Array
from fanlight.formats.bits import f16, per_group, unpack_bits


@dataclass(frozen=True, slots=True)
class Lattice:
    values: tuple[int, ...]
    size: int  # weights that a point makes
    numbers: tuple[int, ...]  # of the points: digits count among `values`, the first the lowest

    @property
    def digits(self) -> list[tuple[int, ...]]:
        """Of each point."""
        base, powers = len(self.values), [len(self.values) ** i for i in range(self.size)]
        return [tuple(number // power % base for power in powers) for number in self.numbers]


@cache
def _lattices() -> dict[str, Lattice]:
    found = json.loads((Path(__file__).parent / "lattices.json").read_text())
    return {
        name: Lattice(tuple(f["values"]), f["size"], tuple(array("H", base64.b64decode(f["points"]))))
        for name, f in found.items()
    }


@cache
def table(name: str) -> bytes:
    """The points as kernels read them: a byte for each weight; of IQ1_S, two bits for each digit."""
    lattice = _lattices()[name]
    if lattice.values[0] < 0:
        return array("H", (sum(d << 2 * i for i, d in enumerate(digits)) for digits in lattice.digits)).tobytes()
    return bytes(lattice.values[d] for digits in lattice.digits for d in digits)


@cache
def points(name: str) -> Array:
    """f32 [P, size]"""
    import numpy as np

    lattice = _lattices()[name]
    return np.array(lattice.values, np.float32)[np.array(lattice.digits)]


# --- parts of the formulas -------------------------------------------------------------------------------------------
def _chosen(name: str, index: Array) -> Array:
    """[N, G] -> f32 [N, G * size]"""
    return points(name)[index].reshape(len(index), -1)


def _signs(signs: Array) -> Array:
    """u8 [N, B] -> f32 [N, 8B], -1 where a bit is set"""
    import numpy as np

    return np.where(unpack_bits(signs, 1, 1) == 0, np.float32(1), np.float32(-1))


def _even(signs: Array) -> Array:
    """Seven bits, and an eighth so that the number of ones is even: u8"""
    import numpy as np

    parity = unpack_bits(signs.astype(np.uint8).reshape(-1, 1), 1, 1).sum(axis=1).reshape(signs.shape) & 1
    return (signs | (parity << 7)).astype(np.uint8)


def _scale_and_signs(words: Array) -> tuple[Array, Array]:
    """u8 [N, 4W]: a word has four times seven signs, and a scale above them: f32 [N, W] and u8 [N, 4W]"""
    import numpy as np

    u = words.view("<u4")
    seven = (u[:, :, None] >> np.array([0, 7, 14, 21], np.uint32)) & np.uint32(127)
    return (u >> np.uint32(28)).astype("<f4"), _even(seven.reshape(len(u), -1))


def _nibbles(data: Array) -> Array:
    return unpack_bits(data, 4, 1).astype("<f4")


def _with_high(low: Array, high: Array, bits: int) -> Array:
    """The index whose upper bits are those of `high`, in order: u16"""
    return low.astype("<u2") | (unpack_bits(high, bits, 1).astype("<u2") << 8)


def _scaled(scales: Array, values: Array) -> Array:
    return per_group(scales, values) * values


# --- the formulas ----------------------------------------------------------------------------------------------------
def dequantize_iq3_xxs(d: Array, qs: Array, signs: Array) -> Array:
    """w = d (s + 1/2) / 2 * point; 8 groups of 32, in a word of `signs` each the scale"""
    s, negative = _scale_and_signs(signs)
    return _scaled(f16(d) * (s + 0.5) * 0.5, _chosen("IQ3_XXS", qs) * _signs(negative))


def dequantize_iq3_s(d: Array, qs: Array, qh: Array, signs: Array, scales: Array) -> Array:
    """w = d (2 s + 1) * point; 8 groups of 32; qh holds the ninth bits of the indices"""
    points = _chosen("IQ3_S", _with_high(qs, qh, 1))
    return _scaled(f16(d) * (2 * _nibbles(scales) + 1), points * _signs(signs))


def dequantize_iq2_xxs(d: Array, qs: Array) -> Array:
    """w = d (s + 1/2) / 4 * point; 8 groups of 32, each four bytes of indices and a word of scale and signs"""
    import numpy as np

    groups = qs.reshape(len(qs), 8, 8)
    s, negative = _scale_and_signs(np.ascontiguousarray(groups[:, :, 4:]).reshape(len(qs), -1))
    points = _chosen("IQ2_XXS", groups[:, :, :4].reshape(len(qs), -1))
    return _scaled(f16(d) * (s + 0.5) * 0.25, points * _signs(negative))


def dequantize_iq2_xs(d: Array, qs: Array, scales: Array) -> Array:
    """w = d (s + 1/2) / 4 * point; 16 groups of 16; two bytes have nine bits of index and seven of signs"""
    q = qs.view("<u2")
    points = _chosen("IQ2_XS", q & 511) * _signs(_even(q >> 9))
    return _scaled(f16(d) * (_nibbles(scales) + 0.5) * 0.25, points)


def dequantize_iq2_s(d: Array, qs: Array, signs: Array, qh: Array, scales: Array) -> Array:
    """w = d (s + 1/2) / 4 * point; 16 groups of 16; qh holds the upper two bits of the indices"""
    points = _chosen("IQ2_S", _with_high(qs, qh, 2)) * _signs(signs)
    return _scaled(f16(d) * (_nibbles(scales) + 0.5) * 0.25, points)


def _shifted(index: Array, is_less: Array) -> Array:
    """Points of IQ1_S, an eighth less or more: [N, G] twice -> f32 [N, 8G]"""
    import numpy as np

    points = _chosen("IQ1_S", index)
    return points + per_group(np.where(is_less, np.float32(-0.125), np.float32(0.125)), points)


def dequantize_iq1_s(d: Array, qs: Array, qh: Array) -> Array:
    """w = d (2 s + 1) (point +- 1/8); 8 groups of 32, in two bytes of qh each: four times three bits of index, s, the sign"""
    import numpy as np

    h = qh.view("<u2")
    high = (h[:, :, None] >> np.array([0, 3, 6, 9], np.uint16)) & np.uint16(7)
    values = _shifted(qs.astype("<u2") | (high.reshape(len(h), -1) << 8), (h >> 15).repeat(4, axis=1))
    return _scaled(f16(d) * (2 * ((h >> 12) & 7) + 1).astype("<f4"), values)


def dequantize_iq1_m(qs: Array, qh: Array, scales: Array) -> Array:
    """w = d (2 s + 1) (point +- 1/8); 16 groups of 16; a nibble of qh has three bits of index and the sign; four times two
    bytes have four times three bits of s, and above them a nibble of d, the lowest first"""
    import numpy as np

    words, h = scales.view("<u2"), unpack_bits(qh, 4, 1)
    nibbles = (words >> 12) << np.array([0, 4, 8, 12], np.uint16)
    d = np.bitwise_or.reduce(nibbles, axis=1, keepdims=True).view("<f2").astype("<f4")
    s = ((words[:, :, None] >> np.array([0, 3, 6, 9], np.uint16)) & 7).reshape(len(words), -1)
    return _scaled(d * (2 * s + 1).astype("<f4"), _shifted(qs.astype("<u2") | ((h & 7).astype("<u2") << 8), h & 8))
