"""Known answers of what depends on what a slot keeps: see known.py."""

import math

from fanlight.kernels.convolve import Convolve, after
from fanlight.kernels.delta import Delta, sites
from fanlight.kernels.inputs import Row
from fanlight.kernels.known import SLOT, Grid, Known, applied, ends, wave, waves, write_operands
from fanlight.kernels.scan import Scan
from fanlight.kernels.shift import Shift
from fanlight.kernels.spec import Kernel
from fanlight.kernels.wkv import Wkv


def known_convolve(kernel: Kernel, grid: Grid) -> Known:
    """Of a sequence that goes on."""
    p: Convolve = kernel.problem
    made, rows, before = Known(), min(grid[1], p.taps + 3), p.taps - 1
    made.inputs([Row(0, 9 + row, SLOT) for row in range(rows)], [], p.rows_at)
    made.writes.append(("w", 0, waves(2, p.channels * p.taps)))
    write_operands(made, after(p), range(rows))
    for row in range(rows):
        made.writes.append(("x", 4 * (row * p.x_stride + p.x_offset), waves(5 * row, p.channels)))
    for j in range(before):
        made.writes.append(("state", 4 * (SLOT * before + j) * p.channels, waves(5 * (j - before), p.channels)))
    for channel in ends(p.channels):
        for row in range(rows):
            taps = [wave(2 + channel * p.taps + j) * wave(5 * (row - before + j) + channel) for j in range(p.taps)]
            made.expect("y", row * p.y_stride + channel, *applied(after(p), [sum(taps)], [float(p.taps)], row, channel))
        for j in range(before):
            made.expect("state", (SLOT * before + j) * p.channels + channel, wave(5 * (rows - before + j) + channel))
    return made


def known_delta(kernel: Kernel, grid: Grid) -> Known:
    """Of a sequence that goes on, some columns of some heads."""
    p: Delta = kernel.problem
    made, rows, (decay, beta) = Known(), 3, sites(p)
    made.inputs([Row(0, 9 + row, SLOT) for row in range(rows)], [], p.rows_at)
    for row in range(rows):
        made.writes.append(("x", 4 * (row * p.x_stride + p.x_offset), waves(5 * row, 2 * p.keys + p.heads * p.value_dim)))
        made.writes.append(("decays", 4 * (row * p.decay_stride + p.decay_offset), waves(row, p.heads)))
        made.writes.append(("betas", 4 * (row * p.beta_stride + p.beta_offset), waves(2 * row + 7, p.heads)))
    for part in (decay, beta):
        write_operands(made, part, range(rows))
    for head in ends(p.heads):
        first = (SLOT * p.heads + head) * p.key_dim * p.value_dim
        made.writes.append(("state", 4 * first, waves(head, p.key_dim * p.value_dim)))
        for column in ends(p.value_dim):
            held = [wave(head + i * p.value_dim + column) for i in range(p.key_dim)]
            for row in range(rows):
                g, _ = applied(decay, [wave(row + head)], [], row, head)
                b, _ = applied(beta, [wave(2 * row + 7 + head)], [], row, head)
                q, k = (_unit([wave(5 * row + at + i) for i in range(p.key_dim)], p.eps) for at in _places(p, head))
                v = wave(5 * row + 2 * p.keys + head * p.value_dim + column)
                held = [g * value for value in held]
                change = b * (v - sum(map(float.__mul__, held, k)))
                held = [value + element * change for value, element in zip(held, k, strict=True)]
                y = sum(map(float.__mul__, held, q)) * p.key_dim**-0.5
                size = math.hypot(*held) + abs(change)
                made.expect("y", row * p.y_stride + head * p.value_dim + column, y, size)
            for i in ends(p.key_dim):
                made.expect("state", first + i * p.value_dim + column, held[i], size)
    return made


def _places(p: Delta, head: int) -> tuple[int, int]:
    """Where a head's q and k begin in a row."""
    at = p.key_head(head) * p.key_dim
    return at, p.keys + at


def _unit(values: list[float], eps: float) -> list[float]:
    length = math.sqrt(sum(value * value for value in values) + eps)
    return [value / length for value in values]


