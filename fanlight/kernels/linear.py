"""What gemv.py and gemm.py share: y = x W^T with what is fused around it, its bindings, constants and NumPy reference.

x' = x, or RMSNorm(x) * norm      (deferred: the product is scaled by 1/rms afterwards)
v  = x' W^T + bias                 W dequantised on the fly
y  = v + residual, or silu(v_gate) * v_up where W's rows are gate then up
"""

from collections.abc import Callable
from dataclasses import dataclass

from fanlight.formats.quant import QUANT_TYPES
from fanlight.kernels.inputs import HEADER_WORDS
from fanlight.kernels.packing import Packing, pack, unpack_planes
from fanlight.kernels.spec import Kernel

FLOATS = frozenset({"F32", "F16", "BF16"})
EXTRA = {"Q4_K": ("lib/k_scales.wgsl",), "Q5_K": ("lib/k_scales.wgsl",)}


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
    has_bias: bool = False
    has_residual: bool = False
    is_glu: bool = False
    is_sampled: bool = False  # row c of y continues sample c's row of x
    is_int8: bool = False  # x is quantised already: see gemv_int8.py

    @property
    def packing(self) -> Packing:
        return packing_of(self.format, self.n, self.k)

    @property
    def is_vec4(self) -> bool:
        return self.k % 4 == self.x_stride % 4 == self.x_offset % 4 == 0


def packing_of(format: str, rows: int, cols: int) -> Packing:
    q = QUANT_TYPES[format]
    fields = tuple((f.name, f.offset, f.size) for f in q.fields)
    return pack(fields, q.block_elems, q.block_bytes, rows, cols)


def weight_bindings(format: str) -> dict[str, str]:
    return {"w": "array<vec4<u32>>"} | ({} if format in FLOATS else {"s": "array<u32>"})


def weight_files(format: str) -> tuple[str, ...]:
    group = "lib/group_float.wgsl" if format in FLOATS else "lib/group_quant.wgsl"
    return (group, *EXTRA.get(format, ()), f"lib/unpack_{format.lower()}.wgsl")


def bindings(p: Linear) -> dict[str, str]:
    x = {"x": "array<vec4<u32>>", "x_scales": "array<vec2<f32>>"}
    made = weight_bindings(p.format) | (x if p.is_int8 else {"x": "array<vec4<f32>>" if p.is_vec4 else "array<f32>"})
    made |= {"inputs": "array<u32>"}
    made |= {"norm": "array<f32>"} if p.norm_eps is not None else {}
    made |= {"bias": "array<f32>"} if p.has_bias else {}
    made |= {"residual": "array<f32>"} if p.has_residual else {}
    return made | {"y": "+array<f32>"}


def constants(p: Linear) -> dict[str, int | float]:
    return p.packing.constants() | {
        "N": p.n,
        "K": p.k,
        "GROUPS": p.packing.padded_cols // 32,
        "X_STRIDE": p.x_stride,
        "X_OFFSET": p.x_offset,
        "Y_STRIDE": p.y_stride,
        "ROW_OFFSET": p.row_offset,
        "EPS": p.norm_eps or 0.0,
        "SAMPLES_AT": HEADER_WORDS,
    }


def fused_files(p: Linear) -> tuple[str, ...]:
    x = "lib/x_vec4.wgsl" if p.is_vec4 else "lib/x_scalar.wgsl"
    return (
        *(() if p.is_int8 else (x,)),
        "lib/bias.wgsl" if p.has_bias else "lib/bias_none.wgsl",
        "lib/residual.wgsl" if p.has_residual else "lib/residual_none.wgsl",
    )


def reference(kernel: Kernel, arrays: dict, grid: tuple[int, int, int], rounded: Callable = lambda x: x) -> None:
    """Writes arrays['y'] (u8 views of the bindings). Computed in float64 from exactly dequantised weights; `rounded` is what
    the kernel does to activations [rows, k] before the product."""
    import numpy as np

    p = kernel.problem

    w = dequantized(p.format, p.n, p.k, arrays["w"]).astype(np.float64)
    x = from_int8(arrays["x"], arrays["x_scales"]) if p.is_int8 else arrays["x"].view(np.float32)
    inputs = arrays["inputs"].view(np.uint32)
    num_rows = int(inputs[0])
    if p.is_sampled:
        picked = [min(int(inputs[HEADER_WORDS + 16 * c]), num_rows - 1) for c in range(p.rows)]
    else:
        picked = list(range(num_rows if kernel.stem == "gemm" else p.rows))
    starts = [row * p.x_stride + p.x_offset for row in picked]
    x = np.stack([x[start : start + p.k] for start in starts]).astype(np.float64)
    rms = 1.0
    if p.norm_eps is not None:
        rms = np.sqrt(np.mean(x * x, axis=1, keepdims=True) + p.norm_eps)
        x = x * arrays["norm"].view(np.float32)[: p.k]
    y = rounded(x) @ w.T / rms
    if p.has_bias:
        y = y + arrays["bias"].view(np.float32)[p.row_offset : p.row_offset + p.n]
    if p.is_glu:
        gate, up = y[:, : p.n // 2], y[:, p.n // 2 :]
        y = gate / (1 + np.exp(-gate)) * up
    out = arrays["y"].view(np.float32)
    for c in range(len(picked)):
        at = c * p.y_stride + p.row_offset
        row = y[c]
        if p.has_residual:
            row = row + arrays["residual"].view(np.float32)[at : at + len(row)]
        out[at : at + len(row)] = row


def from_int8(x: "object", scales: "object") -> "object":
    """f32 [...] of quantised activations. (NumPy)"""
    import numpy as np

    halves = x.view(np.int8).reshape(-1, 16)
    return (halves * scales.view(np.float32).reshape(-1, 2)[: len(halves), :1]).reshape(-1)


def dequantized(format: str, rows: int, cols: int, packed: "object") -> "object":
    """f32 [rows, cols] of a packed weight. (NumPy)"""
    blocks = unpack_planes(packing_of(format, rows, cols), packed)
    q = QUANT_TYPES[format]
    return q.dequantize(blocks.reshape(-1, q.block_bytes)).reshape(rows, cols)
