"""THE table of weight formats: how the elements of a tensor are packed into blocks of bytes.  Knows no file and no GPU.

A block is `fields`, one after the other; `dequantize` says in NumPy what they mean and is the reference for the WGSL in
kernels/lib. Names, numbers and layouts are GGML's: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
(but for those without a number of GGML's, which are what other files' weights become: formats/mlc.py, formats/folder_quant.py;
the number behind their names is the block's size, and d, z and m are f32).
To add a format: one row in QUANT_TYPES and one function. Functions take the fields by name, u8 [N, size]; f32 [N, elements]
come back.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from fanlight.arrays import Array
from fanlight.errors import UnsupportedModel
from fanlight.formats import lattices
from fanlight.formats.bits import bf16, f16, join_bits, per_group, unpack_bits


@dataclass(frozen=True, slots=True)
class Field:
    """A part of a block."""

    name: str
    offset: int  # bytes from the start of the block
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class QuantType:
    """One weight format. `unpack` is None where the format is known by name and size only."""

    name: str
    ggml_id: int | None  # None where GGML does not have it
    block_elems: int
    block_bytes: int
    fields: tuple[Field, ...] = ()
    unpack: Callable[..., Array] | None = None
    table: str = ""  # what codes are looked up in: a lattice of lattices.py, IQ4 or NF4

    def field(self, name: str) -> Field:
        return next(f for f in self.fields if f.name == name)

    def num_bytes(self, num_elems: int) -> int:
        """Of `num_elems` elements in whole blocks."""
        return num_elems // self.block_elems * self.block_bytes

    def dequantize(self, blocks: Array) -> Array:
        """u8 [N, block_bytes] -> f32 [N, block_elems]"""
        import numpy as np

        if self.unpack is None:
            raise unsupported(self.name)
        if blocks.dtype != np.uint8 or blocks.ndim != 2 or blocks.shape[1] != self.block_bytes:
            raise ValueError(f"{self.name}: blocks must be u8 [N, {self.block_bytes}], got {blocks.dtype} {blocks.shape}")
        parts = {f.name: np.ascontiguousarray(blocks[:, f.offset : f.offset + f.size]) for f in self.fields}
        with np.errstate(invalid="ignore", over="ignore"):  # a broken file may hold scales that are not finite
            return self.unpack(**parts)


# --- the formulas ----------------------------------------------------------------------------------------------------
def dequantize_f32(x: Array) -> Array:
    return x.view("<f4").copy()


def dequantize_f16(x: Array) -> Array:
    return f16(x)


def dequantize_bf16(x: Array) -> Array:
    return bf16(x)


def dequantize_q4_0(d: Array, qs: Array) -> Array:
    """w = d (q - 8)"""
    return f16(d) * (unpack_bits(qs, 4, 16).astype("<f4") - 8)


def dequantize_q4_0_bf16(d: Array, qs: Array) -> Array:
    """w = d (q - 8)"""
    return bf16(d) * (unpack_bits(qs, 4, 16).astype("<f4") - 8)


def dequantize_q4_1(d: Array, m: Array, qs: Array) -> Array:
    """w = d q + m"""
    return f16(d) * unpack_bits(qs, 4, 16).astype("<f4") + f16(m)


def dequantize_q5_0(d: Array, qh: Array, qs: Array) -> Array:
    """w = d (q - 16); qh holds the fifth bits in the order of the elements"""
    return f16(d) * (join_bits(unpack_bits(qs, 4, 16), unpack_bits(qh, 1, 1), 4) - 16)


def dequantize_q5_1(d: Array, m: Array, qh: Array, qs: Array) -> Array:
    """w = d q + m"""
    return f16(d) * join_bits(unpack_bits(qs, 4, 16), unpack_bits(qh, 1, 1), 4) + f16(m)


def dequantize_q8_0(d: Array, qs: Array) -> Array:
    """w = d q"""
    return f16(d) * qs.view("i1").astype("<f4")


def dequantize_q2_k(scales: Array, qs: Array, d: Array, dmin: Array) -> Array:
    """w = d s q - dmin m; 16 groups of 16, a byte of `scales` each: s low, m high"""
    q = unpack_bits(qs, 2, 32).astype("<f4")
    s, m = f16(d) * (scales & 15).astype("<f4"), f16(dmin) * (scales >> 4).astype("<f4")
    return per_group(s, q) * q - per_group(m, q)


def dequantize_q3_k(hmask: Array, qs: Array, scales: Array, d: Array) -> Array:
    """w = d (s - 32) (q - 4); q: two bits in qs, the third in hmask. 16 groups of 16; s: four bits in the first 8 bytes of
    `scales`, two in the last 4"""
    q = join_bits(unpack_bits(qs, 2, 32), unpack_bits(hmask, 1, 32), 2) - 4
    s = join_bits(unpack_bits(scales[:, :8], 4, 8), unpack_bits(scales[:, 8:], 2, 4), 4) - 32
    return per_group(f16(d) * s, q) * q


def scale_min_k(scales: Array) -> tuple[Array, Array]:
    """The 8 scales and 8 mins of Q4_K and Q5_K, 6 bits each, f32. Bytes 0-3 and 4-7: the first four scales and mins, and in
    their upper two bits those of the last four, whose lower bits are the nibbles of bytes 8-11."""
    import numpy as np

    s, m, low = scales[:, 0:4], scales[:, 4:8], scales[:, 8:12]
    last_s, last_m = (low & 15) | (s >> 6 << 4), (low >> 4) | (m >> 6 << 4)
    return np.hstack([s & 63, last_s]).astype("<f4"), np.hstack([m & 63, last_m]).astype("<f4")


def dequantize_q4_k(d: Array, dmin: Array, scales: Array, qs: Array) -> Array:
    """w = d s q - dmin m; 8 groups of 32"""
    s, m = scale_min_k(scales)
    q = unpack_bits(qs, 4, 32).astype("<f4")
    return per_group(f16(d) * s, q) * q - per_group(f16(dmin) * m, q)


def dequantize_q5_k(d: Array, dmin: Array, scales: Array, qh: Array, qs: Array) -> Array:
    """w = d s q - dmin m; 8 groups of 32; qh holds the fifth bits"""
    s, m = scale_min_k(scales)
    q = join_bits(unpack_bits(qs, 4, 32), unpack_bits(qh, 1, 32), 4)
    return per_group(f16(d) * s, q) * q - per_group(f16(dmin) * m, q)


def dequantize_q6_k(ql: Array, qh: Array, scales: Array, d: Array) -> Array:
    """w = d s (q - 32); 16 groups of 16; q: four bits in ql, two in qh; s: i8"""
    q = join_bits(unpack_bits(ql, 4, 64), unpack_bits(qh, 2, 32), 4) - 32
    return per_group(f16(d) * scales.view("i1").astype("<f4"), q) * q


IQ4_VALUES = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
E2M1_DOUBLED = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)


def look_up(values: tuple[int, ...], codes: Array) -> Array:
    """u8 [N, E] -> f32 [N, E]"""
    import numpy as np

    return np.array(values, np.float32)[codes]


def dequantize_iq4_nl(d: Array, qs: Array) -> Array:
    """w = d T[q]"""
    return f16(d) * look_up(IQ4_VALUES, unpack_bits(qs, 4, 16))


def dequantize_iq4_xs(d: Array, scales_h: Array, scales_l: Array, qs: Array) -> Array:
    """w = d (s - 32) T[q]; 8 groups of 32; s: four bits in scales_l, two in scales_h"""
    values = look_up(IQ4_VALUES, unpack_bits(qs, 4, 16))
    s = join_bits(unpack_bits(scales_l, 4, 1), unpack_bits(scales_h, 2, 1), 4) - 32
    return per_group(f16(d) * s, values) * values


def dequantize_mxfp4(e: Array, qs: Array) -> Array:
    """w = 2^(e - 128) K[q]: K is twice what E2M1 stands for. https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf"""
    import numpy as np

    d = np.ldexp(np.float32(1), e.astype(np.int32) - 128).astype(np.float32)
    return d * look_up(E2M1_DOUBLED, unpack_bits(qs, 4, 16))


def ue4m3(x: Array) -> Array:
    """u8 -> f32: four bits of exponent, three of mantissa; the sign counts nothing."""
    import numpy as np

    exponent, mantissa = (x >> 3 & 15).astype(np.int32), (x & 7).astype(np.float32)
    value = np.where(exponent == 0, mantissa * np.float32(2**-9), np.ldexp(1 + mantissa / 8, exponent - 7))
    return value.astype(np.float32)


def dequantize_nvfp4(scales: Array, qs: Array) -> Array:
    """w = s / 2 * K[q]; 4 groups of 16; the scale 127 stands for zero"""
    import numpy as np

    values = look_up(E2M1_DOUBLED, unpack_bits(qs, 4, 8))
    return per_group(np.where(scales == 127, np.float32(0), ue4m3(scales) * np.float32(0.5)), values) * values


def trits(x: Array, count: int, group: int) -> Array:
    """u8 [N, B] -> f32 [N, count * B] of -1, 0, 1: `count` to a byte, those of a place in each group of `group` bytes together.
    A byte is the fraction that they are in base three, in 256ths."""
    import numpy as np

    powers = np.array([1, 3, 9, 27, 81][:count], np.uint8).reshape(-1, 1)
    shifted = x.reshape(len(x), -1, 1, group) * powers
    return ((shifted.astype(np.uint16) * 3 >> 8).astype(np.float32) - 1).reshape(len(x), -1)


def dequantize_tq1_0(qs: Array, qh: Array, d: Array) -> Array:
    """w = d t"""
    import numpy as np

    return f16(d) * np.hstack([trits(qs[:, :32], 5, 32), trits(qs[:, 32:], 5, 16), trits(qh, 4, 4)])


def dequantize_tq2_0(qs: Array, d: Array) -> Array:
    """w = d (q - 1)"""
    return f16(d) * (unpack_bits(qs, 2, 32).astype("<f4") - 1)


def dequantize_q1_0(d: Array, qs: Array) -> Array:
    """w = d (2 q - 1)"""
    return f16(d) * (2 * unpack_bits(qs, 1, 1).astype("<f4") - 1)


def dequantize_q2_0(d: Array, qs: Array) -> Array:
    """w = d (q - 1)"""
    return f16(d) * (unpack_bits(qs, 2, 1).astype("<f4") - 1)


def dequantize_int4(d: Array, z: Array, qs: Array) -> Array:
    """w = d (q - z)"""
    q = unpack_bits(qs, 4, 16).astype("<f4")
    return d.view("<f4") * (q - z.view("<f4"))


def dequantize_int2(d: Array, qs: Array) -> Array:
    """w = d (q - 1)"""
    return d.view("<f4") * (unpack_bits(qs, 2, 32).astype("<f4") - 1)


def dequantize_int8(d: Array, z: Array, qs: Array) -> Array:
    """w = d (q - z)"""
    return d.view("<f4") * (qs.view("i1").astype("<f4") - z.view("<f4"))


def dequantize_affine4(d: Array, m: Array, qs: Array) -> Array:
    """w = d q + m"""
    return d.view("<f4") * unpack_bits(qs, 4, 16).astype("<f4") + m.view("<f4")


def dequantize_affine8(d: Array, m: Array, qs: Array) -> Array:
    """w = d (q + 128) + m: q is kept as i8"""
    return d.view("<f4") * (qs.view("i1").astype("<f4") + 128) + m.view("<f4")


def e4m3(x: Array) -> Array:
    """u8 -> f32: a sign, four bits of exponent, three of mantissa. https://arxiv.org/abs/2209.05433"""
    import numpy as np

    value = ue4m3(x & 127) * np.where(x >> 7, np.float32(-1), np.float32(1))
    return np.where(x & 127 == 127, np.float32(np.nan), value)