def known_scan(kernel: Kernel, grid: Grid) -> Known:
    """Of a sequence that goes on."""
    p: Scan = kernel.problem
    made, rows, group = Known(), min(grid[1], 3), p.groups * p.states
    made.inputs([Row(0, 9 + row, SLOT) for row in range(rows)], [], p.rows_at)
    made.writes.append(("a", 0, waves(4, p.heads * (p.states if p.is_own else 1))))
    made.writes.append(("d", 0, waves(6, p.heads)))
    made.writes.append(("state", 4 * SLOT * p.channels * p.states, waves(1, p.channels * p.states)))
    for row in range(rows):
        made.writes.append(("x", 4 * (row * p.x_stride + p.x_offset), waves(5 * row, p.channels)))
        made.writes.append(("dt", 4 * (row * p.dt_stride + p.dt_offset), waves(3 * row + 2, p.heads)))
        made.writes.append(("bc", 4 * (row * p.bc_stride + p.bc_offset), waves(7 * row, 2 * group)))
    for channel in ends(p.channels):
        head = channel // p.size
        at = head // (p.heads // p.groups) * p.states
        kept = [wave(1 + channel * p.states + n) for n in range(p.states)]
        for row in range(rows):
            x, dt = wave(5 * row + channel), wave(3 * row + 2 + head)
            for n in range(p.states):
                a = wave(4 + (head * p.states + n if p.is_own else head))
                kept[n] = math.exp(dt * (-math.exp(a) if p.is_log else a)) * kept[n] + dt * x * wave(7 * row + at + n)
            terms = [kept[n] * wave(7 * row + group + at + n) for n in range(p.states)] + [wave(6 + head) * x]
            made.expect("y", row * p.y_stride + channel, sum(terms), math.sqrt(sum(term * term for term in terms)) + 1)
        for n in ends(p.states):
            made.expect("state", (SLOT * p.channels + channel) * p.states + n, kept[n])
    return made


def known_shift(kernel: Kernel, grid: Grid) -> Known:
    """Of a sequence that goes on."""
    p: Shift = kernel.problem
    made, rows = Known(), min(grid[1], 3)
    made.inputs([Row(0, 9 + row, SLOT) for row in range(rows)], [], p.rows_at)
    made.writes.append(("state", 4 * SLOT * p.channels, waves(1, p.channels)))
    for row in range(rows):
        made.writes.append(("x", 4 * (row * p.x_stride + p.x_offset), waves(5 * row, p.channels)))
    for channel in ends(p.channels):
        for row in range(rows):
            before = wave(5 * (row - 1) + channel) if row else wave(1 + channel)
            made.expect("y", row * p.y_stride + channel, before)
        made.expect("state", SLOT * p.channels + channel, wave(5 * (rows - 1) + channel))
    return made


def known_wkv(kernel: Kernel, grid: Grid) -> Known:
    """Of a sequence that goes on, some columns of some heads."""
    p: Wkv = kernel.problem
    made, rows, c = Known(), 3, p.channels
    starts = {name: 3 * i for i, name in enumerate(p.places())}
    made.inputs([Row(0, 9 + row, SLOT) for row in range(rows)], [], p.rows_at)
    for row in range(rows):
        for name, (stride, offset, count) in p.places().items():
            made.writes.append((name, 4 * (row * stride + offset), waves(5 * row + starts[name], count)))
    for head in ends(p.heads):
        first = (SLOT * p.heads + head) * p.size * p.size
        made.writes.append(("state", 4 * first, waves(head, p.size * p.size)))
        for column in ends(p.size):
            held = [wave(head + i * p.size + column) for i in range(p.size)]
            for row in range(rows):
                at = [wave(5 * row + starts["v"] + head * p.size + column)]
                lines = [("rb", 0), ("rb", c), ("w", 0), ("k", 0), ("ka", 0), ("ka", c)]
                r, b, w, k, kappa, a = (
                    [wave(5 * row + starts[name] + start + head * p.size + i) for i in range(p.size)] for name, start in lines
                )
                given_up = sum(map(float.__mul__, held, kappa))
                size = math.hypot(*held) * (1 + math.hypot(*kappa)) + 1
                held = [
                    s * fade - rate * key * given_up + new * at[0]
                    for s, fade, rate, key, new in zip(held, w, a, kappa, k, strict=True)
                ]
                place = row * p.y_stride + head * p.size + column
                made.expect("y", place, sum(map(float.__mul__, held, r)), size * p.size**0.5)
                made.expect("y", place + c, at[0] * sum(map(float.__mul__, k, b)), p.size**0.5)
            for i in ends(p.size):
                made.expect("state", first + i * p.size + column, held[i], size)
    return made
