"""How fields of packed weights are taken apart.  NumPy; knows no format. N blocks at a time, u8 in, f32 out where not said."""

from fanlight.arrays import Array


def f16(data: Array) -> Array:
    """u8 [N, 2k] -> f32 [N, k]"""
    return data.view("<f2").astype("<f4")


def bf16(data: Array) -> Array:
    """The upper half of an f32: u8 [N, 2k] -> f32 [N, k]"""
    return (data.view("<u2").astype("<u4") << 16).view("<f4")


def unpack_bits(data: Array, bits: int, group: int) -> Array:
    """u8 [N, B] -> u8 [N, B * 8 / bits], values of `bits` bits. In each group of `group` bytes the lowest bits of all bytes
    come first, then the next: all of GGML's packings are this with another group."""
    import numpy as np

    shifts = np.arange(0, 8, bits, dtype=np.uint8).reshape(-1, 1)
    values = (data.reshape(len(data), -1, 1, group) >> shifts) & np.uint8((1 << bits) - 1)
    return values.reshape(len(data), -1)


def join_bits(low: Array, high: Array, low_bits: int) -> Array:
    """u8 low, u8 high -> f32 low + high * 2**low_bits"""
    return (low | (high << low_bits)).astype("<f4")


def per_group(scales: Array, values: Array) -> Array:
    """Groups [N, G] repeated to the shape of values [N, E]."""
    return scales.repeat(values.shape[1] // scales.shape[1], axis=1)
