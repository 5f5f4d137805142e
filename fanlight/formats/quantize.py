"""The way back of quant.py: what rows of floats are in blocks of GGML's formats, and which format each matrix of a file takes.
NumPy; knows no file.

Of each group the scale (and the minimum, where a format has one) is that of the integers which a few roundings of it give, by
least squares: large weights count more. What it costs: `python -m bench quality`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fanlight.arrays import Array
from fanlight.formats.footprint import has_more_bits
from fanlight.formats.quant import QUANT_TYPES

SUPERBLOCK = 256
TRIES = np.arange(-1.0, 1.05, 0.1, dtype=np.float32)  # of the largest integer, by how much its rounding begins elsewhere


@dataclass(frozen=True, slots=True)
class FileType:
    """Formats: of most matrices; of the output, and of an embedding that is the output; of v and down where a layer has more
    bits. number: llama.h's llama_ftype."""

    usual: str
    output: str
    better: str
    number: int


FILE_TYPES = {
    "F16": FileType("F16", "F16", "F16", 1),
    "Q8_0": FileType("Q8_0", "Q8_0", "Q8_0", 7),
    "Q6_K": FileType("Q6_K", "Q6_K", "Q6_K", 18),
    "Q5_K_M": FileType("Q5_K", "Q6_K", "Q6_K", 17),
    "Q5_0": FileType("Q5_0", "Q6_K", "Q5_0", 8),
    "Q4_K_M": FileType("Q4_K", "Q6_K", "Q6_K", 15),
    "Q4_0": FileType("Q4_0", "Q6_K", "Q4_0", 2),
}
NARROWER = {"Q6_K": "Q8_0", "Q5_K": "Q8_0", "Q4_K": "Q5_0"}  # where columns are no whole blocks of 256
EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"
PRODUCTS = (
    *(
        "attn_q",
        "attn_k",
        "attn_v",
        "attn_qkv",
        "attn_output",
        "attn_q_a",
        "attn_q_b",
        "attn_kv_a_mqa",
        "attn_kv_b",
        "attn_gate",
    ),
    *(f"ffn_{part}{kind}" for part in ("gate", "up", "down", "gate_up") for kind in ("", "_exps", "_shexp")),
    *("ssm_in", "ssm_out", "shortconv.in_proj", "shortconv.out_proj"),
)


def format_of(name: str, shape: tuple[int, ...], file_type: str, layers: int, is_tied: bool) -> str | None:
    """What a tensor of GGUF becomes; None: what it is. is_tied: whether the embedding is the output, too."""
    chosen = FILE_TYPES[file_type]
    stem, _, kind = name.rpartition(".")
    layer, _, part = stem.removeprefix("blk.").partition(".") if stem.startswith("blk.") else ("", "", stem)
    if kind != "weight" or len(shape) < 2 or (part not in PRODUCTS and name not in (EMBEDDING, OUTPUT)):
        return None
    if name == OUTPUT or (name == EMBEDDING and is_tied):
        wanted = chosen.output
    elif part.startswith(("attn_v", "ffn_down")) and has_more_bits(int(layer), layers):
        wanted = chosen.better
    else:
        wanted = chosen.usual
    if shape[-1] % QUANT_TYPES[wanted].block_elems:
        wanted = NARROWER.get(wanted, "F16")
    return wanted if shape[-1] % QUANT_TYPES[wanted].block_elems == 0 else "F16"


def quantize(format: str, values: Array) -> Array:
    """f32 [N, elements of a block] -> u8 [N, bytes of one]"""
    return WRITERS[format](np.ascontiguousarray(values, np.float32))


# --- one scale to a block ----------------------------------------------------------------------------------------------
def to_f16(x: Array) -> Array:
    return x.astype("<f2").view(np.uint8)


def to_bf16(x: Array) -> Array:
    """To the nearest, ties to even."""
    bits = x.view("<u4")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").view(np.uint8)


def to_q8_0(x: Array) -> Array:
    scale = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)
    q = half_away(x * inverse(scale)).astype("i1")
    return np.hstack([to_f16(scale), q.view(np.uint8)])


def to_q4_0(x: Array) -> Array:
    scale, q = by_largest(x, 8)
    return np.hstack([to_f16(scale), packed(q, 4, 16)])


def to_q5_0(x: Array) -> Array:
    scale, q = by_largest(x, 16)
    return np.hstack([to_f16(scale), packed(q >> 4, 1, 1), packed(q & 15, 4, 16)])


def by_largest(x: Array, half: int) -> tuple[Array, Array]:
    """The scale by which the largest becomes -half, and the integers from 0 to 2 half - 1."""
    top = np.take_along_axis(x, np.abs(x).argmax(axis=1)[:, None], axis=1)
    scale = top / np.float32(-half)
    return scale, np.trunc(x * inverse(scale) + np.float32(half + 0.5)).clip(0, 2 * half - 1).astype(np.uint8)


# --- scales of groups, in blocks of 256 --------------------------------------------------------------------------------
def to_q6_k(x: Array) -> Array:
    groups = x.reshape(len(x), 16, 16)
    scales = signed_scales(groups, 32)
    top = np.take_along_axis(scales, np.abs(scales).argmax(axis=1)[:, None], axis=1)
    d = rounded(top / np.float32(-128))
    s = half_away(scales * inverse(d)).clip(-128, 127)
    q = half_away(groups * inverse(d * s)[:, :, None]).clip(-32, 31) + 32
    q = q.reshape(x.shape).astype(np.uint8)
    return np.hstack([packed(q & 15, 4, 64), packed(q >> 4, 2, 32), s.astype("i1").view(np.uint8), to_f16(d)])


