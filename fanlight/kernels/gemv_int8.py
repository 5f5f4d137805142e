"""Matrix times a few vectors in integers: linear.py for 1 to 8 rows of activations and quantised weights.  What decoding
spends its time in.

A workgroup quantises the activations to i8 as it stages them, one scale to 16 values (half a group, as the finest formats have
it); LANES threads share ROWS rows of W, each taking every LANES-th group of 32 weights, so neighbouring lanes load neighbouring
16 bytes. Products are WGSL's dot4I8Packed, which GPUs have as one instruction (DP4A) and WebGPU offers everywhere.
What it costs in accuracy: docs/log.md."""

from dataclasses import dataclass, replace
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import linear, route
from fanlight.kernels.gemv import GRID_X, columns_of, grid_of
from fanlight.kernels.linear import Linear
from fanlight.kernels.rotary import POSITIONS
from fanlight.kernels.spec import Kernel, ceil_div, kernel

MANY_WORKGROUPS = 256
MAX_DECODED = 4  # columns of a step that decodes (compiler/program.py)
STAGED_BYTES = 12 << 10  # of activations in workgroup memory, over all columns, at most
FEWEST_SQUARES = 16  # sums of squares a column, of RMSNorm; two more words for each staged group
STAGED_GROUP = 48  # bytes of a staged group: 32 integers and two times (scale, sum)
WORKGROUP_BYTES = 16 << 10  # of workgroup memory, which every adapter has
HALVES_DIFFER = frozenset({"Q2_K", "Q3_K", "Q6_K", "NVFP4", "IQ2_S", "IQ2_XS", "IQ1_M"})
K_QUANTS = frozenset({"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"})  # their groups take many registers: one is loaded ahead
KEPT_PACKED = frozenset({"Q4_0", "Q4_0_BF16", "Q4_K", "Q6_K", "Q8_0", "IQ4_NL", "IQ4_XS", "MXFP4"}) | {
    f"{kind}_{size}" for kind in ("INT4", "INT8", "AFFINE4", "AFFINE8") for size in (32, 64, 128)
}  # between load and use


@dataclass(frozen=True, slots=True)
class Shape:
    """How the work is cut. A column's results must have a thread each: columns * rows / 2 <= lanes."""

    workgroup: int = 128  # threads
    lanes: int = 16  # threads that share rows
    rows: int = 2  # that share lanes; even
    depth: int = 2  # groups of each row that a lane has on their way
    subgroups: bool = False  # lanes add by shuffles; needs subgroups of at least `lanes`
    memory: int = WORKGROUP_BYTES  # of the workgroup, at most

    @property
    def pairs(self) -> int:
        """Of rows, in a workgroup."""
        return self.workgroup // self.lanes * self.rows // 2


@lru_cache(maxsize=64)
def default_shape(p: Linear, threads: int = 256, memory: int = WORKGROUP_BYTES) -> Shape:
    """Few rows of W want many lanes each, many few; those of experts workgroups that are small, as there are few: docs/log.md.
    threads: of a workgroup, at most; memory: its bytes."""
    groups = p.groups
    lanes = 16 if p.is_paired else 8 if p.n > 32768 else 32
    lanes = max(MAX_DECODED, min(lanes, 1 << (groups.bit_length() - 1)))
    depth = 1 if p.experts or p.format in K_QUANTS else min(2, ceil_div(groups, lanes))
    if p.experts and p.experts.form == "sum":
        threads = min(threads, 128)
    usual = Shape(threads, lanes, 2, depth, False, memory)
    return beside(p, replace(usual, rows=4) if p.is_paired and columns_of(p) == 1 and not _is_narrow(p, usual) else usual)


def _is_narrow(p: Linear, shape: Shape) -> bool:
    """Whether workgroups of twice as many rows would be too few to fill a large GPU. Elements still come in runs of 16."""
    workgroups = ceil_div(p.columns, 2 * shape.pairs) * (p.experts.top_k if p.experts else 1)
    return workgroups < MANY_WORKGROUPS and shape.pairs % 16 == 0


def beside(p: Linear, one: Shape) -> Shape:
    """The shape for p's columns where one column's is `one`, whose lanes it keeps, since they decide in which order a sum is
    made: a row's result does not depend on how many others there are. (More than steps decode have lanes of their own.)"""
    columns = columns_of(p)
    lanes = one.lanes if columns <= MAX_DECODED else max(columns, one.lanes)
    wide = replace(one, workgroup=min(one.workgroup, 256 if columns <= 4 else 128), lanes=lanes)
    few = max(columns, min(8, lanes))
    narrow = replace(wide, workgroup=64, rows=2)
    narrower = (replace(wide, workgroup=64), narrow, replace(narrow, depth=1), replace(narrow, lanes=few, depth=1))
    return next((shape for shape in (wide, *narrower) if chunk(p, shape)), narrower[-1])


