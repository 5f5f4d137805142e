"""Matrix times a few vectors in integers: linear.py for 1 to 8 rows of activations and quantised weights.  What decoding
spends its time in.

A workgroup quantises the activations to i8 as it stages them, one scale to 16 values (half a group, as the finest formats have
it); LANES threads share ROWS rows of W, each taking every LANES-th group of 32 weights, so neighbouring lanes load neighbouring
16 bytes. Products are WGSL's dot4I8Packed, which GPUs have as one instruction (DP4A) and WebGPU offers everywhere.
What it costs in accuracy: docs/log.md."""

from dataclasses import dataclass

from fanlight.kernels import linear
from fanlight.kernels.linear import Linear
from fanlight.kernels.spec import Kernel, ceil_div, kernel

MAX_COLUMNS = 8
GRID_X = 32768
STAGED_BYTES = 12 << 10  # of activations in workgroup memory, over all columns
STAGED_GROUP = 48  # bytes of a staged group: 32 integers and two times (scale, sum)
HALVES_DIFFER = frozenset({"Q2_K", "Q3_K", "Q6_K"})


@dataclass(frozen=True, slots=True)
class Shape:
    """How the work is cut: threads of a workgroup, lanes that share rows, rows that share lanes (even)."""

    workgroup: int = 128
    lanes: int = 16
    rows: int = 2
    subgroups: bool = False  # lanes add by shuffles; needs subgroups of at least `lanes`


def default_shape(p: Linear) -> Shape:
    groups = p.packing.padded_cols // 32
    lanes = min(16, 1 << (min(groups, chunk(p)).bit_length() - 1))
    return Shape(128 if p.rows <= 4 else 64, lanes, 2)


def chunk(p: Linear) -> int:
    """Groups of K that are staged at a time: all, or a multiple of 32."""
    most = STAGED_BYTES // STAGED_GROUP // p.rows
    groups = p.packing.padded_cols // 32
    return groups if groups <= most else most // 32 * 32


def make(p: Linear, shape: Shape | None = None) -> Kernel:
    shape = shape or default_shape(p)
    constants = linear.constants(p) | {
        "COLS": p.rows,
        "WORKGROUP": shape.workgroup,
        "LANES": shape.lanes,
        "ROWS": shape.rows,
        "CHUNK": chunk(p),
        "GRID_X": GRID_X,
    }
    files = (
        *linear.weight_files(p.format),
        *linear.fused_files(p),
        "lib/rows_all.wgsl" if not p.is_sampled else "lib/rows_sampled.wgsl",
        "lib/norm_none.wgsl" if p.norm_eps is None else "lib/norm_rms.wgsl",
        "lib/pair_glu.wgsl" if p.is_glu else "lib/pair_rows.wgsl",
        "lib/lanes_subgroup.wgsl" if shape.subgroups else "lib/lanes_shared.wgsl",
        "lib/int8.wgsl",
        "lib/dot_int8_half.wgsl" if p.format in HALVES_DIFFER else "lib/dot_int8_group.wgsl",
        "gemv_int8.wgsl",
        "lib/stage_int8.wgsl" if p.is_int8 else "lib/stage_float.wgsl",
    )
    features = ("subgroups",) if shape.subgroups else ()
    return kernel("gemv_int8", linear.bindings(p), constants, files, features, format=p.format, problem=p)


def grid(p: Linear, shape: Shape | None = None) -> tuple[int, int, int]:
    shape = shape or default_shape(p)
    pairs = p.n // 2 if p.is_glu else ceil_div(p.n, 2)
    groups = ceil_div(pairs, shape.workgroup // shape.lanes * shape.rows // 2)
    return (min(groups, GRID_X), ceil_div(groups, GRID_X), 1)


def reference(kernel: Kernel, arrays: dict, grid: tuple[int, int, int]) -> None:
    linear.reference(kernel, arrays, grid, (lambda x: x) if kernel.problem.is_int8 else quantized)


def quantized(x: "object") -> "object":
    """What is left of activations [rows, k] as i8 with one scale to 16. (NumPy)"""
    import numpy as np

    rows, k = x.shape
    halves = np.zeros((rows, -(-k // 16) * 16), np.float32)
    halves[:, :k] = x
    halves = halves.reshape(rows, -1, 16)
    top = abs(halves).max(axis=2, keepdims=True)
    by = np.divide(np.float32(127), top, out=np.zeros_like(top), where=top > 0)
    return (np.round(halves * by).astype(np.float64) * (top / 127)).reshape(rows, -1)[:, :k]
