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
    groups = p.groups
    columns = columns_of(p)
    chunk = min(STAGED_GROUPS // columns, groups)
    lanes = 1 << (min(32, groups).bit_length() - 1)  # whatever the rows: lanes decide in which order a sum is made
    workgroup = 128 if columns <= 4 else 64
    while lanes > 8 and ceil_div(num_pairs(p), workgroup // lanes) > MANY_WORKGROUPS:
        lanes //= 2
    return workgroup, lanes, chunk


def num_pairs(p: Linear) -> int:
    return p.columns if p.is_paired else ceil_div(p.n, 2)


def make(p: Linear) -> Kernel:
    assert not p.gives_int8 and p.rope is None and p.splits == 1 and not p.is_int8, p
    workgroup, lanes, chunk = shape(p)
    constants = linear.constants(p) | {
        "COLS": columns_of(p),
        "WORKGROUP": workgroup,
        "LANES": lanes,
        "CHUNK": chunk,
        "GRID_X": GRID_X,
    }
    files = (
        *linear.weight_files(p.format),
        linear.x_file(p),
        *linear.rows_files(p, columns_of(p)),
        "lib/pair_halves.wgsl" if p.is_paired else "lib/pair_rows.wgsl",
        "gemv.wgsl",
        "lib/dot_float.wgsl" if p.format in linear.IN_FLOATS else "lib/dot_quant.wgsl",
    )
    return kernel("gemv", linear.bindings(p), constants, files, format=p.format, problem=p, generated=linear.generated(p))


def grid(p: Linear) -> tuple[int, int, int]:
    workgroup, lanes, _ = shape(p)
    return grid_of(p, ceil_div(num_pairs(p), workgroup // lanes))


def grid_of(p: Linear, groups: int) -> tuple[int, int, int]:
    """groups: of workgroups to a product, for each block of rows. Experts' are one for each row, or for each of its experts."""
    each = p.experts.top_k if p.experts and p.experts.form != "sum" else 1
    return (min(groups, GRID_X), ceil_div(groups, GRID_X), ceil_div(p.rows * each, columns_of(p)))


def columns_of(p: Linear) -> int:
    """That a workgroup multiplies at once: rows that meet experts have weights of their own; many are taken in blocks."""
    return 1 if p.experts else min(p.rows, MAX_COLUMNS)


reference = linear.reference
