"""y = silu(gate) * up, where gate and up lie side by side in a row.  https://arxiv.org/abs/2002.05202
For steps of many rows; gemv.py does it as it finishes."""

from fanlight.kernels.spec import Kernel, ceil_div, kernel


def make(f: int, x_stride: int, y_stride: int) -> Kernel:
    """x: rows of 2f elements, y: of f; strides in elements."""
    bindings = {"x": "array<f32>", "inputs": "array<u32>", "y": "+array<f32>"}
    constants = {"F": f, "X_STRIDE": x_stride, "Y_STRIDE": y_stride}
    return kernel("glu", bindings, constants, ("glu.wgsl",))


def grid(rows: int, f: int) -> tuple[int, int, int]:
    return (ceil_div(f, 256), rows, 1)


def reference(kernel: Kernel, arrays: dict, grid: tuple[int, int, int]) -> None:
    import numpy as np

    f, xs, ys = (kernel.constant(n) for n in ("F", "X_STRIDE", "Y_STRIDE"))
    rows = int(arrays["inputs"].view(np.uint32)[0])
    x = arrays["x"].view(np.float32)[: rows * xs].reshape(rows, xs).astype(np.float64)
    gate, up = x[:, :f], x[:, f : 2 * f]
    arrays["y"].view(np.float32)[: rows * ys].reshape(rows, ys)[:, :f] = gate / (1 + np.exp(-gate)) * up
