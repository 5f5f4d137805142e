"""One vector of a whole sequence: the mean of its rows, or its first row.  (The last one is gather.py's.)

A sample is the last row of a sequence all of whose rows are in the step, one after the other."""

from fanlight.arrays import Array
from fanlight.kernels.inputs import HEADER_WORDS, SAMPLE_WORDS, read_rows
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64
KINDS = ("mean", "cls")


def make(kind: str, stride: int, rows_at: int) -> Kernel:
    """x, y: rows of `stride` elements. kind: one of KINDS."""
    if kind not in KINDS:
        raise ValueError(f"pool: expected {' or '.join(KINDS)}, got {kind!r}")
    bindings = {"x": "array<vec4<f32>>", "inputs": "array<u32>", "y": "+array<vec4<f32>>"}
    constants = {"STRIDE": stride, "SAMPLES_AT": HEADER_WORDS, "ROWS_AT": rows_at, "WORKGROUP": WORKGROUP}
    generated = f"const IS_MEAN = {'true' if kind == 'mean' else 'false'};\n"
    return kernel("pool", bindings, constants, ("lib/row.wgsl", "pool.wgsl"), problem=kind, generated=generated)


def grid(samples: int, stride: int) -> tuple[int, int, int]:
    return (ceil_div(stride // 4, WORKGROUP), samples, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    stride, inputs = kernel.constant("STRIDE"), arrays["inputs"].view(np.uint32)
    positions = [row.position for row in read_rows(inputs, kernel.constant("ROWS_AT"))]
    x, y = arrays["x"].view(np.float32), arrays["y"].view(np.float32)
    for c in range(min(grid[1], int(inputs[1]))):
        last = min(int(inputs[HEADER_WORDS + SAMPLE_WORDS * c]), len(positions) - 1)
        first = last - min(last, positions[last])
        rows = x[first * stride : (last + 1) * stride].reshape(-1, stride).astype(np.float64)
        y[c * stride : (c + 1) * stride] = rows.mean(axis=0) if kernel.problem == "mean" else rows[0]
