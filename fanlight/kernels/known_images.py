"""Known answers of the kernels that take pictures in: see known.py."""

from fanlight.kernels.inputs import GRID_WIDTH, IMAGE_ROW_SHIFT, IMAGES_AT, PIXEL_SCALE, ROW_IS_IMAGE, ROW_WORDS, Row
from fanlight.kernels.known import Grid, Known, ends, wave, waves
from fanlight.kernels.patches import Patches
from fanlight.kernels.spec import Kernel
from fanlight.kernels.stretch import Stretch

SCALE, SHIFT = (0.5, 0.25, 0.125), (1.0, -2.0, 4.0)
COLOURS = (255, 0, 128), (32, 128, 255)  # of pixels in turns


def known_patches(kernel: Kernel, grid: Grid) -> Known:
    """Of a picture of two patches, the right one first."""
    p: Patches = kernel.problem
    made, side = Known(), p.patch
    made.inputs([Row(1, 0, 0), Row(0, 1, 0)][: grid[1]], [], p.rows_at)
    made.words("inputs", GRID_WIDTH, [2])
    made.floats("inputs", PIXEL_SCALE, [*SCALE, *SHIFT])
    pixels = bytes(COLOURS[0] + COLOURS[1]) * side * side
    made.writes.append(("pixels", 0, pixels + bytes(-len(pixels) % 4)))
    for row in range(min(grid[1], 2)):
        for column in ends(p.columns):
            channel, within = divmod(column, side * side)
            y, x = divmod(within, side)
            colour = COLOURS[(y * 2 * side + (1 - row) * side + x) % 2]
            made.expect("y", row * p.y_stride + column, colour[channel] * SCALE[channel] + SHIFT[channel])
    return made


def known_put_images(kernel: Kernel, grid: Grid) -> Known:
    """Of rows of which every other is a picture's, in turns its first and its second."""
    names = ("COLUMNS", "X_STRIDE", "X_OFFSET", "Y_STRIDE", "ROWS_AT", "IMAGES_STRIDE", "IMAGES_OFFSET")
    columns, x_stride, x_offset, y_stride, rows_at, step, part_at = (kernel.constant(name) for name in names)
    made, rows = Known(), min(grid[1], 5)
    made.inputs([Row(0, row, 0) for row in range(rows)], [], rows_at)
    for row in range(rows):
        if row % 2:
            made.words("inputs", rows_at + ROW_WORDS * row + 3, [ROW_IS_IMAGE | row // 2 << IMAGE_ROW_SHIFT])
        made.writes.append(("x", 4 * (row * x_stride + x_offset), waves(5 * row, columns)))
    for image in range(2):
        made.writes.append(("images", 4 * (image * step + part_at), waves(3 + 7 * image, columns)))
    for row in range(rows):
        for column in ends(columns):
            own, kept = wave(5 * row + column), wave(3 + 7 * (row // 2) + column)
            made.expect("y", row * y_stride + column, (kept + own * (part_at > 0)) if row % 2 else own)
    return made


def known_keep_images(kernel: Kernel, grid: Grid) -> Known:
    """Of two rows, kept from the second on."""
    names = ("COLUMNS", "X_STRIDE", "X_OFFSET", "MERGE", "ROWS_AT")
    columns, stride, offset, merge, rows_at = (kernel.constant(name) for name in names)
    made, rows = Known(), min(grid[1], 2)
    made.words("inputs", IMAGES_AT, [1, rows])
    if merge:  # the right one first
        made.inputs([Row(merge * (1 - i // merge**2), i, 0) for i in range(rows * merge**2)], [], rows_at)
        made.words("inputs", IMAGES_AT, [1, rows, rows * merge])
    for row in range(rows):
        made.writes.append(("x", 4 * (row * stride + offset), waves(5 * row, columns)))
        for column in ends(columns):
            made.expect("images", (1 + (rows - 1 - row if merge else row)) * columns + column, wave(5 * row + column))
    return made


def known_stretch(kernel: Kernel, grid: Grid) -> Known:
    """The second and the first of three patches in a line; or, edge on edge, of twice as many as the table has lines."""
    p: Stretch = kernel.problem
    made, rows = Known(), min(grid[1], 2)
    made.inputs([Row(1, 0, 0), Row(0, 1, 0)][:rows], [], p.rows_at)
    made.words("inputs", GRID_WIDTH, [2 * p.side, p.side] if p.is_smooth else [3, 1])
    for line in range(p.side):
        made.writes.append(("table", 4 * line * p.columns, waves(5 * line, p.columns)))
    middle, rest = divmod(p.side - 1, 2)
    low_line, high_line, share = (0, 1, 0.25) if p.is_smooth else (middle, middle + rest, 0.5)
    for column in ends(p.columns):
        low, high = wave(5 * low_line + column), wave(5 * high_line + column)
        for row, value in ((0, low + share * (high - low)), (1, wave(column)))[:rows]:
            made.expect("y", row * p.y_stride + column, value)
    return made