def may_give_int8(p: Linear, shape: Shape) -> bool:
    """Whether a workgroup's elements are whole runs of 16."""
    return (
        p.is_paired
        and p.row_offset % 16 == 0
        and p.format not in linear.IN_FLOATS
        and p.columns % 32 == 0
        and shape.pairs % 16 == 0
    )


def chunk(p: Linear, shape: Shape) -> int:
    """Groups of K that are staged at a time: all, or whole rounds of loads; 0 where the lanes' sums leave no room for one."""
    sets, columns = shape.workgroup // shape.lanes, columns_of(p)
    sums = 4 * columns * shape.rows * (sets if shape.subgroups else shape.workgroup + sets)
    elements = 4 * columns * shape.pairs if p.is_paired else 0
    squares = 4 * columns * (1 if p.norm_eps is None else FEWEST_SQUARES)
    choice = route.workgroup_bytes(p.experts.choice, shape.workgroup) if p.experts and p.experts.choice else 0
    room = (shape.memory - sums - elements - squares - choice) // columns // (STAGED_GROUP + (0 if p.norm_eps is None else 8))
    groups, step = p.groups, shape.lanes * shape.depth
    most = min(room, max(step, STAGED_BYTES // STAGED_GROUP // columns))
    return groups if groups <= most else most // step * step


@lru_cache(maxsize=64)
def make(p: Linear, shape: Shape | None = None) -> Kernel:
    shape = shape or default_shape(p)
    assert not p.gives_int8 or (p.is_paired and p.columns % 16 == p.row_offset % 16 == shape.pairs % 16 == 0), (
        "scales are of 16"
    )
    constants = linear.constants(p) | {
        "COLS": columns_of(p),
        "WORKGROUP": shape.workgroup,
        "LANES": shape.lanes,
        "ROWS": shape.rows,
        "DEPTH": shape.depth,
        "CHUNK": chunk(p, shape),
        "SQUARES": 1 if p.norm_eps is None else max(FEWEST_SQUARES, 2 * chunk(p, shape)),
        "GRID_X": GRID_X,
    }
    features = ("subgroups",) if shape.subgroups else ()
    return kernel("gemv_int8", linear.bindings(p), constants, _files(p, shape), features, p.format, p, linear.generated(p))


def _files(p: Linear, shape: Shape) -> tuple[str, ...]:
    return (
        *linear.weight_files(p.format),
        *(() if p.format in KEPT_PACKED else ("lib/raw_group.wgsl",)),
        *linear.rows_files(p, columns_of(p)),
        *_finish(p),
        "lib/lanes_subgroup.wgsl" if shape.subgroups else "lib/lanes_shared.wgsl",
        "lib/int8.wgsl",
        "lib/dot_int8_half.wgsl" if p.format in HALVES_DIFFER else "lib/dot_int8_group.wgsl",
        *_stage(p),
        "gemv_int8.wgsl",
    )


def _stage(p: Linear) -> tuple[str, ...]:
    if p.is_int8:
        return ("lib/stage_int8.wgsl",)
    whole = "lib/x16_whole.wgsl" if p.is_vec4 else "lib/x16_scalar.wgsl"
    return ("lib/x16_splits.wgsl" if p.splits > 1 else whole, "lib/stage_float.wgsl")


def _finish(p: Linear) -> tuple[str, ...]:
    if p.rope:
        return (
            "lib/row.wgsl",
            "lib/kv.wgsl",
            *p.rope.kv.writes,
            "lib/sincos.wgsl",
            POSITIONS[p.rope.by],
            "lib/finish_rope.wgsl",
        )
    if p.is_paired:
        return ("lib/finish_halves.wgsl", "lib/halves_int8.wgsl" if p.gives_int8 else "lib/halves_float.wgsl")
    return ("lib/finish_rows.wgsl",)


def grid(p: Linear, shape: Shape | None = None) -> tuple[int, int, int]:
    pairs = p.columns if p.is_paired else ceil_div(p.n, 2)
    return grid_of(p, ceil_div(pairs, (shape or default_shape(p)).pairs))


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    linear.reference(kernel, arrays, grid, (lambda x: x) if kernel.problem.is_int8 else quantized)


def quantized(x: Array) -> Array:
    """What is left of activations [rows, k] as i8 with one scale to 16. (NumPy)"""
    import numpy as np

    rows, k = x.shape
    halves = np.zeros((rows, -(-k // 16) * 16), np.float32)
    halves[:, :k] = x
    halves = halves.reshape(rows, -1, 16)
    top = abs(halves).max(axis=2, keepdims=True)
    by = np.divide(np.float32(127), top, out=np.zeros_like(top), where=top > 0)
    return (np.round(halves * by).astype(np.float64) * (top / 127)).reshape(rows, -1)[:, :k]
