"""Each row rounded to 127 steps of its own to either side: y = round(x s) / s, s = 127 / max |x|, halves to the even step.
BitNet's products read it.  https://arxiv.org/abs/2402.17764"""

from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel, kernel

WORKGROUP = 128
STEPS, LEAST = 127, 1e-5  # LEAST: a row whose largest is smaller is rounded as if it were this


@lru_cache(maxsize=64)
def make(columns: int, x_stride: int, x_offset: int, y_stride: int) -> Kernel:
    """x, y: [rows, columns]"""
    bindings = {"x": "array<f32>", "inputs": "array<u32>", "y": "+array<f32>"}
    places = {"COLUMNS": columns, "X_STRIDE": x_stride, "X_OFFSET": x_offset, "Y_STRIDE": y_stride}
    constants = {**places, "WORKGROUP": WORKGROUP, "STEPS": float(STEPS), "LEAST": LEAST}
    return kernel("round_rows", bindings, constants, ("round_rows.wgsl",))


def grid(rows: int) -> tuple[int, int, int]:
    return (rows, 1, 1)


def rounded(x: Array) -> Array:
    """Rows x [rows, columns]. (NumPy)"""
    import numpy as np

    s = STEPS / np.maximum(abs(x).max(axis=1, keepdims=True), LEAST)
    return np.round(x * s) / s


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    columns, x_stride, x_offset, y_stride = (kernel.constant(name) for name in ("COLUMNS", "X_STRIDE", "X_OFFSET", "Y_STRIDE"))
    rows = min(int(arrays["inputs"].view(np.uint32)[0]), grid[0])
    at = np.arange(rows)[:, None] * x_stride + x_offset + np.arange(columns)
    for row, values in enumerate(rounded(arrays["x"].view(np.float32)[at])):
        arrays["y"].view(np.float32)[row * y_stride :][:columns] = values
