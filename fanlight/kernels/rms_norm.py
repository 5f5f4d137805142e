"""RMSNorm over rows.  y = x / sqrt(mean(x^2) + eps) * weight   https://arxiv.org/abs/1910.07467
For steps of many rows; where rows are few, gemv.py normalises while it stages. One workgroup per row."""

from functools import lru_cache

from fanlight.kernels.spec import Kernel, kernel


@lru_cache(maxsize=64)
def make(c: int, stride: int, eps: float) -> Kernel:
    """x, y: rows of c elements, `stride` elements apart."""
    bindings = {"x": "array<f32>", "weight": "array<f32>", "inputs": "array<u32>", "y": "+array<f32>"}
    return kernel("rms_norm", bindings, {"C": c, "STRIDE": stride, "EPS": eps}, ("rms_norm.wgsl",))


def grid(rows: int) -> tuple[int, int, int]:
    return (rows, 1, 1)


def reference(kernel: Kernel, arrays: dict, grid: tuple[int, int, int]) -> None:
    import numpy as np

    c, stride = kernel.constant("C"), kernel.constant("STRIDE")
    rows = int(arrays["inputs"].view(np.uint32)[0])
    x = arrays["x"].view(np.float32)[: rows * stride].reshape(rows, stride)[:, :c].astype(np.float64)
    y = x / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + kernel.constant("EPS"))
    out = arrays["y"].view(np.float32)[: rows * stride].reshape(rows, stride)
    out[:, :c] = y * arrays["weight"].view(np.float32)[:c]
