"""add_parts.py and the norm_int8.py after it in one: y, and its norm quantised.  One workgroup per row."""

from dataclasses import replace
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import add_parts, fused, linear, norm
from fanlight.kernels.fused import Site
from fanlight.kernels.linear import Linear
from fanlight.kernels.norm import Norm
from fanlight.kernels.quantize import write_quantized
from fanlight.kernels.spec import Kernel, kernel

WORKGROUP = 256


def takes(p: Linear) -> bool:
    """Whether a row of y is the product's alone, and whole scales."""
    return p.row_offset == 0 and p.n % 32 == 0


def normed(of: Norm) -> Site:
    return norm.after(of, "columns", "norm")


@lru_cache(maxsize=64)
def make(p: Linear, share: int, of: Norm) -> Kernel:
    """x [parts, rows, n] -> y, whose rows are y_stride apart; xq [rows, n] i8, xd [rows, n / 32]. of: the norm of y; its
    operands are norm0, ..."""
    assert takes(p) and of.heads == 1 and of.size == p.n, (p, of)
    bindings = add_parts.inputs(p) | fused.bindings(normed(of))
    bindings |= {"y": "+array<vec4<f32>>", "xq": "+array<u32>", "xd": "+array<f32>"}
    constants = add_parts.constants(p, share) | {"EPS": float(of.eps), "WORKGROUP": WORKGROUP}
    files = ("lib/parts.wgsl", "lib/int8.wgsl", "add_parts_norm.wgsl")
    return kernel("add_parts_norm", bindings, constants, files, (), "", (p, of), _generated(p, of))


def _generated(p: Linear, of: Norm) -> str:
    return norm.centered(of) + fused.wgsl(linear.after(p, "columns"), normed(of))


def grid(p: Linear) -> tuple[int, int, int]:
    return (p.rows, 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p, of = kernel.problem
    add_parts.reference(replace(kernel, problem=p), arrays, grid)
    rows = int(arrays["inputs"].view(np.uint32)[0])
    y = arrays["y"].view(np.float32)[: p.rows * p.y_stride].reshape(p.rows, p.y_stride)[:rows, : p.n]
    write_quantized(norm.normalise(of, arrays, y, "norm"), arrays["xq"], arrays["xd"])
