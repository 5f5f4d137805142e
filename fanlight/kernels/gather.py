"""The rows that a step samples after, side by side: y[c] = x[row of sample c].  Products that need no more than those rows pick
them themselves (lib/rows_sampled.wgsl); this is for what is added to their results."""

from fanlight.arrays import Array
from fanlight.kernels.inputs import HEADER_WORDS, SAMPLE_WORDS
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


def make(stride: int) -> Kernel:
    """x, y: rows of `stride` elements."""
    bindings = {"x": "array<vec4<f32>>", "inputs": "array<u32>", "y": "+array<vec4<f32>>"}
    constants = {"STRIDE": stride, "SAMPLES_AT": HEADER_WORDS, "WORKGROUP": WORKGROUP}
    return kernel("gather", bindings, constants, ("lib/rows_sampled.wgsl", "gather.wgsl"))


def grid(samples: int, stride: int) -> tuple[int, int, int]:
    return (ceil_div(stride // 4, WORKGROUP), samples, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    stride, inputs = kernel.constant("STRIDE"), arrays["inputs"].view(np.uint32)
    x, y = arrays["x"].view(np.float32), arrays["y"].view(np.float32)
    for c in range(grid[1]):
        row = min(int(inputs[HEADER_WORDS + SAMPLE_WORDS * c]), int(inputs[0]) - 1)
        y[c * stride : (c + 1) * stride] = x[row * stride : (row + 1) * stride]
