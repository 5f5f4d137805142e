"""Matrix times a few vectors: linear.py for 1 to 8 rows of activations.  What decoding spends its time in.

A workgroup stages the activations in workgroup memory, chunk by chunk; LANES threads share two rows of W (neighbours, or the
gate and the up row of one element), each taking every LANES-th group of 32 weights, so neighbouring lanes load neighbouring
16 bytes."""

from fanlight.kernels import linear
from fanlight.kernels.linear import Linear
from fanlight.kernels.spec import Kernel, ceil_div, kernel

MAX_COLUMNS = 8
GRID_X = 32768
MANY_WORKGROUPS = 512  # beyond that, more rows in each: every workgroup stages the activations anew
STAGED_GROUPS = 64  # groups of 32 activations in workgroup memory, over all columns: 8 KiB


def shape(p: Linear) -> tuple[int, int, int]:
    """(workgroup size, lanes per pair of rows, groups of K staged at a time)"""
    groups = p.packing.padded_cols // 32
    chunk = min(STAGED_GROUPS // p.rows, groups)
    lanes = 1 << (min(32, groups).bit_length() - 1)  # whatever the rows: lanes decide in which order a sum is made
    workgroup = 128 if p.rows <= 4 else 64
    while lanes > 8 and ceil_div(num_pairs(p), workgroup // lanes) > MANY_WORKGROUPS:
        lanes //= 2
    return workgroup, lanes, chunk


def num_pairs(p: Linear) -> int:
    return p.columns if p.is_paired else ceil_div(p.n, 2)


def make(p: Linear) -> Kernel:
    assert not p.gives_int8 and p.rope is None and p.splits == 1 and not p.is_int8, p
    workgroup, lanes, chunk = shape(p)
    constants = linear.constants(p) | {
        "COLS": p.rows,
        "WORKGROUP": workgroup,
        "LANES": lanes,
        "CHUNK": chunk,
        "GRID_X": GRID_X,
    }
    files = (
        *linear.weight_files(p.format),
        linear.x_file(p),
        "lib/rows_all.wgsl" if not p.is_sampled else "lib/rows_sampled.wgsl",
        "lib/pair_halves.wgsl" if p.is_paired else "lib/pair_rows.wgsl",
        "gemv.wgsl",
        "lib/dot_float.wgsl" if p.format in linear.IN_FLOATS else "lib/dot_quant.wgsl",
    )
    return kernel("gemv", linear.bindings(p), constants, files, format=p.format, problem=p, generated=linear.generated(p))


def grid(p: Linear) -> tuple[int, int, int]:
    workgroup, lanes, _ = shape(p)
    groups = ceil_div(num_pairs(p), workgroup // lanes)
    return (min(groups, GRID_X), ceil_div(groups, GRID_X), 1)


reference = linear.reference
