"""What gemv.py and gemm.py share: y = x W^T with what is fused around it, its bindings, constants and NumPy reference.

x' = prologue(x)                   elementwise; of an RMSNorm its weight: the product is scaled by 1/rms(x) afterwards
v  = x' W^T                        W dequantised on the fly
y  = epilogue(v), or epilogue(v_gate, v_up) where W's rows are two halves
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.formats.quant import QUANT_TYPES, table_of
from fanlight.kernels import fused, order, route
from fanlight.kernels.expressions import Fused, is_linear
from fanlight.kernels.fused import Site, site
from fanlight.kernels.inputs import HEADER_WORDS
from fanlight.kernels.packing import Packing, pack, unpack_planes
from fanlight.kernels.rotary import Rope, turn_and_append
from fanlight.kernels.route import Route
from fanlight.kernels.spec import Kernel, ceil_div, round_up

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
class Experts:
    """Whose weights W [count*n, k] are: `count` of all experts, from `first` on, one below the other; where rows are paired,
    the upper halves of all and then the lower ones. A row of x meets top_k of all experts: its line of `route` has their
    numbers as floats, and then their shares (route.py).

    each: x [T, k] is for all of a row's experts, and y [T, top_k*columns] has a part for each. own: x [T, top_k*k] has a part
    for each as well. sum: likewise, and y [T, columns] is the sum of all by their shares."""

    count: int
    of: int  # in all
    top_k: int
    first: int = 0
    form: str = "each"
    choice: Route | None = None  # that the product makes as it begins, where it has all experts: it leaves `route` too

    def __post_init__(self) -> None:
        assert self.form in ("each", "own", "sum"), self.form
        assert self.choice is None or (self.form, self.count) == ("each", self.of), self


@dataclass(frozen=True, slots=True)
class Linear:
    """One product. Strides and offsets count f32 elements of activation rows."""

    format: str
    n: int  # rows of W, or of each expert's
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
    experts: Experts | None = None

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
        if self.experts:
            assert self.rope is None and self.splits == 1 and not self.is_sampled and self.x_offset == self.row_offset == 0, (
                self
            )
            assert self.experts.form == "each" or self.k % 32 == 0, "parts of x are whole groups"
            assert self.experts.form == "sum" or self.columns % 4 == 0, "parts of y are whole vec4"

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
        return packing_of(self.format, self.n * (self.experts.count if self.experts else 1), self.k)

    @property
    def x_columns(self) -> int:
        """Of a row of x."""
        return self.k * (self.experts.top_k if self.experts and self.experts.form != "each" else 1)

    @property
    def groups(self) -> int:
        """Of 32 elements that one result is a sum over."""
        groups = self.packing.padded_cols // 32
        return groups * (self.experts.top_k if self.experts and self.experts.form == "sum" else 1)

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
    return made | ({"grid": "array<u32>"} if QUANT_TYPES[format].table else {})


def constant_contents(format: str) -> dict[str, bytes]:
    """Of a weight's bindings those that are the same for every weight."""
    return {"grid": table} if (table := table_of(format)) else {}


def weight_files(format: str) -> tuple[str, ...]:
    group = "lib/group_float.wgsl" if format in IN_FLOATS else "lib/group_quant.wgsl"
    if sized := SIZED.fullmatch(format):
        return (group, f"lib/block_{sized[2]}.wgsl", f"lib/unpack_{sized[1].lower()}.wgsl")
    return (group, *EXTRA.get(format, ()), f"lib/unpack_{format.lower()}.wgsl")


def bindings(p: Linear) -> dict[str, str]:
    x = {"x": "array<vec4<u32>>", "x_scales": "array<vec2<f32>>"}
    made = weight_bindings(p.format) | (x if p.is_int8 else {"x": "array<vec4<f32>>" if p.is_vec4 else "array<f32>"})
    made |= _route_bindings(p.experts) if p.experts else {"inputs": "array<u32>"}
    made |= {"x_state": "array<vec2<f32>>"} if p.splits > 1 else {}
    made |= fused.bindings(before(p), after(p))
    if p.rope:
        cache = f"+array<{p.rope.kv.type.written}>"
        return made | {"block_table": "array<u32>", "inv_freq": "array<f32>", "kv": cache, "q": "+array<f32>"}
    return made | ({"y": "+array<vec4<u32>>", "y_scales": "+array<vec2<f32>>"} if p.gives_int8 else {"y": "+array<f32>"})


