"""What a convolution over time reads, side by side, so that a product computes it: of K frames each channel's, one after the
other: y[t, c K + k] = frame 2 t + start + k, channel c.  Row t of two inputs has the frames 2 t and 2 t + 1; frames before the
first and after the last are zero."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


@dataclass(frozen=True, slots=True)
class Unfold:
    """Strides and offsets count f32 elements. start: of the first frame, perhaps below 0."""

    channels: int
    taps: int
    start: int
    even_stride: int
    even_offset: int
    odd_stride: int
    odd_offset: int
    y_stride: int


@lru_cache(maxsize=64)
def make(p: Unfold) -> Kernel:
    """even [rows, C], odd [rows, C] -> y [rows, C * K]"""
    bindings = {"even": "array<f32>", "odd": "array<f32>", "inputs": "array<u32>", "y": "+array<f32>"}
    constants = {
        "CHANNELS": p.channels,
        "TAPS": p.taps,
        "BEFORE": max(0, -p.start),
        "AFTER": max(0, p.start),
        "EVEN_STRIDE": p.even_stride,
        "EVEN_OFFSET": p.even_offset,
        "ODD_STRIDE": p.odd_stride,
        "ODD_OFFSET": p.odd_offset,
        "Y_STRIDE": p.y_stride,
        "WORKGROUP": WORKGROUP,
    }
    return kernel("unfold", bindings, constants, ("unfold.wgsl",), problem=p)


def grid(p: Unfold, rows: int) -> tuple[int, int, int]:
    return (ceil_div(p.channels * p.taps, WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Unfold = kernel.problem
    rows = int(arrays["inputs"].view(np.uint32)[0])
    y = arrays["y"].view(np.float32)
    frames = np.zeros((2 * rows, p.channels), np.float32)
    for first, name in enumerate(("even", "odd")):
        x, stride, offset = arrays[name].view(np.float32), getattr(p, f"{name}_stride"), getattr(p, f"{name}_offset")
        frames[first::2] = [x[row * stride + offset :][: p.channels] for row in range(rows)]
    for row, values in enumerate(unfolded(frames, p.taps, p.start)):
        y[row * p.y_stride :][: len(values)] = values


def unfolded(frames: Array, taps: int, start: int) -> Array:
    """[2 T, C] -> [T, C * K]"""
    import numpy as np

    count, channels = frames.shape
    padded = np.concatenate([np.zeros((taps, channels)), frames, np.zeros((2 * taps, channels))])
    places = 2 * np.arange(count // 2)[:, None] + start + np.arange(taps) + taps  # [T, K]
    return padded[places].transpose(0, 2, 1).reshape(count // 2, -1)
