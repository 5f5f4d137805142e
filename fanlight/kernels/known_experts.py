"""Known answers of experts' products, of what chooses them and of what adds them up: see known.py."""

import math
from dataclasses import replace

from fanlight.kernels import gemm, linear, mix
from fanlight.kernels.inputs import Row
from fanlight.kernels.known import Grid, Known, applied, ends, wave, waves, write_operands
from fanlight.kernels.known_linear import Column, sparse, weight_rows, write_x
from fanlight.kernels.linear import Experts, Linear
from fanlight.kernels.route import Route
from fanlight.kernels.spec import Kernel

MOST_ROWS = 3  # of a step, of which something is known


def known_experts(kernel: Kernel, grid: Grid) -> Known:
    """Of the first rows, and of some of their experts."""
    p: Linear = kernel.problem
    e = p.experts
    assert e
    made = Known("shader-f16" in kernel.features)
    rows = min(p.rows, MOST_ROWS)
    chosen = [_experts_of(e, row) for row in range(rows)]
    is_tiled = kernel.stem.startswith("gemm")
    parts = _write_tile(made, kernel, e) if is_tiled else {(row, j) for row in range(rows) for j in (0, e.top_k - 1)}
    if e.choice:
        _write_choice(made, e.choice, chosen)
    elif not is_tiled:
        made.floats("route", 0, [v for experts in chosen for v in (*experts, *(_share(j) for j in range(e.top_k)))])
    picked = _columns(p)
    lines = {_line(p, row[j], r) for row in chosen for j in range(e.top_k) for i in picked for r in _rows_of(p, i)}
    if is_tiled:
        lines = {_line(p, e.first, r) for i in picked for r in _rows_of(p, i)}
    weight_rows(made, p.format, p.n * e.count, p.k, lines)
    _write_operands(made, p, rows)
    if e.form == "sum":
        for row in range(rows):
            _expect_sum(made, kernel, row, chosen[row], picked)
        return made
    for row, j in sorted(parts):
        expert = e.first if is_tiled else chosen[row][j]
        x = sparse(row + 2 * j if e.form == "own" else row, p.k)
        _write_x_part(made, kernel, row, j if e.form == "own" else 0, x)
        _expect_part(made, kernel, row * e.top_k + j, expert, Column(tuple(_before(p, x).items()), _rms(p, x), 0.0), picked)
    return made


def _experts_of(e: Experts, row: int) -> list[int]:
    """That a row meets, the best first."""
    if e.choice:
        return _best_of(e.choice, row)
    return [e.first + (3 * row + 2 * j + 1) % e.count for j in range(e.top_k)]


def _share(j: int) -> float:
    return 0.5 + j / 8


def _write_tile(made: Known, kernel: Kernel, e: Experts) -> set[tuple[int, int]]:
    """All that is known is in the first tile, of the weight's first expert; others have no parts."""
    p: Linear = kernel.problem
    height = gemm.TILE if kernel.stem == "gemm" else int(kernel.constant("TILE_M"))
    count = min(height, p.rows * e.top_k, 2 * e.top_k)
    made.words("order", 0, range(count))
    tiles = [e.first, 0, count] + [0, 0, 0] * (linear.num_tiles(p, height) - 1)
    made.words("order", p.rows * e.top_k, tiles)
    return {divmod(part, e.top_k) for part in (0, 1, count - 1) if part < count}


def _columns(p: Linear) -> list[int]:
    """Of an expert's part of y."""
    return ends(p.columns)


