"""The integer GEMM's product on subgroup matrices (bench/gemm_matrix.wgsl), for bench/kernels.py: what they are worth before a
kernel of the engine is made of it.  Chromium only, with --enable-unsafe-webgpu and, on NVIDIA,
--enable-dawn-features=vulkan_enable_f16_on_nvidia. The adapter must offer 16x16x16 of f16 into f32; the page says.
Tint accepts the shader; that its numbers are right nobody has seen yet.

    python bench/kernels.py bench/experiments_matrix.py --chrome ..."""

from collections.abc import Iterator
from pathlib import Path

from experiments_gemm import ROWS, SHAPES, inputs, problem, sizes
from kernels import Job

from fanlight.kernels import linear
from fanlight.kernels.linear import Linear
from fanlight.kernels.spec import Kernel, ceil_div, kernel

FEATURES = ("shader-f16", "subgroups", "chromium-experimental-subgroup-matrix")
# subgroups along rows and columns, matrices of each along rows and columns, groups of 32 a stage
CUTS = ((2, 2, 2, 2, 1), (2, 2, 2, 2, 2), (2, 4, 2, 2, 1), (2, 2, 4, 2, 1), (2, 4, 4, 2, 1), (2, 2, 4, 4, 1), (4, 2, 2, 4, 1))


def make(p: Linear, cut: tuple[int, ...]) -> Kernel:
    names = ("SUBGROUPS_M", "SUBGROUPS_N", "FRAGMENTS_M", "FRAGMENTS_N", "KG")
    bindings = {"xq": "array<vec4<u32>>", "xd": "array<f32>"} | linear.bindings(p)
    bindings.pop("x")
    constants = linear.constants(p) | dict(zip(names, cut, strict=True))
    files = (*linear.weight_files(p.format), *linear.fused_files(p), str(Path(__file__).with_name("gemm_matrix.wgsl")))
    return kernel("gemm_matrix", bindings, constants, files, FEATURES, format=p.format, problem=p)


def grid(p: Linear, cut: tuple[int, ...]) -> tuple[int, int, int]:
    return (ceil_div(p.n, cut[1] * cut[3] * 16), ceil_div(p.rows, cut[0] * cut[2] * 16), 1)


def jobs() -> Iterator[Job]:
    for n, k in SHAPES:
        p = problem("Q4_0", n, k)
        for cut in CUTS:
            sized = sizes(p)
            name = f"Q4_0 {n}x{k} {'-'.join(map(str, cut))}"
            yield Job(name, make(p, cut), grid(p, cut), sized, {"inputs": inputs()}, sized["w"], 2 * ROWS * n * k)
