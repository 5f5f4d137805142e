"""All values of a step's rows by the largest: what is more than 8 below it is raised to that, then (x + 4) / 4.  So Whisper
hears loud and quiet sounds alike.  https://arxiv.org/abs/2212.04356 §2.2

The largest is that of these rows, or what `loudest` has from other windows of the same sound; it stays there."""

from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel, kernel

WORKGROUP = 256
BELOW, SHIFT, SCALE = 8.0, 4.0, 4.0
QUIETEST = -3e38  # of a sound of which nothing was heard


@lru_cache(maxsize=8)
def make(columns: int, x_stride: int, x_offset: int, y_stride: int) -> Kernel:
    """x, y: [rows, columns]; loudest [1]"""
    bindings = {"x": "array<f32>", "inputs": "array<u32>", "loudest": "+array<f32>", "y": "+array<f32>"}
    constants: dict[str, int | float | str] = {
        "COLUMNS": columns,
        "X_STRIDE": x_stride,
        "X_OFFSET": x_offset,
        "Y_STRIDE": y_stride,
        "WORKGROUP": WORKGROUP,
    }
    numbers = {"BELOW": BELOW, "SHIFT": SHIFT, "SCALE": SCALE, "QUIETEST": QUIETEST}
    return kernel("level", bindings, constants | numbers, ("level.wgsl",))


def grid() -> tuple[int, int, int]:
    return (1, 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    columns, x_stride, x_offset, y_stride = (kernel.constant(name) for name in ("COLUMNS", "X_STRIDE", "X_OFFSET", "Y_STRIDE"))
    rows = int(arrays["inputs"].view(np.uint32)[0])
    x, y, loudest = (arrays[name].view(np.float32) for name in ("x", "y", "loudest"))
    picked = np.stack([x[row * x_stride + x_offset :][:columns] for row in range(rows)])
    loudest[0] = max(picked.max(), loudest[0])
    for row, values in enumerate((np.maximum(picked, loudest[0] - BELOW) + SHIFT) / SCALE):
        y[row * y_stride :][:columns] = values