def _rows_of(p: Linear, column: int) -> list[int]:
    """Of an expert's weight."""
    return [column, column + p.n // 2] if p.is_paired else [column]


def _line(p: Linear, expert: int, row: int) -> int:
    """Of the whole weight."""
    e = p.experts
    assert e
    half = p.n // 2 if p.is_paired else p.n
    return (row // half * e.count + expert - e.first) * half + row % half


def _write_operands(made: Known, p: Linear, rows: int) -> None:
    e = p.experts
    assert e
    write_operands(made, linear.before(p), range(rows))
    if e.form == "sum":
        write_operands(made, linear.after(p), range(rows))
    else:
        write_operands(made, linear.after_of_experts(p), [0])


def _write_x_part(made: Known, kernel: Kernel, row: int, part: int, x: dict[int, float]) -> None:
    p: Linear = kernel.problem
    assert p.experts
    if p.experts.form == "each":
        return write_x(made, kernel, row, x)
    write_x(made, kernel, row * p.experts.top_k + part, x, replace(p, x_stride=p.k))


def _before(p: Linear, x: dict[int, float]) -> dict[int, float]:
    if p.prologue is None:
        return x
    return {i: applied(linear.before(p), [v], [], 0, i)[0] for i, v in x.items()}


def _rms(p: Linear, x: dict[int, float]) -> float:
    return 1.0 if p.norm_eps is None else 1 / math.sqrt(sum(v * v for v in x.values()) / p.k + p.norm_eps)


def _expect_part(made: Known, kernel: Kernel, part: int, expert: int, column: Column, picked: list[int]) -> None:
    p: Linear = kernel.problem
    name, kind = ("yq", "group") if "yq" in kernel.outputs else ("y", "int8" if p.gives_int8 else "f32")
    for i in picked:
        found = [column.dot(p.format, _line(p, expert, r)) for r in _rows_of(p, i)]
        site = linear.after_of_experts(p)
        value, scale = applied(site, [v for v, _ in found], [size for _, size in found], 0, expert * p.columns + i)
        made.expect(name, part * p.columns + i, value, scale, kind)


def _expect_sum(made: Known, kernel: Kernel, row: int, chosen: list[int], picked: list[int]) -> None:
    p: Linear = kernel.problem
    columns = []
    for j in range(len(chosen)):
        x = sparse(row + 2 * j, p.k)
        _write_x_part(made, kernel, row, j, x)
        columns.append(Column(tuple(x.items()), _share(j), 0.0))
    for i in picked:
        found = [column.dot(p.format, _line(p, expert, i)) for column, expert in zip(columns, chosen, strict=True)]
        total, size = sum(v for v, _ in found), sum(size for _, size in found)
        value, scale = applied(linear.after(p), [total], [size], row, i)
        made.expect("y", row * p.y_stride + i, value, scale)


def known_route(kernel: Kernel, grid: Grid) -> Known:
    """Of two rows, whose best experts are far apart from the others and from each other."""
    p: Route = kernel.problem
    made = Known()
    _write_choice(made, p, [_best_of(p, row) for row in range(min(2, grid[0]))])
    return made


def _best_of(p: Route, row: int) -> list[int]:
    per_group = p.experts // p.groups
    groups = [(row + g) % p.groups for g in range(p.top_groups)]
    return [g * per_group + i for i in range(per_group) for g in groups][: p.top_k]


def _write_choice(made: Known, p: Route, chosen: list[list[int]]) -> None:
    """Logits of rows that make them choose so, and their lines of `route`."""
    if p.has_bias:
        made.floats("bias", 0, [0.0] * p.experts)
    gain = [1 + e / 8 if p.has_gain else 1.0 for e in range(p.experts)]
    if p.has_gain:
        made.floats("gain", 0, gain)
    for row, best in enumerate(chosen):
        logits = [-20.0] * p.stride
        for n, expert in enumerate(best):
            logits[expert] = 4.0 - n / 4
        made.floats("logits", row * p.stride, logits)
        raw = [math.exp(v) if p.score == "softmax" else 1 / (1 + math.exp(-v)) for v in logits[: p.experts]]
        scores = [v / sum(raw) for v in raw] if p.score == "softmax" else raw
        total = sum(scores[expert] for expert in best) + p.eps if p.normalize else 1.0
        for n, expert in enumerate(best):
            made.expect("route", row * 2 * p.top_k + n, float(expert))
            scale = p.scale * gain[expert]
            made.expect("route", (row * 2 + 1) * p.top_k + n, scores[expert] / total * scale, scale)


def known_order(kernel: Kernel, grid: Grid) -> Known:
    """Two rows that choose the same experts, the last ones first."""
    parts, top_k, experts, tiles = (kernel.constant(n) for n in ("PARTS", "TOP_K", "EXPERTS", "TILES"))
    made, rows = Known(), min(2, parts // top_k)
    made.inputs([Row(0, 0, 0)] * rows, [])
    line = [float(experts - 1 - j) for j in range(top_k)] + [0.0] * top_k
    made.floats("route", 0, line * rows)
    for n in range(top_k):  # from the lowest expert on
        part = top_k - 1 - n
        for row in range(rows):
            made.expect("order", n * rows + row, row * top_k + part, kind="u32")
        for i, value in enumerate((experts - 1 - part, n * rows, n * rows + rows)):
            made.expect("order", parts + 3 * n + i, value, kind="u32")
    if top_k < tiles:
        made.expect("order", parts + 3 * top_k + 2, 0, kind="u32")
    return made


def known_mix(kernel: Kernel, grid: Grid) -> Known:
    columns, top_k, x_stride, stride = (kernel.constant(n) for n in ("COLUMNS", "TOP_K", "X_STRIDE", "Y_STRIDE"))
    made, site, rows = Known(), mix.site_of(columns, kernel.problem), min(2, grid[1])
    made.inputs([Row(0, 0, 0)] * rows, [])
    write_operands(made, site, range(rows))
    for row in range(rows):
        made.floats("route", row * 2 * top_k, [0.0] * top_k + [_share(j) for j in range(top_k)])
        for j in range(top_k):
            at = row * x_stride + j * columns
            made.writes.append(("x", 4 * at, waves(at, columns)))
        for i in ends(columns):
            total = sum(_share(j) * wave(row * x_stride + j * columns + i) for j in range(top_k))
            value, scale = applied(site, [total], [1.0], row, i)
            made.expect("y", row * stride + i, value, scale)
    return made