def dequantize_e4m3(d: Array, qs: Array) -> Array:
    """w = d q"""
    return d.view("<f4") * e4m3(qs)


# Quantiles of the normal distribution: https://arxiv.org/abs/2305.14314
NF4_VALUES = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334),
    *(-0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)


def dequantize_nf4(d: Array, qs: Array) -> Array:
    """w = d T[q]; the upper nibble of a byte is the first"""
    import numpy as np

    codes = np.stack([qs >> 4, qs & 15], axis=2).reshape(len(qs), -1)
    return d.view("<f4") * np.array(NF4_VALUES, np.float32)[codes]


# --- the table -------------------------------------------------------------------------------------------------------
def row(
    name: str, ggml_id: int | None, block_elems: int, layout: str, unpack: Callable[..., Array], table: str = ""
) -> QuantType:
    """layout: 'd:2 qs:16', names and bytes of the fields in file order."""
    fields, offset = [], 0
    for part in layout.split():
        field_name, size = part.split(":")
        fields.append(Field(field_name, offset, int(size)))
        offset += int(size)
    return QuantType(name, ggml_id, block_elems, offset, tuple(fields), unpack, table)


QUANT_TYPES: dict[str, QuantType] = {
    t.name: t
    for t in (
        row("F32", 0, 1, "x:4", dequantize_f32),
        row("F16", 1, 1, "x:2", dequantize_f16),
        row("BF16", 30, 1, "x:2", dequantize_bf16),
        row("Q4_0", 2, 32, "d:2 qs:16", dequantize_q4_0),
        row("Q4_1", 3, 32, "d:2 m:2 qs:16", dequantize_q4_1),
        row("Q5_0", 6, 32, "d:2 qh:4 qs:16", dequantize_q5_0),
        row("Q5_1", 7, 32, "d:2 m:2 qh:4 qs:16", dequantize_q5_1),
        row("Q8_0", 8, 32, "d:2 qs:32", dequantize_q8_0),
        row("Q2_K", 10, 256, "scales:16 qs:64 d:2 dmin:2", dequantize_q2_k),
        row("Q3_K", 11, 256, "hmask:32 qs:64 scales:12 d:2", dequantize_q3_k),
        row("Q4_K", 12, 256, "d:2 dmin:2 scales:12 qs:128", dequantize_q4_k),
        row("Q5_K", 13, 256, "d:2 dmin:2 scales:12 qh:32 qs:128", dequantize_q5_k),
        row("Q6_K", 14, 256, "ql:128 qh:64 scales:16 d:2", dequantize_q6_k),
        row("IQ4_NL", 20, 32, "d:2 qs:16", dequantize_iq4_nl, "IQ4"),
        row("IQ4_XS", 23, 256, "d:2 scales_h:2 scales_l:4 qs:128", dequantize_iq4_xs, "IQ4"),
        row("MXFP4", 39, 32, "e:1 qs:16", dequantize_mxfp4),
        row("NVFP4", 40, 64, "scales:4 qs:32", dequantize_nvfp4),
        row("IQ3_S", 21, 256, "d:2 qs:64 qh:8 signs:32 scales:4", lattices.dequantize_iq3_s, "IQ3_S"),
        row("IQ3_XXS", 18, 256, "d:2 qs:64 signs:32", lattices.dequantize_iq3_xxs, "IQ3_XXS"),
        row("IQ2_S", 22, 256, "d:2 qs:32 signs:32 qh:8 scales:8", lattices.dequantize_iq2_s, "IQ2_S"),
        row("IQ2_XS", 17, 256, "d:2 qs:64 scales:8", lattices.dequantize_iq2_xs, "IQ2_XS"),
        row("IQ2_XXS", 16, 256, "d:2 qs:64", lattices.dequantize_iq2_xxs, "IQ2_XXS"),
        row("IQ1_M", 29, 256, "qs:32 qh:16 scales:8", lattices.dequantize_iq1_m, "IQ1_S"),
        row("IQ1_S", 19, 256, "d:2 qs:32 qh:16", lattices.dequantize_iq1_s, "IQ1_S"),
        row("TQ1_0", 34, 256, "qs:48 qh:4 d:2", dequantize_tq1_0),
        row("TQ2_0", 35, 256, "qs:64 d:2", dequantize_tq2_0),
        row("Q2_0", 42, 64, "d:2 qs:16", dequantize_q2_0),
        row("Q1_0", 41, 128, "d:2 qs:16", dequantize_q1_0),
        row("Q4_0_BF16", None, 32, "d:2 qs:16", dequantize_q4_0_bf16),
        *(row(f"INT4_{n}", None, n, f"d:4 z:4 qs:{n // 2}", dequantize_int4) for n in (32, 64, 128)),
        *(row(f"INT8_{n}", None, n, f"d:4 z:4 qs:{n}", dequantize_int8) for n in (32, 128)),
        *(row(f"AFFINE4_{n}", None, n, f"d:4 m:4 qs:{n // 2}", dequantize_affine4) for n in (32, 64, 128)),
        *(row(f"AFFINE8_{n}", None, n, f"d:4 m:4 qs:{n}", dequantize_affine8) for n in (32, 64)),
        row("NF4", None, 64, "d:4 qs:32", dequantize_nf4, "NF4"),
        *(row(f"E4M3_{n}", None, n, f"d:4 qs:{n}", dequantize_e4m3) for n in (32, 128)),
        row("INT2_128", None, 128, "d:4 qs:32", dequantize_int2),
    )
}

