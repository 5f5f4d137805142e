"""Of each row what the row before it of its sequence had: RWKV's token shift.

What the row before a step's first had is kept by a sequence's slot: f32 [S, C]. A sequence that begins (position 0) has zeros
before it, so a slot need not be cleared when it is handed on."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.inputs import read_rows
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


@dataclass(frozen=True, slots=True)
class Shift:
    """Strides and offsets count f32 elements."""

    channels: int
    x_stride: int
    x_offset: int
    y_stride: int
    rows_at: int


@lru_cache(maxsize=64)
def make(p: Shift) -> Kernel:
    """x [rows, C] -> y [rows, C], and state"""
    bindings = {"x": "array<f32>", "inputs": "array<u32>", "state": "+array<f32>", "y": "+array<f32>"}
    constants = {
        "CHANNELS": p.channels,
        "X_STRIDE": p.x_stride,
        "X_OFFSET": p.x_offset,
        "Y_STRIDE": p.y_stride,
        "ROWS_AT": p.rows_at,
        "WORKGROUP": WORKGROUP,
    }
    return kernel("shift", bindings, constants, ("lib/row.wgsl", "lib/run.wgsl", "shift.wgsl"), problem=p)


def grid(p: Shift, rows: int) -> tuple[int, int, int]:
    return (ceil_div(p.channels, WORKGROUP), rows, 1)


def state_bytes(channels: int) -> int:
    """Of a slot."""
    return 4 * channels


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Shift = kernel.problem
    x, y, state = (arrays[name].view(np.float32) for name in ("x", "y", "state"))
    for row, (_, position, slot, _) in enumerate(read_rows(arrays["inputs"].view(np.uint32), p.rows_at)):
        kept = state[slot * p.channels :][: p.channels]
        y[row * p.y_stride :][: p.channels] = kept if position else 0
        kept[:] = x[row * p.x_stride + p.x_offset :][: p.channels]