def _route_bindings(e: Experts) -> dict[str, str]:
    return route.bindings(e.choice) if e.choice else {"route": "array<f32>"}


def tile_bindings(p: Linear) -> dict[str, str]:
    """For products of many rows."""
    made = bindings(p)
    return made if p.experts is None else {n: t for n, t in made.items() if n != "route"} | {"order": "array<u32>"}


def constants(p: Linear) -> dict[str, int | float]:
    return (
        p.packing.constants()
        | {
            "N": p.n,
            "K": p.x_columns if p.experts and p.experts.form == "sum" else p.k,
            "GROUPS": p.groups,
            "X_STRIDE": p.k if p.experts and p.experts.form == "own" else p.x_stride,
            "X_OFFSET": p.x_offset,
            "Y_STRIDE": p.columns if p.experts and p.experts.form != "sum" else p.y_stride,
            "ROW_OFFSET": p.row_offset,
            "EPS": p.norm_eps or 0.0,
            "SAMPLES_AT": HEADER_WORDS,
            **({"SPLITS": p.splits, "D": p.head_dim} if p.splits > 1 else {}),
        }
        | (p.rope.constants() if p.rope else {})
        | _expert_constants(p)
    )


def _expert_constants(p: Linear) -> dict[str, int | float]:
    if p.experts is None:
        return {}
    e, groups = p.experts, p.packing.padded_cols // 32
    half = p.n // 2 if p.is_paired else p.n  # rows that lie together
    made: dict[str, int | float] = {
        "EXPERTS": e.count,
        "FIRST": e.first,
        "TOP_K": e.top_k,
        "EXPERT_ROWS": half,
        "EXPERT_GROUPS": groups,
    }
    return made | {"TILES_AT": p.rows * e.top_k} | (route.constants(e.choice) if e.choice else {})


def rows_files(p: Linear, columns: int) -> tuple[str, ...]:
    """For products of vectors, so many at once: whose row of x and of y a column is, and whose weights."""
    if p.experts is None:
        rows = "sampled" if p.is_sampled else "all" if p.rows <= columns else "blocks"
        return (f"lib/rows_{rows}.wgsl", "lib/one_weight.wgsl")
    forms = {"each": ("experts", "experts_each"), "own": ("experts", "experts_own"), "sum": ("experts_sum",)}
    if p.experts.choice:
        return (route.CHOOSE, "lib/experts.wgsl", "lib/experts_chosen.wgsl")
    return tuple(f"lib/{stem}.wgsl" for stem in forms[p.experts.form])


def tile_files(p: Linear) -> tuple[str, ...]:
    """For products of many rows."""
    if p.experts is None:
        return ("lib/span_step.wgsl",)
    return ("lib/experts.wgsl", "lib/span_experts.wgsl", f"lib/span_{p.experts.form}.wgsl")


def num_tiles(p: Linear, height: int) -> int:
    """Of so many rows each; of experts, whose last ones are short, at most."""
    return order.num_tiles(p.rows * p.experts.top_k, p.experts.of, height) if p.experts else ceil_div(p.rows, height)


def x_file(p: Linear) -> str:
    return "lib/x_vec4.wgsl" if p.is_vec4 else "lib/x_scalar.wgsl"


def before(p: Linear) -> Site:
    return site("prologue", p.prologue, p.k, "columns")


def after(p: Linear, lanes: str = "one") -> Site:
    return site("epilogue", p.epilogue, p.row_offset + p.columns, lanes)


def after_of_experts(p: Linear) -> Site:
    """Whose columns are those of all experts: operands have a part for each."""
    assert p.experts
    return replace(after(p), columns=p.experts.of * p.columns)