# Files with these are read, so that their tensors can be listed; asking for the weights is an error that names the format.
LISTED_TYPES: dict[str, QuantType] = {
    name: QuantType(name, ggml_id, block_elems, block_bytes)
    for name, ggml_id, block_elems, block_bytes in (
        ("Q8_1", 9, 32, 36),
        ("Q8_K", 15, 256, 292),
        ("I8", 24, 1, 1),
        ("I16", 25, 1, 2),
        ("I32", 26, 1, 4),
        ("I64", 27, 1, 8),
        ("F64", 28, 1, 8),
    )
}

TYPES_BY_ID: dict[int, QuantType] = {
    t.ggml_id: t for t in (*QUANT_TYPES.values(), *LISTED_TYPES.values()) if t.ggml_id is not None
}

# Numbers that GGML gave to formats it has since removed.
REMOVED_TYPES: dict[int, str] = {
    4: "Q4_2",
    5: "Q4_3",
    31: "Q4_0_4_4",
    32: "Q4_0_4_8",
    33: "Q4_0_8_8",
    36: "IQ4_NL_4_4",
    37: "IQ4_NL_4_8",
    38: "IQ4_NL_8_8",
}
# By which numbers bitnet.cpp has formats of its own.  https://github.com/microsoft/BitNet
BITNET_TYPES: dict[int, str] = {36: "I2_S", 37: "I8_S", 38: "TL1"}


