"""Reads a buffer once and keeps almost nothing of it: how fast this adapter reads memory at best. `fanlight bench` compares
with it."""

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel, kernel

WORKGROUP = 256
GROUPS = 2048


def make(vectors: int) -> Kernel:
    """vectors: vec4<u32> in the buffer."""
    bindings = {"x": "array<vec4<u32>>", "y": "+array<u32>"}
    return kernel("stream", bindings, {"VECTORS": vectors, "WORKGROUP": WORKGROUP, "GROUPS": GROUPS}, ("stream.wgsl",))


def grid() -> tuple[int, int, int]:
    return (GROUPS, 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    threads = WORKGROUP * GROUPS
    x = arrays["x"].view(np.uint32)[: 4 * kernel.constant("VECTORS")].reshape(-1, 4)
    folded = np.bitwise_xor.reduce(x, axis=1)
    padded = np.zeros(-(-len(folded) // threads) * threads, np.uint32)
    padded[: len(folded)] = folded
    arrays["y"].view(np.uint32)[:threads] = np.bitwise_xor.reduce(padded.reshape(-1, threads), axis=0)