def generated(p: Linear) -> str:
    """For products of few rows."""
    choice = route.generated(p.experts.choice) if p.experts and p.experts.choice else ""
    return choice + f"const NORMALIZE = {str(p.norm_eps is not None).lower()};\n" + fused.wgsl(before(p), after(p))


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
    if p.experts:
        return _experts_reference(p, arrays, rounded, grid[1])

    w = dequantized(p.format, p.n, p.k, arrays["w"]).astype(np.float64)
    inputs = arrays["inputs"].view(np.uint32)
    num_rows = int(inputs[0])
    if p.is_sampled:
        picked = [min(int(inputs[HEADER_WORDS + 16 * c]), num_rows - 1) for c in range(p.rows)]
    else:
        has_all = kernel.stem.startswith("gemm") or p.rows > kernel.constant("COLS")
        picked = list(range(min(num_rows, p.rows) if has_all else p.rows))
    if kernel.stem == "gemm" and not (
        p.is_int8 or p.gives_int8 or p.splits > 1
    ):  # whose last tile may be for rows that nobody has
        held = min(arrays["x"].nbytes // 4 // p.x_stride, arrays["y"].nbytes // 4 // p.y_stride)
        picked = [row for row in picked if row < held]
    starts = [row * p.x_stride + p.x_offset for row in picked]
    x = _x_of(p, arrays, max(starts) + p.k)
    x = np.stack([x[start : start + p.k] for start in starts]).astype(np.float64)
    rms = 1.0 if p.norm_eps is None else np.sqrt(np.mean(x * x, axis=1, keepdims=True) + p.norm_eps)
    x = fused.apply(before(p), arrays, [x], picked, np.arange(p.k))
    y = rounded(x) @ w.T / rms
    keep(p, arrays, y)


def _experts_reference(p: Linear, arrays: dict[str, Array], rounded: Callable[[Array], Array], tiles: int) -> None:
    import numpy as np

    e = p.experts
    assert e
    if e.choice:
        route.write_route(e.choice, arrays, p.rows)
    w = dequantized(p.format, p.n * e.count, p.k, arrays["w"]).astype(np.float64)
    w = w.reshape(2, e.count, p.n // 2, p.k).swapaxes(0, 1) if p.is_paired else w
    w = w.reshape(e.count, p.n, p.k)
    x = _x_of(p, arrays, p.rows * p.x_stride)[: p.rows * p.x_stride].reshape(p.rows, -1)[:, : p.x_columns].astype(np.float64)
    rms = 1.0 if p.norm_eps is None else np.sqrt(np.mean(x * x, axis=1, keepdims=True) + p.norm_eps)
    x = rounded(fused.apply(before(p), arrays, [x], np.arange(p.rows), np.arange(p.x_columns)) / rms)
    x = np.broadcast_to(x[:, None], (p.rows, e.top_k, p.k)) if e.form == "each" else x
    x = x.reshape(p.rows * e.top_k, p.k)
    chosen = [
        (part, expert - e.first, share) for part, expert, share in _chosen(p, arrays, tiles) if 0 <= expert - e.first < e.count
    ]
    if e.form == "sum":
        total = np.zeros((p.rows, p.n))
        for part, expert, share in chosen:
            total[part // e.top_k] += share * (w[expert] @ x[part])
        return keep(p, arrays, total)
    for part, expert, _ in chosen:
        y = (w[expert] @ x[part])[None]
        values = np.split(y, 2, axis=1) if p.is_paired else [y]
        columns = (e.first + expert) * p.columns + np.arange(p.columns)
        _write_part(p, arrays, part, fused.apply(after(p), arrays, values, [0], columns))


def _chosen(p: Linear, arrays: dict[str, Array], tiles: int) -> list[tuple[int, int, float]]:
    """Part, expert and share, by `route`, or by the tiles of `order` where rows are many."""
    import numpy as np

    e = p.experts
    assert e
    if "route" in arrays:
        lines = arrays["route"].view(np.float32)[: p.rows * 2 * e.top_k].reshape(p.rows, 2, e.top_k).swapaxes(0, 1)
        experts, shares = lines.reshape(2, -1)
        numbers = np.clip(np.nan_to_num(experts), 0, e.of - 1).astype(int)  # rows that a step does not have hold anything
        return [(part, int(expert), share) for part, (expert, share) in enumerate(zip(numbers, shares, strict=True))]
    words, parts = arrays["order"].view(np.uint32), p.rows * e.top_k
    table = words[parts : parts + 3 * tiles].reshape(-1, 3)
    return [(int(words[i]), int(expert), 1.0) for expert, first, end in table for i in range(first, end)]


def _write_part(p: Linear, arrays: dict[str, Array], part: int, y: Array) -> None:
    import numpy as np

    at = part * p.columns
    if p.gives_int8:
        to_int8(y, arrays["y"][at:], arrays["y_scales"][at // 2 :], p.columns)
    else:
        arrays["y"].view(np.float32)[at : at + p.columns] = y[0]


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
