"""What gemv.py and gemm.py share: y = x W^T with what is fused around it, its bindings, constants and NumPy reference.

x' = prologue(x)                   elementwise; of an RMSNorm its weight: the product is scaled by 1/rms(x) afterwards
v  = x' W^T                        W dequantised on the fly
y  = epilogue(v), or epilogue(v_gate, v_up) where W's rows are two halves
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.formats import lattices
from fanlight.formats.quant import QUANT_TYPES
from fanlight.kernels import fused
from fanlight.kernels.expressions import Fused, is_linear
from fanlight.kernels.fused import Site, site
from fanlight.kernels.inputs import HEADER_WORDS
from fanlight.kernels.packing import Packing, pack, unpack_planes
from fanlight.kernels.rotary import Rope, turn_and_append
from fanlight.kernels.spec import Kernel, round_up

FLOATS = frozenset({"F32", "F16", "BF16"})
IN_FLOATS = FLOATS | {"E4M3_32", "E4M3_128", "NF4"}  # what products are made of in f32
EXTRA = {
    **{format: ("lib/k_scales.wgsl",) for format in ("Q4_K", "Q5_K")},
    **{format: ("lib/codes_iq4.wgsl",) for format in ("IQ4_NL", "IQ4_XS")},
    **{format: ("lib/codes_e2m1.wgsl",) for format in ("MXFP4", "NVFP4")},
    **{format: ("lib/points.wgsl",) for format in ("IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS")},
    **{format: ("lib/points_trits.wgsl",) for format in ("IQ1_M", "IQ1_S")},
}
SIZED = re.compile(r"((?:INT|AFFINE)[48]|E4M3)_(\d+)")  # formats whose blocks come in several sizes


@dataclass(frozen=True, slots=True)
class Linear:
    """One product. Strides and offsets count f32 elements of activation rows."""

    format: str
    n: int  # rows of W
    k: int  # columns of W
    rows: int  # rows of x and y: T, or B where sampled
    x_stride: int
    y_stride: int
    x_offset: int = 0
    row_offset: int = 0  # y's column of W's first row: a weight may be split by rows
    norm_eps: float | None = None
    prologue: Fused | None = None  # of x, where rows are few; operands by column of x
    epilogue: Fused | None = None  # of the product; operands by row and column of y. Two values: W's rows are two halves
    is_sampled: bool = False  # row c of y continues sample c's row of x
    is_int8: bool = False  # x is quantised already: see gemv_int8.py
    gives_int8: bool = False  # and y leaves so
    rope: Rope | None = None  # y is q, roped, and the KV cache
    splits: int = 1  # x is attention's, in so many parts per head
    head_dim: int = 0  # of x, where it is

    def __post_init__(self) -> None:
        assert self.prologue is None or self.prologue.values == 1, self.prologue
        assert self.epilogue is None or self.epilogue.values in (1, 2), self.epilogue
        assert not (self.is_int8 and (self.prologue or self.norm_eps is not None)), (
            "quantised activations are taken as they are"
        )
        assert self.norm_eps is None or self.prologue is None or is_linear(self.prologue.expr), "1/rms is multiplied afterwards"
        assert not self.is_int8 or self.x_offset % 16 == self.x_stride % 16 == 0, "scales are of 16 neighbours"
        assert self.splits == 1 or self.x_offset == 0, "parts of heads are read whole"
        assert not self.is_paired or self.n % 2 == 0, "two halves"

    @property
    def is_paired(self) -> bool:
        """Whether an element of y takes two rows of W: row i, and row i + n/2."""
        return self.epilogue is not None and self.epilogue.values == 2

    @property
    def columns(self) -> int:
        """Of y, that W makes."""
        return self.n // 2 if self.is_paired else self.n

    @property
    def packing(self) -> Packing:
        return packing_of(self.format, self.n, self.k)

    @property
    def is_vec4(self) -> bool:
        return self.k % 4 == self.x_stride % 4 == self.x_offset % 4 == 0


@lru_cache(maxsize=1024)
def packing_of(format: str, rows: int, cols: int) -> Packing:
    q = QUANT_TYPES[format]
    fields = tuple((f.name, f.offset, f.size) for f in q.fields)
    return pack(fields, q.block_elems, q.block_bytes, rows, cols)


def weight_bindings(format: str) -> dict[str, str]:
    made = {"w": "array<vec4<u32>>"} | ({} if format in IN_FLOATS else {"s": "array<u32>"})
    return made | ({"grid": "array<u32>"} if QUANT_TYPES[format].lattice else {})


def constant_contents(format: str) -> dict[str, bytes]:
    """Of a weight's bindings those that are the same for every weight."""
    lattice = QUANT_TYPES[format].lattice
    return {"grid": lattices.table(lattice)} if lattice else {}


