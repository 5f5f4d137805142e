"""Known answers of products (linear.py), whatever is fused around them: see known.py.

Rows of W repeat a few blocks whose values are known (known_weights.json); float rows are a pattern. All other rows are left as
they are."""

import base64
import json
import math
from array import array
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from fanlight.formats.quant import QUANT_TYPES
from fanlight.kernels import gemm_matrix, linear
from fanlight.kernels.expressions import is_linear
from fanlight.kernels.inputs import Row, Sample
from fanlight.kernels.known import (
    SHARE,
    SLOT,
    Known,
    applied,
    expect_turned,
    frequencies,
    rope_heads,
    wave,
    waves,
    write_operands,
    write_table,
)
from fanlight.kernels.linear import FLOATS, Linear, packing_of
from fanlight.kernels.packing import Packing
from fanlight.kernels.spec import Kernel

UNDERSTOOD = {
    *("format", "n", "k", "rows", "x_stride", "y_stride", "x_offset", "row_offset", "norm_eps", "prologue", "epilogue"),
    *("is_sampled", "is_int8", "gives_int8", "rope", "splits", "head_dim", "experts"),
}  # fields of Linear
MOST_ROWS = 67  # of a step: two tiles of 64
CODES = {"F32": "f", "F16": "e", "BF16": "f"}


# --- weights ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Blocks:
    blocks: tuple[bytes, ...]
    values: tuple[float, ...]


@cache
def _known_blocks() -> dict[str, _Blocks]:
    found = json.loads((Path(__file__).parent / "known_weights.json").read_text())
    return {format: _read_blocks(format, texts) for format, texts in found.items()}


def _read_blocks(format: str, texts: dict[str, str]) -> _Blocks:
    raw, size = base64.b64decode(texts["blocks"]), QUANT_TYPES[format].block_bytes
    blocks = tuple(raw[i : i + size] for i in range(0, len(raw), size))
    return _Blocks(blocks, tuple(array("f", base64.b64decode(texts["values"]))))


