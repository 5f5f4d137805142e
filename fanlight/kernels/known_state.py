"""Known answers of what depends on what a slot keeps: see known.py."""

from fanlight.kernels.convolve import Convolve
from fanlight.kernels.inputs import Row
from fanlight.kernels.known import SLOT, Grid, Known, ends, wave, waves
from fanlight.kernels.spec import Kernel


def known_convolve(kernel: Kernel, grid: Grid) -> Known:
    """Of a sequence that goes on."""
    p: Convolve = kernel.problem
    made, rows, before = Known(), min(grid[1], p.taps + 3), p.taps - 1
    made.inputs([Row(0, 9 + row, SLOT) for row in range(rows)], [], p.rows_at)
    made.writes.append(("w", 0, waves(2, p.channels * p.taps)))
    for row in range(rows):
        made.writes.append(("x", 4 * (row * p.x_stride + p.x_offset), waves(5 * row, p.channels)))
    for j in range(before):
        made.writes.append(("state", 4 * (SLOT * before + j) * p.channels, waves(5 * (j - before), p.channels)))
    for channel in ends(p.channels):
        for row in range(rows):
            taps = [wave(2 + channel * p.taps + j) * wave(5 * (row - before + j) + channel) for j in range(p.taps)]
            made.expect("y", row * p.y_stride + channel, sum(taps), float(p.taps))
        for j in range(before):
            made.expect("state", (SLOT * before + j) * p.channels + channel, wave(5 * (rows - before + j) + channel))
    return made