@cache
def table_of(format: str) -> bytes:
    """What kernels look codes up in, u32; nothing for most formats."""
    name = QUANT_TYPES[format].table
    if name == "NF4":
        return array("f", NF4_VALUES).tobytes()
    if name == "IQ4":  # of each byte: its lower nibble's value, and two bytes further on its upper one's
        return bytes(v for high in IQ4_VALUES for low in IQ4_VALUES for v in (low & 255, 0, high & 255, 0))
    return lattices.table(name) if name else b""


def quant_type(name: str, where: str = "") -> QuantType:
    """The row of a format that Fanlight runs. Raises UnsupportedModel, with `where` (the tensor or file that wants it)."""
    if name not in QUANT_TYPES:
        raise unsupported(name, where)
    return QUANT_TYPES[name]


def unsupported(name: str, where: str = "") -> UnsupportedModel:
    message = f"weights in the format {name} are not supported; these are: {', '.join(QUANT_TYPES)}"
    return UnsupportedModel(message, where=where, hint="use a file of the same model in one of these, such as Q4_K_M or Q8_0")


# --- making weights, for tests and for the models that our scripts export ---------------------------------------------
def quantize_bf16(x: Array) -> Array:
    """Round to nearest, ties to even."""
    bits = x.view("<u4").astype("<u8")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


