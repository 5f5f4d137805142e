"""Matrix times matrix: linear.py for more than 8 rows of activations, in tiles of 64 x 64.  What prefill spends its time in.

A workgroup of 16 x 16 threads keeps 4 x 4 results each in registers; both operands' tiles of 32 elements of K are staged in
workgroup memory (16 KiB), weights dequantised on the way in. Norms and GLU are separate kernels here: a tile does not see
whole rows."""

from fanlight.kernels import linear
from fanlight.kernels.linear import Linear
from fanlight.kernels.spec import Kernel, ceil_div, kernel

TILE = 64


def make(p: Linear) -> Kernel:
    files = (*linear.weight_files(p.format), linear.x_file(p), *linear.fused_files(p), "gemm.wgsl")
    return kernel("gemm", linear.bindings(p), linear.constants(p), files, format=p.format, problem=p)


def grid(p: Linear) -> tuple[int, int, int]:
    return (ceil_div(p.n, TILE), ceil_div(p.rows, TILE), 1)


reference = linear.reference
