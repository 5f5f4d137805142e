"""Known answers of the kernels of models whose rows have several streams: see known.py."""

import math

from fanlight.kernels.blend import Blend
from fanlight.kernels.inputs import Row
from fanlight.kernels.known import Grid, Known, applied, ends, wave, waves, write_operands
from fanlight.kernels.rescale import Rescale
from fanlight.kernels.spec import Kernel


def known_blend(kernel: Kernel, grid: Grid) -> Known:
    p: Blend = kernel.problem
    made, rows = Known(), min(2, grid[1])
    made.inputs([Row(0, 0, 0)] * rows, [])
    write_operands(made, p.after, range(rows))
    for row in range(rows):
        made.writes.append(("x", 4 * (row * p.x[0] + p.x[1]), waves(row, p.of * p.columns)))
        made.writes.append(("shares", 4 * (row * p.shares[0] + p.shares[1]), waves(3 * row, p.count * p.of)))
        if p.also:
            made.writes.append(("also", 4 * (row * p.also[0] + p.also[1]), waves(5 * row, p.columns)))
        for j in sorted({0, p.count - 1}):
            for i in ends(p.columns):
                parts = [wave(3 * row + j * p.of + k) * wave(row + k * p.columns + i) for k in range(p.of)]
                other = wave(5 * row + i) if p.also and j else 0.0
                answer = applied(p.after, [sum(parts) + other], [float(p.of)], row, j * p.columns + i)
                made.expect("y", row * p.y_stride + j * p.columns + i, *answer)
    return made


def known_rescale(kernel: Kernel, grid: Grid) -> Known:
    p: Rescale = kernel.problem
    made, rows = Known(), min(2, grid[0])
    made.inputs([Row(0, 0, 0)] * rows, [])
    write_operands(made, p.after, range(rows))
    for row in range(rows):
        made.writes.append(("x", 4 * (row * p.x[0] + p.x[1]), waves(row, p.columns)))
        made.writes.append(("like", 4 * (row * p.like[0] + p.like[1]), waves(3 * row, p.like_size)))
        like = [wave(3 * row + i) for i in range(p.like_size)]
        mean = sum(like) / p.like_size if p.kind == "deviation" else 0.0
        size = math.sqrt(sum((v - mean) ** 2 for v in like) / p.like_size)
        for head in sorted({0, p.heads - 1}):
            own = [wave(row + head * p.size + i) for i in range(p.size)]
            scale = size / max(math.sqrt(sum(v * v for v in own) / p.size), p.least) if p.least else size
            for i in ends(p.size):
                column = head * p.size + i
                made.expect("y", row * p.y_stride + column, *applied(p.after, [own[i] * scale], [scale], row, column))
    return made
