"""norm.py's norms of whole rows, quantised for products in integers (quantize.py).  One workgroup per row."""

from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import fused, norm
from fanlight.kernels.norm import Norm
from fanlight.kernels.packing import GROUP
from fanlight.kernels.quantize import write_quantized
from fanlight.kernels.spec import Kernel, kernel


def takes(p: Norm) -> bool:
    """Whether rows are whole scales."""
    return p.heads == 1 and p.size % GROUP == 0


@lru_cache(maxsize=64)
def make(p: Norm) -> Kernel:
    """xq [rows, size] i8, xd [rows, size / 32]."""
    assert takes(p), p
    is_vec4 = p.stride % 4 == p.x_offset % 4 == 0
    bindings = {"x": "array<vec4<f32>>" if is_vec4 else "array<f32>", "inputs": "array<u32>"}
    bindings |= fused.bindings(norm.after(p, "columns")) | {"xq": "+array<vec4<u32>>", "xd": "+array<f32>"}
    x4 = "lib/x_vec4.wgsl" if is_vec4 else "lib/x_scalar.wgsl"
    files = (x4, "lib/int8.wgsl", "lib/int8_group.wgsl", "lib/total.wgsl", "norm_int8.wgsl")
    return kernel("norm_int8", bindings, p.constants(), files, problem=p, generated=norm.generated(p, "columns"))


def grid(p: Norm, rows: int) -> tuple[int, int, int]:
    return (rows, 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    write_quantized(norm.normed(kernel.problem, arrays, grid[0]), arrays["xq"], arrays["xd"])
