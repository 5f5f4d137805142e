"""Causal convolution of each channel along a sequence: y_t = epilogue(sum over j of w_j x_(t-K+1+j)), K taps.

What lies before a step's rows of a sequence is kept by its slot: f32 [S, K-1, C], the oldest first. A sequence that begins
(position 0) reads nothing of it, so a slot need not be cleared when it is handed on."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import fused
from fanlight.kernels.expressions import Fused
from fanlight.kernels.fused import Site, site
from fanlight.kernels.inputs import read_rows
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


@dataclass(frozen=True, slots=True)
class Convolve:
    """Strides and offsets count f32 elements."""

    channels: int
    taps: int
    x_stride: int
    x_offset: int
    y_stride: int
    rows_at: int
    epilogue: Fused | None = None

    def __post_init__(self) -> None:
        if self.taps < 2:
            raise ValueError(f"a convolution of {self.taps} taps: expected 2 or more")


@lru_cache(maxsize=64)
def make(p: Convolve) -> Kernel:
    """x [rows, C], w [C, K] -> y [rows, C], and state"""
    bindings = {"x": "array<f32>", "w": "array<f32>"} | fused.bindings(after(p))
    bindings |= {"inputs": "array<u32>", "state": "+array<f32>", "y": "+array<f32>"}
    constants = {
        "CHANNELS": p.channels,
        "TAPS": p.taps,
        "X_STRIDE": p.x_stride,
        "X_OFFSET": p.x_offset,
        "Y_STRIDE": p.y_stride,
        "ROWS_AT": p.rows_at,
        "WORKGROUP": WORKGROUP,
    }
    files = ("lib/row.wgsl", "lib/run.wgsl", "convolve.wgsl")
    return kernel("convolve", bindings, constants, files, problem=p, generated=fused.wgsl(after(p)))


def after(p: Convolve) -> Site:
    return site("epilogue", p.epilogue, p.channels)


def grid(p: Convolve, rows: int) -> tuple[int, int, int]:
    return (ceil_div(p.channels, WORKGROUP), rows, 1)


def state_bytes(channels: int, taps: int) -> int:
    """Of a slot."""
    return 4 * (taps - 1) * channels


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Convolve = kernel.problem
    rows = read_rows(arrays["inputs"].view(np.uint32), p.rows_at)
    x, y, state = (arrays[name].view(np.float32) for name in ("x", "y", "state"))
    w = arrays["w"].view(np.float32)[: p.channels * p.taps].reshape(p.channels, p.taps).astype(np.float64)
    for row, (_, position, slot, _) in enumerate(rows):
        kept = state[slot * (p.taps - 1) * p.channels :][: (p.taps - 1) * p.channels].reshape(-1, p.channels)
        kept[: max(0, p.taps - 1 - position)] = 0
        held = np.concatenate([kept, x[None, row * p.x_stride + p.x_offset :][:, : p.channels]])
        total = np.einsum("kc,ck->c", held.astype(np.float64), w)[None]
        y[row * p.y_stride :][: p.channels] = fused.apply(after(p), arrays, [total], [row], np.arange(p.channels))[0]
        kept[:] = held[1:]