def weight_files(format: str) -> tuple[str, ...]:
    group = "lib/group_float.wgsl" if format in IN_FLOATS else "lib/group_quant.wgsl"
    if sized := SIZED.fullmatch(format):
        return (group, f"lib/block_{sized[2]}.wgsl", f"lib/unpack_{sized[1].lower()}.wgsl")
    return (group, *EXTRA.get(format, ()), f"lib/unpack_{format.lower()}.wgsl")


def bindings(p: Linear) -> dict[str, str]:
    x = {"x": "array<vec4<u32>>", "x_scales": "array<vec2<f32>>"}
    made = weight_bindings(p.format) | (x if p.is_int8 else {"x": "array<vec4<f32>>" if p.is_vec4 else "array<f32>"})
    made |= {"inputs": "array<u32>"}
    made |= {"x_state": "array<vec2<f32>>"} if p.splits > 1 else {}
    made |= fused.bindings(before(p), after(p))
    if p.rope:
        cache = "+array<u32>" if p.rope.kv.dtype == "f16" else "+array<vec2<f32>>"
        return made | {"block_table": "array<u32>", "inv_freq": "array<f32>", "kv": cache, "q": "+array<f32>"}
    return made | ({"y": "+array<vec4<u32>>", "y_scales": "+array<vec2<f32>>"} if p.gives_int8 else {"y": "+array<f32>"})


def constants(p: Linear) -> dict[str, int | float]:
    return (
        p.packing.constants()
        | {
            "N": p.n,
            "K": p.k,
            "GROUPS": p.packing.padded_cols // 32,
            "X_STRIDE": p.x_stride,
            "X_OFFSET": p.x_offset,
            "Y_STRIDE": p.y_stride,
            "ROW_OFFSET": p.row_offset,
            "EPS": p.norm_eps or 0.0,
            "SAMPLES_AT": HEADER_WORDS,
            **({"SPLITS": p.splits, "D": p.head_dim} if p.splits > 1 else {}),
        }
        | (p.rope.constants() if p.rope else {})
    )


def x_file(p: Linear) -> str:
    return "lib/x_vec4.wgsl" if p.is_vec4 else "lib/x_scalar.wgsl"


def before(p: Linear) -> Site:
    return site("prologue", p.prologue, p.k, "columns")


def after(p: Linear, lanes: str = "one") -> Site:
    return site("epilogue", p.epilogue, p.row_offset + p.columns, lanes)


def generated(p: Linear) -> str:
    """For products of few rows."""
    return f"const NORMALIZE = {str(p.norm_eps is not None).lower()};\n" + fused.wgsl(before(p), after(p))


def generated_after(p: Linear, lanes: str = "one") -> str:
    """For products of many rows, whose activations are made ready before."""
    assert p.norm_eps is None and p.prologue is None, "a tile does not see whole rows"
    return fused.wgsl(after(p, lanes))


