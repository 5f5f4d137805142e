"""Rows of activations, or of an elementwise tree (expressions.py) over several, as i8, 32 to a scale, for products in integers
(gemm_int8.py).

q = round(x / d), d = max |x| of 32 neighbours / 127 (all 0 where d is). The q of a row lie in order, four in a u32."""

from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import fused
from fanlight.kernels.expressions import Fused
from fanlight.kernels.fused import Site, site
from fanlight.kernels.packing import GROUP
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64
MOST_OPERANDS = 5  # with `inputs`, xq and xd as many storage buffers as every adapter has


@lru_cache(maxsize=64)
def make(k: int, tree: Fused) -> Kernel:
    """tree: of operands alone, k columns wide; k: whole scales. xq [rows, k] i8, xd [rows, k / 32]."""
    at = site_of(k, tree)
    operands = fused.bindings(at)
    assert tree.values == 0 and len(operands) <= MOST_OPERANDS and k % GROUP == 0, (tree, k)
    bindings = operands | {"inputs": "array<u32>", "xq": "+array<vec4<u32>>", "xd": "+array<f32>"}
    constants = {"K": k, "WORKGROUP": WORKGROUP}
    files = ("lib/int8.wgsl", "lib/int8_group.wgsl", "quantize.wgsl")
    return kernel("quantize", bindings, constants, files, problem=tree, generated=fused.wgsl(at))


def site_of(k: int, tree: Fused) -> Site:
    return site("epilogue", tree, k, "columns")


def grid(rows: int, k: int) -> tuple[int, int, int]:
    return (ceil_div(k // GROUP, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    k, rows = kernel.constant("K"), min(int(arrays["inputs"].view(np.uint32)[0]), grid[1])
    x = fused.apply(site_of(k, kernel.problem), arrays, [], np.arange(rows), np.arange(k))
    write_quantized(x, arrays["xq"], arrays["xd"])


def write_quantized(x: Array, xq: Array, xd: Array) -> None:
    """x [rows, k] to u8 views of xq and xd. (NumPy)"""
    import numpy as np

    groups = x.reshape(-1, GROUP).astype(np.float32)
    d = abs(groups).max(axis=1) / np.float32(127)
    q = np.round(np.divide(groups, d[:, None], out=np.zeros_like(groups), where=d[:, None] > 0))
    xq[: groups.size] = q.astype(np.int8).reshape(-1).view(np.uint8)
    xd.view(np.float32)[: len(d)] = d


def dequantized(xq: Array, xd: Array, rows: int, k: int) -> Array:
    """The inverse: f32 [rows, k]. (NumPy)"""
    import numpy as np

    q = xq.view(np.int8)[: rows * k].reshape(-1, GROUP).astype(np.float32)
    return (q * xd.view(np.float32)[: len(q), None]).reshape(rows, k)
