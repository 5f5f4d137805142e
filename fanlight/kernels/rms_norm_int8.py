"""RMSNorm over rows, quantised for products in integers (quantize.py).  One workgroup per row."""

from functools import lru_cache

from fanlight.kernels.quantize import write_quantized
from fanlight.kernels.spec import Kernel, kernel

WORKGROUP = 64


@lru_cache(maxsize=64)
def make(c: int, stride: int, eps: float) -> Kernel:
    """x: rows of c elements, `stride` apart. xq [rows, c] i8, xd [rows, c / 32]."""
    bindings = {"x": "array<vec4<f32>>", "weight": "array<vec4<f32>>", "inputs": "array<u32>"}
    bindings |= {"xq": "+array<vec4<u32>>", "xd": "+array<f32>"}
    constants = {"K": c, "STRIDE": stride, "EPS": eps, "WORKGROUP": WORKGROUP}
    return kernel("rms_norm_int8", bindings, constants, ("lib/int8.wgsl", "lib/int8_group.wgsl", "rms_norm_int8.wgsl"))


def grid(rows: int) -> tuple[int, int, int]:
    return (rows, 1, 1)


def reference(kernel: Kernel, arrays: dict, grid: tuple[int, int, int]) -> None:
    import numpy as np

    c, stride = kernel.constant("K"), kernel.constant("STRIDE")
    rows = int(arrays["inputs"].view(np.uint32)[0])
    x = arrays["x"].view(np.float32)[: rows * stride].reshape(rows, stride)[:, :c].astype(np.float64)
    y = x / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + kernel.constant("EPS"))
    write_quantized(y * arrays["weight"].view(np.float32)[:c], arrays["xq"], arrays["xd"])