def to_q4_k(x: Array) -> Array:
    q, head = with_minima(x, 15)
    return np.hstack([head, packed(q, 4, 32)])


def to_q5_k(x: Array) -> Array:
    q, head = with_minima(x, 31)
    return np.hstack([head, packed(q >> 4, 1, 32), packed(q & 15, 4, 32)])


def signed_scales(groups: Array, half: int) -> Array:
    """Of groups [N, G, E] with integers from -half to half - 1: the scale of least squares; a weight counts by its square."""
    top = np.take_along_axis(groups, np.abs(groups).argmax(axis=2)[:, :, None], axis=2)
    weights = groups * groups
    best, found = np.full(groups.shape[:2], -1, np.float32), np.zeros(groups.shape[:2], np.float32)
    for shift in TRIES:
        q = half_away(groups * (np.float32(-half + shift) * inverse(top))).clip(-half, half - 1)
        cross, square = (weights * groups * q).sum(axis=2), (weights * q * q).sum(axis=2)
        scale = cross * inverse(square)
        gain = cross * scale  # what of the sum of squares it explains
        better = gain > best
        best, found = np.where(better, gain, best), np.where(better, scale, found)
    return found


def with_minima(x: Array, most: int) -> tuple[Array, Array]:
    """Integers u8 [N, 256] from 0 to most, and the block's first 16 bytes: d, dmin, and eight scales and minima of six bits."""
    groups = x.reshape(len(x), 8, 32)
    scales, minima = scales_and_minima(groups, most)
    d, dmin = (rounded(part.max(axis=1, keepdims=True) / np.float32(63)) for part in (scales, minima))
    s, m = (half_away(part * inverse(by)).clip(0, 63) for part, by in ((scales, d), (minima, dmin)))
    q = half_away((groups + (dmin * m)[:, :, None]) * inverse(d * s)[:, :, None]).clip(0, most).astype(np.uint8)
    return q.reshape(x.shape), np.hstack([to_f16(d), to_f16(dmin), six_bits(s.astype(np.uint8), m.astype(np.uint8))])


def scales_and_minima(groups: Array, most: int) -> tuple[Array, Array]:
    """Of groups [N, G, E] scale and minimum (as what is subtracted, not below 0) with the least error; a weight counts by its
    size and by that of all in its group."""
    low, high = np.minimum(groups.min(axis=2), 0), groups.max(axis=2)
    weights = np.sqrt((groups * groups).mean(axis=2, keepdims=True)) + np.abs(groups)
    total, of_x = weights.sum(axis=2), (weights * groups).sum(axis=2)
    best = np.full(low.shape, np.inf, np.float32)
    found = np.zeros((2, *low.shape), np.float32)
    for shift in TRIES:
        q = half_away((groups - low[:, :, None]) * (np.float32(most + shift) * inverse(high - low))[:, :, None]).clip(0, most)
        of_q, of_qq, of_xq = ((weights * part).sum(axis=2) for part in (q, q * q, groups * q))
        by = inverse(total * of_qq - of_q * of_q)
        scale, least = (total * of_xq - of_x * of_q) * by, (of_qq * of_x - of_q * of_xq) * by
        above = least > 0  # a minimum cannot be: the best line through 0
        scale, least = np.where(above, of_xq * inverse(of_qq), scale), np.where(above, 0, least)
        error = (weights * (scale[:, :, None] * q + least[:, :, None] - groups) ** 2).sum(axis=2)
        better = (error < best) & (scale > 0)
        best, found = np.where(better, error, best), np.where(better, (scale, -least), found)
    return found[0], found[1]


def six_bits(s: Array, m: Array) -> Array:
    """As quant.scale_min_k reads them: u8 [N, 8] each -> u8 [N, 12]"""
    first = [part[:, :4] | part[:, 4:] >> 4 << 6 for part in (s, m)]
    return np.hstack([*first, s[:, 4:] & 15 | (m[:, 4:] & 15) << 4])


# --- numbers -----------------------------------------------------------------------------------------------------------
def half_away(x: Array) -> Array:
    """To the nearest whole number, halves away from 0."""
    return np.trunc(x + np.copysign(np.float32(0.5), x))


def inverse(x: Array) -> Array:
    """0 of 0."""
    return np.divide(np.float32(1), x, out=np.zeros_like(x, np.float32), where=x != 0)


def rounded(x: Array) -> Array:
    """As f16 keeps it."""
    return x.astype("<f2").astype(np.float32)


def packed(values: Array, bits: int, group: int) -> Array:
    """The way back of bits.unpack_bits: u8 [N, E] -> u8 [N, E * bits / 8]"""
    shifts = np.arange(0, 8, bits, dtype=np.uint8).reshape(-1, 1)
    parts = values.astype(np.uint8).reshape(len(values), -1, 8 // bits, group) << shifts
    return np.bitwise_or.reduce(parts, axis=2).reshape(len(values), -1)


WRITERS: dict[str, Callable[[Array], Array]] = {
    "F16": to_f16,
    "BF16": to_bf16,
    "Q8_0": to_q8_0,
    "Q4_0": to_q4_0,
    "Q5_0": to_q5_0,
    "Q4_K": to_q4_k,
    "Q5_K": to_q5_k,
    "Q6_K": to_q6_k,
}
