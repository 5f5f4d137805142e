"""By how much the sequence of each row wants a LoRA: y[t, c] = scales[slot of t, which], the same in every column."""

from fanlight.arrays import Array
from fanlight.kernels.inputs import read_rows
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


def make(which: int, count: int, stride: int, rows_at: int) -> Kernel:
    """scales [S, count], y: rows of `stride` elements."""
    bindings = {"scales": "array<f32>", "inputs": "array<u32>", "y": "+array<f32>"}
    constants = {"WHICH": which, "COUNT": count, "STRIDE": stride, "ROWS_AT": rows_at, "WORKGROUP": WORKGROUP}
    return kernel("lora_scale", bindings, constants, ("lib/row.wgsl", "lora_scale.wgsl"))


def grid(rows: int, stride: int) -> tuple[int, int, int]:
    return (ceil_div(stride, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    stride, count = kernel.constant("STRIDE"), kernel.constant("COUNT")
    scales, y = arrays["scales"].view(np.float32), arrays["y"].view(np.float32)
    for row, place in enumerate(read_rows(arrays["inputs"].view(np.uint32), kernel.constant("ROWS_AT"))):
        y[row * stride : (row + 1) * stride] = scales[place.slot * count + kernel.constant("WHICH")]