def reference(
    kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int], rounded: Callable[[Array], Array] = lambda x: x
) -> None:
    """Writes arrays['y'] (u8 views of the bindings). Computed in float64 from exactly dequantised weights; `rounded` is what
    the kernel does to activations [rows, k] before the product."""
    import numpy as np

    p = kernel.problem

    w = dequantized(p.format, p.n, p.k, arrays["w"]).astype(np.float64)
    inputs = arrays["inputs"].view(np.uint32)
    num_rows = int(inputs[0])
    if p.is_sampled:
        picked = [min(int(inputs[HEADER_WORDS + 16 * c]), num_rows - 1) for c in range(p.rows)]
    else:
        picked = list(range(num_rows if kernel.stem.startswith("gemm") else p.rows))
    starts = [row * p.x_stride + p.x_offset for row in picked]
    x = _x_of(p, arrays, max(starts) + p.k)
    x = np.stack([x[start : start + p.k] for start in starts]).astype(np.float64)
    rms = 1.0 if p.norm_eps is None else np.sqrt(np.mean(x * x, axis=1, keepdims=True) + p.norm_eps)
    x = fused.apply(before(p), arrays, [x], picked, np.arange(p.k))
    y = rounded(x) @ w.T / rms
    keep(p, arrays, y)


def _x_of(p: Linear, arrays: dict[str, Array], count: int) -> Array:
    """At least f32 [count]: what lies behind may be another step's."""
    import numpy as np

    x = from_int8(arrays["x"], arrays["x_scales"], count) if p.is_int8 else arrays["x"].view(np.float32)
    if p.splits == 1:
        return x
    parts = x[: p.rows * p.k * p.splits].reshape(-1, p.splits, p.head_dim).astype(np.float64)
    state = arrays["x_state"].view(np.float32).astype(np.float64)[: 2 * parts.shape[0] * p.splits].reshape(-1, p.splits, 2)
    scale = np.exp(state[:, :, :1] - state[:, :, :1].max(axis=1, keepdims=True))
    return ((scale * parts).sum(axis=1) / (scale * state[:, :, 1:]).sum(axis=1)).reshape(-1)


def keep(p: Linear, arrays: dict[str, Array], y: Array) -> None:
    """Does to a product y [rows, n] what is fused to it, and writes it. (NumPy)"""
    import numpy as np

    values = [y[:, : p.n // 2], y[:, p.n // 2 :]] if p.is_paired else [y]
    y = fused.apply(after(p), arrays, values, np.arange(len(y)), p.row_offset + np.arange(p.columns))
    if p.rope:
        return turn_and_append(p.rope, arrays, y, p.row_offset)
    if p.gives_int8:
        return to_int8(y, arrays["y"], arrays["y_scales"], p.y_stride)
    out = arrays["y"].view(np.float32)
    for row, values in enumerate(y):
        at = row * p.y_stride + p.row_offset
        out[at : at + p.columns] = values


def to_int8(x: Array, y: Array, scales: Array, stride: int) -> None:
    """Quantises [rows, k] into the bytes of y and scales. (NumPy)"""
    import numpy as np

    for row, values in enumerate(x.astype(np.float32)):
        halves = values.reshape(-1, 16)
        top = abs(halves).max(axis=1, keepdims=True)
        q = np.round(halves * np.divide(np.float32(127), top, out=np.zeros_like(top), where=top > 0))
        at = row * stride // 16
        y.view(np.int8).reshape(-1, 16)[at : at + len(q)] = q
        scales.view(np.float32).reshape(-1, 2)[at : at + len(q)] = np.concatenate(
            [top / 127, top / 127 * q.sum(axis=1, keepdims=True)], axis=1
        )


def from_int8(x: Array, scales: Array, count: int) -> Array:
    """f32 [count] of quantised activations. (NumPy)"""
    import numpy as np

    halves = x.view(np.int8)[: round_up(count, 16)].reshape(-1, 16)
    return (halves * scales.view(np.float32).reshape(-1, 2)[: len(halves), :1]).reshape(-1)


def dequantized(format: str, rows: int, cols: int, packed: Array) -> Array:
    """f32 [rows, cols] of a packed weight. (NumPy)"""
    blocks = unpack_planes(packing_of(format, rows, cols), packed)
    q = QUANT_TYPES[format]
    return q.dequantize(blocks.reshape(-1, q.block_bytes)).reshape(rows, cols)
