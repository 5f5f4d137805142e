"""The columns of each row in another order: y[c] = x[order[c]].  For products whose weights' columns are so: GPTQ's that were
quantised in the order of activations.  Or those of two values, as if they lay side by side: heads that share some columns."""

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


def make(
    columns: int, x_stride: int, x_offset: int, y_stride: int, x_columns: int = 0, also: tuple[int, int] | None = None
) -> Kernel:
    """also: stride and offset of a second value, whose columns come after x_columns of x."""
    second = {"also": "array<f32>"} if also else {}
    bindings = {"x": "array<f32>"} | second | {"order": "array<u32>", "inputs": "array<u32>", "y": "+array<f32>"}
    constants = {"COLUMNS": columns, "X_STRIDE": x_stride, "X_OFFSET": x_offset, "Y_STRIDE": y_stride, "WORKGROUP": WORKGROUP}
    constants |= {"X_COLUMNS": x_columns, "ALSO_STRIDE": also[0], "ALSO_OFFSET": also[1]} if also else {}
    return kernel("reorder", bindings, constants, (f"lib/columns_{'two' if also else 'one'}.wgsl", "reorder.wgsl"))


def grid(rows: int, columns: int) -> tuple[int, int, int]:
    return (ceil_div(columns, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    columns, x_stride, x_offset, y_stride = (kernel.constant(n) for n in ("COLUMNS", "X_STRIDE", "X_OFFSET", "Y_STRIDE"))
    order, x, y = arrays["order"].view(np.uint32)[:columns], arrays["x"].view(np.float32), arrays["y"].view(np.float32)
    for row in range(min(grid[1], int(arrays["inputs"].view(np.uint32)[0]))):
        if "also" in arrays:
            first, stride, offset = (kernel.constant(n) for n in ("X_COLUMNS", "ALSO_STRIDE", "ALSO_OFFSET"))
            second = arrays["also"].view(np.float32)[row * stride + offset :]
            both = np.concatenate([x[row * x_stride + x_offset :][:first], second])
            y[row * y_stride : row * y_stride + columns] = both[order]
        else:
            y[row * y_stride : row * y_stride + columns] = x[row * x_stride + x_offset + order]