def weight_value(format: str, row: int, col: int) -> float:
    """W[row, col], where weight_rows wrote the row."""
    if format in FLOATS:
        return wave(3 * row + col)
    known, elems = _known_blocks()[format], QUANT_TYPES[format].block_elems
    return known.values[(row + col // elems) % len(known.blocks) * elems + col % elems]


def weight_rows(made: Known, format: str, n: int, k: int, rows: set[int]) -> None:
    """Writes these rows of a packed weight, and what kernels read beside it."""
    for binding, data in linear.constant_contents(format).items():
        made.writes.append((binding, 0, data))
    packing = packing_of(format, n, k)
    runs: list[list[int]] = []
    for row in sorted(rows):
        if runs and runs[-1][-1] == row - 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    for run in runs:
        for plane in range(len(packing.planes)):
            data = b"".join(_plane_row(packing, format, plane, row, k) for row in run)
            start = packing.planes[plane].offset + run[0] * packing.row_blocks * packing.planes[plane].unit
            front = start % 4
            data = bytes(front) + data
            made.writes.append(("w", start - front, data + bytes(-len(data) % 4)))


def _plane_row(packing: Packing, format: str, index: int, row: int, k: int) -> bytes:
    plane = packing.planes[index]
    if format in FLOATS:
        data = waves(3 * row, k, CODES[format])
        if format == "BF16":
            data = b"".join(data[i + 2 : i + 4] for i in range(0, len(data), 4))
        return data + bytes(plane.unit - len(data))
    blocks = _known_blocks()[format].blocks
    period = b"".join(blocks[(row + b) % len(blocks)][plane.file_offset :][: plane.unit] for b in range(len(blocks)))
    return (period * (packing.row_blocks // len(blocks) + 1))[: packing.row_blocks * plane.unit]


# --- activations -----------------------------------------------------------------------------------------------------
def sparse(column: int, k: int) -> dict[int, float]:
    """One value to a group of 32."""
    places = ((g, 32 * g + (11 * g + 5 * column + 3) % 32) for g in range(-(-k // 32)))
    return {at: (0.5 + (3 * g + column) % 7 / 4) * (1 - 2 * (g % 2)) for g, at in places if at < k}


def write_x(made: Known, kernel: Kernel, row: int, x: dict[int, float], of: Linear | None = None) -> None:
    """of: whose rows of x they are, if not as the kernel's problem says."""
    p: Linear = of or kernel.problem
    at = row * p.x_stride + p.x_offset
    names = {binding.name for binding in kernel.bindings}
    if p.splits > 1:
        return _write_parts(made, p, row, x)
    if "x_scales" in names or "xq" in names:
        return _write_int8(made, p, row, x, "xq" in names)
    made.floats("x", at, [x.get(i, 0.0) for i in range(p.k)])


def _write_int8(made: Known, p: Linear, row: int, x: dict[int, float], is_gemm: bool) -> None:
    """gemv_int8.py: 16 to a (scale, scale times sum); gemm_int8.py: 32 to a scale."""
    run = 32 if is_gemm else 16
    q, tops = bytearray(p.k), [0.0] * (p.k // run)
    sums = tops.copy()
    for i, value in x.items():
        q[i] = 127 if value > 0 else 129
        tops[i // run], sums[i // run] = abs(value) / 127, value
    if is_gemm:
        made.writes.append(("xq", row * p.k, bytes(q)))
        made.floats("xd", row * len(tops), tops)
        return
    at = row * p.x_stride + p.x_offset
    made.writes.append(("x", at, bytes(q)))
    made.floats("x_scales", at // 8, [v for pair in zip(tops, sums, strict=True) for v in pair])


def _write_parts(made: Known, p: Linear, row: int, x: dict[int, float]) -> None:
    """As attention's splits leave it: each group's value comes from one of them."""
    weights = [math.exp(-s / 2) for s in range(p.splits)]
    heads = p.k // p.head_dim
    for head in range(heads):
        at = (row * heads + head) * p.splits
        made.floats("x_state", 2 * at, [v for s in range(p.splits) for v in (-s / 2, 1.0)])
        values = [0.0] * (p.splits * p.head_dim)
        for i in range(head * p.head_dim, (head + 1) * p.head_dim):
            if i in x:
                split = i // 32 % p.splits
                values[split * p.head_dim + i % p.head_dim] = x[i] * sum(weights) / weights[split]
        made.floats("x", at * p.head_dim, values)


# --- products --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Column:
    """A column's terms and 1/rms, so that dot products are sums over few. rounding: of a term, at most."""

    terms: tuple[tuple[int, float], ...]
    scale: float
    rounding: float

    def dot(self, format: str, row: int) -> tuple[float, float]:
        """The element of the product, and the size of what was added up."""
        weights = [(weight_value(format, row, i), x) for i, x in self.terms]
        size = sum(abs(w) * (abs(x) + self.rounding / SHARE) for w, x in weights)
        return sum(w * x for w, x in weights) * self.scale, size * self.scale


def known_linear(kernel: Kernel, grid: tuple[int, int, int]) -> Known | None:
    p: Linear = kernel.problem
    if {f.name for f in fields(p)} - UNDERSTOOD:
        return None
    made = Known("shader-f16" in kernel.features)
    count = p.rows if p.rows <= 8 else min(p.rows, MOST_ROWS)
    columns = sorted({0, count // 2, count - 1})
    _write_inputs(made, p, count)
    write_operands(made, linear.before(p), sorted(count - 1 - c if p.is_sampled else c for c in columns))
    write_operands(made, linear.after(p), columns)
    rows = _rows(p)
    weight_rows(made, p.format, p.n, p.k, {row for pair in rows for row in pair})
    for c in columns:
        x = sparse(c, p.k)
        write_x(made, kernel, count - 1 - c if p.is_sampled else c, x)
        scale = 1.0 if p.norm_eps is None else 1 / math.sqrt(sum(v * v for v in x.values()) / p.k + p.norm_eps)
        x, rounding = _before(kernel, count - 1 - c if p.is_sampled else c, x)
        for ranges, some in _by_ranges(kernel, c, rows).items():
            for part, (start, end) in enumerate(ranges):
                column = Column(tuple((i, v) for i, v in x.items() if start <= i < end), scale, rounding)
                _expect(made, p, part * p.rows + c, column, some, kernel.outputs)
    return made


def _before(kernel: Kernel, row: int, x: dict[int, float]) -> tuple[dict[int, float], float]:
    """Activations as the prologue leaves them, and what quantising costs those that are not sparse any more."""
    p: Linear = kernel.problem
    if p.prologue is None:
        return x, 0.0
    stays_sparse = is_linear(p.prologue.expr)
    columns = x if stays_sparse else range(p.k)
    made = {i: applied(linear.before(p), [x.get(i, 0.0)], [], row, i)[0] for i in columns}
    return made, 0.0 if stays_sparse or kernel.stem != "gemv_int8" else max(map(abs, made.values())) / 254


def _by_ranges(kernel: Kernel, c: int, rows: list[tuple[int, ...]]) -> dict[tuple[tuple[int, int], ...], list[tuple[int, ...]]]:
    """Rows of W by what of K each part of their sums is over: all, but where gemm_matrix.py shares it out."""
    p: Linear = kernel.problem
    if kernel.stem != "gemm_matrix" or p.is_paired:
        return {((0, p.k),): rows}
    found: dict[tuple[tuple[int, int], ...], list[tuple[int, ...]]] = {}
    for row in rows:
        found.setdefault(gemm_matrix.ranges_at(p, kernel.constant("SHARE"), c, row[0]), []).append(row)
    return found


def _write_inputs(made: Known, p: Linear, count: int) -> None:
    if p.rope:
        made.inputs([Row(0, 4 + c, SLOT) for c in range(count)], [], p.rope.rows_at)
        write_table(made, p.rope.kv, 4 + count)
        made.floats("inv_freq", 0, frequencies(p.rope.kv, p.rope.num_pairs))
    else:
        samples = [Sample(count - 1 - c, 0) for c in range(count)] if p.is_sampled else []
        made.inputs([Row(0, 0, 0)] * count, samples)


def _rows(p: Linear) -> list[tuple[int, ...]]:
    """Rows of W whose products make one result: pairs where pairs do."""
    if p.is_paired:
        return [(i, i + p.n // 2) for i in sorted({0, 1, p.n // 4, p.n // 2 - 1})]
    if p.rope:
        d = p.rope.kv.head_dim
        firsts = [head * d + 2 * ((3 * head + 1) % (d // 2)) - p.row_offset for head in rope_heads(p.rope)]
        return [(r, r + 1) for r in firsts if 0 <= r < p.n]
    return [(r,) for r in sorted({0, min(1, p.n - 1), p.n // 2, max(0, p.n - 2), p.n - 1})]


def _expect(made: Known, p: Linear, c: int, column: Column, rows: list[tuple[int, ...]], outputs: tuple[str, ...]) -> None:
    name, kind = ("yq", "group") if "yq" in outputs else ("y", "int8" if p.gives_int8 else "f32")
    for group in rows:
        found = [column.dot(p.format, row) for row in group]
        if p.rope:
            _expect_turned(made, p, c, group, found)
            continue
        at = p.row_offset + group[0]
        value, scale = applied(linear.after(p), [v for v, _ in found], [size for _, size in found], c, at)
        made.expect(name, c * p.y_stride + at, value, scale, kind)


def _expect_turned(made: Known, p: Linear, c: int, group: tuple[int, ...], found: list[tuple[float, float]]) -> None:
    """A rotary pair."""
    assert p.rope
    pair = [applied(linear.after(p), [v], [], c, p.row_offset + row)[0] for row, (v, _) in zip(group, found, strict=True)]
    head, within = divmod(group[0] + p.row_offset, p.rope.kv.head_dim)
    expect_turned(made, p.rope, c, 4 + c, head, within // 2, (pair[0], pair[1]), sum(size for _, size in found))
