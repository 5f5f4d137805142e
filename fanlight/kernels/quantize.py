"""Rows of activations as i8, 32 to a scale, for products in integers (gemm_int8.py).  `from_glu` applies it to silu(gate) * up.

q = round(x / d), d = max |x| of 32 neighbours / 127 (all 0 where d is). The q of a row lie in order, four in a u32."""

from functools import lru_cache

from fanlight.kernels.packing import GROUP
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


@lru_cache(maxsize=64)
def make(k: int, x_stride: int, from_glu: bool = False) -> Kernel:
    """x: rows of k elements (of gate, then up: 2k), x_stride apart. xq [rows, k] i8, xd [rows, k / 32]."""
    bindings = {"x": "array<vec4<f32>>", "inputs": "array<u32>", "xq": "+array<vec4<u32>>", "xd": "+array<f32>"}
    constants = {"K": k, "X_STRIDE": x_stride, "WORKGROUP": WORKGROUP}
    source = "lib/source_glu.wgsl" if from_glu else "lib/source_rows.wgsl"
    return kernel(
        "quantize", bindings, constants, (source, "lib/int8.wgsl", "lib/int8_group.wgsl", "quantize.wgsl"), problem=from_glu
    )


def grid(rows: int, k: int) -> tuple[int, int, int]:
    return (ceil_div(k // GROUP, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict, grid: tuple[int, int, int]) -> None:
    import numpy as np

    k, stride = kernel.constant("K"), kernel.constant("X_STRIDE")
    rows = int(arrays["inputs"].view(np.uint32)[0])
    x = arrays["x"].view(np.float32)[: rows * stride].reshape(rows, stride).astype(np.float64)
    if kernel.problem:
        x = x[:, :k] / (1 + np.exp(-x[:, :k])) * x[:, k : 2 * k]
    write_quantized(x[:, :k], arrays["xq"], arrays["xd"])


def write_quantized(x: "object", xq: "object", xd: "object") -> None:
    """x [rows, k] to u8 views of xq and xd. (NumPy)"""
    import numpy as np

    groups = x.reshape(-1, GROUP).astype(np.float32)
    d = abs(groups).max(axis=1) / np.float32(127)
    q = np.round(np.divide(groups, d[:, None], out=np.zeros_like(groups), where=d[:, None] > 0))
    xq[: groups.size] = q.astype(np.int8).reshape(-1).view(np.uint8)
    xd.view(np.float32)[: len(d)] = d


def dequantized(xq: "object", xd: "object", rows: int, k: int) -> "object":
    """The inverse: f32 [rows, k]. (NumPy)"""
    import numpy as np

    q = xq.view(np.int8)[: rows * k].reshape(-1, GROUP).astype(np.float32)
    return (q * xd.view(np.float32)[: len(q), None]).reshape(rows, k)
