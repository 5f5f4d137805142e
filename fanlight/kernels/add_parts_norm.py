"""add_parts.py and the rms_norm_int8.py after it in one: y, and RMSNorm(y) * weight quantised.  One workgroup per row."""

from functools import lru_cache

from fanlight.kernels import add_parts, linear
from fanlight.kernels.linear import Linear
from fanlight.kernels.quantize import write_quantized
from fanlight.kernels.spec import Kernel, kernel

WORKGROUP = 256


def takes(p: Linear) -> bool:
    """Whether a row of y is the product's alone, and whole scales."""
    return p.row_offset == 0 and p.n % 32 == 0


@lru_cache(maxsize=64)
def make(p: Linear, share: int, eps: float) -> Kernel:
    """x [parts, rows, n] -> y, whose rows are y_stride apart; xq [rows, n] i8, xd [rows, n / 32]."""
    bindings = add_parts.inputs(p) | {"weight": "array<vec4<f32>>"}
    bindings |= {"y": "+array<vec4<f32>>", "xq": "+array<u32>", "xd": "+array<f32>"}
    constants = add_parts.constants(p, share) | {"EPS": eps, "WORKGROUP": WORKGROUP}
    files = (*linear.fused_files(p), "lib/parts.wgsl", "lib/int8.wgsl", "add_parts_norm.wgsl")
    return kernel("add_parts_norm", bindings, constants, files, problem=p)


def grid(p: Linear) -> tuple[int, int, int]:
    return (p.rows, 1, 1)


def reference(kernel: Kernel, arrays: dict, grid: tuple[int, int, int]) -> None:
    import numpy as np

    p = kernel.problem
    add_parts.reference(kernel, arrays, grid)
    rows = int(arrays["inputs"].view(np.uint32)[0])
    y = arrays["y"].view(np.float32)[: p.rows * p.y_stride].reshape(p.rows, p.y_stride)[:rows, : p.n].astype(np.float64)
    y /= np.sqrt(np.mean(y * y, axis=1, keepdims=True) + kernel.constant("EPS"))
    write_quantized(y * arrays["weight"].view(np.float32)[: p.n], arrays["xq"], arrays["xd"])