def quantize_q4_0(x: Array) -> Array:
    """GGML's reference: the element of the largest magnitude becomes -8 d."""
    import numpy as np

    extreme = np.take_along_axis(x, np.abs(x).argmax(axis=1, keepdims=True), axis=1)
    d = extreme / np.float32(-8)
    inverse = np.divide(np.float32(1), d, where=d != 0, out=np.zeros_like(d))
    q = np.minimum(15, (x * inverse + np.float32(8.5)).astype("i1")).astype("u1")
    return np.hstack([d.astype("<f2").view("u1"), q[:, :16] | (q[:, 16:] << 4)])


def quantize_q8_0(x: Array) -> Array:
    """GGML's reference: the largest magnitude becomes 127 d; halves round away from zero."""
    import numpy as np

    d = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)
    inverse = np.divide(np.float32(1), d, where=d != 0, out=np.zeros_like(d))
    scaled = x * inverse
    whole = np.trunc(scaled)
    q = whole + np.copysign(np.abs(scaled - whole) >= np.float32(0.5), scaled)
    return np.hstack([d.astype("<f2").view("u1"), q.astype("i1").view("u1")])


QUANTIZERS: dict[str, Callable[[Array], Array]] = {
    "F32": lambda x: x.astype("<f4"),
    "F16": lambda x: x.astype("<f2"),
    "BF16": quantize_bf16,
    "Q4_0": quantize_q4_0,
    "Q8_0": quantize_q8_0,
}


def quantize(name: str, x: Array) -> Array:
    """f32 [..., K] -> u8 [..., K / block_elems * block_bytes]. K is a multiple of the format's block_elems."""
    import numpy as np

    t = quant_type(name)
    if name not in QUANTIZERS:
        raise ValueError(f"{name}: Fanlight only reads this format; it writes {', '.join(QUANTIZERS)}")
    if x.shape[-1] % t.block_elems:
        raise ValueError(f"{name}: the last axis must be a multiple of {t.block_elems}, got shape {x.shape}")
    blocks = np.ascontiguousarray(x, dtype="<f4").reshape(-1, t.block_elems)
    return QUANTIZERS[name](blocks).view("u1").reshape(*x.shape[:-1], t.num_bytes(x.shape[-1]))
