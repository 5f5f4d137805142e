"""Keys and values of a step's rows, kept whole by their slot for attention of later steps: what a decoder hears of its encoder.

A slot has f16 [2, places, C], two to a word: keys, then values; a row's place is its position. attention_kept.py reads it."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.inputs import read_rows
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64
LARGEST = 65504.0  # of f16


@dataclass(frozen=True, slots=True)
class Keep:
    """Strides and offsets count f32 elements. channels: of keys, and as many of values; a multiple of 4."""

    channels: int
    places: int
    k_stride: int
    k_offset: int
    v_stride: int
    v_offset: int
    rows_at: int

    def __post_init__(self) -> None:
        if self.channels % 4:
            raise ValueError(f"expected a multiple of 4 channels: {self}")


def state_bytes(channels: int, places: int) -> int:
    """Of a slot."""
    return 2 * 2 * places * channels


@lru_cache(maxsize=64)
def make(p: Keep) -> Kernel:
    """k [rows, C], v [rows, C] -> state"""
    bindings = {"k": "array<f32>", "v": "array<f32>", "inputs": "array<u32>", "state": "+array<u32>"}
    constants = {
        "CHANNELS": p.channels,
        "PLACES": p.places,
        "K_STRIDE": p.k_stride,
        "K_OFFSET": p.k_offset,
        "V_STRIDE": p.v_stride,
        "V_OFFSET": p.v_offset,
        "ROWS_AT": p.rows_at,
        "WORKGROUP": WORKGROUP,
    }
    return kernel("keep", bindings, constants | {"LARGEST": LARGEST}, ("lib/row.wgsl", "keep.wgsl"), problem=p)


def grid(p: Keep, rows: int) -> tuple[int, int, int]:
    return (ceil_div(p.channels, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Keep = kernel.problem
    state = arrays["state"].view(np.float16)[
        : arrays["state"].nbytes // (4 * p.places * p.channels) * 2 * p.places * p.channels
    ]
    kept = state.reshape(-1, 2, p.places, p.channels)
    for row, (_, position, slot, _) in enumerate(read_rows(arrays["inputs"].view(np.uint32), p.rows_at)):
        for i, (name, stride, offset) in enumerate((("k", p.k_stride, p.k_offset), ("v", p.v_stride, p.v_offset))):
            values = arrays[name].view(np.float32)[row * stride + offset :][: p.channels]
            kept[slot, i, position] = np.clip(values, -LARGEST, LARGEST)
