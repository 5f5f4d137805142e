"""Log-mel spectrogram of a sound at 16 kHz, as Whisper hears it: of two frames a row, one beside the other.

A frame is 400 samples, 160 after the one before; of it the power of its discrete Fourier transform under a Hann window, summed
under the triangles of Slaney's mel scale, and the decimal logarithm of that.  level.py does the rest.
https://arxiv.org/abs/2212.04356 §2.2; the filters are librosa.filters.mel's, norm="slaney"."""

import math
from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.spec import Kernel, kernel

RATE = 16000  # samples a second
FRAME, HOP = 400, 160
BINS = FRAME // 2 + 1
PER_ROW = 2  # frames
LEAST = 1e-10
WORKGROUP = 128


@dataclass(frozen=True, slots=True)
class Mel:
    """mels: columns of a frame."""

    mels: int
    y_stride: int


@lru_cache(maxsize=8)
def make(p: Mel) -> Kernel:
    """sound [(2 rows - 1) * HOP + FRAME], cosines [FRAME], filters [mels, BINS] -> y [rows, 2 * mels]"""
    bindings = {name: "array<f32>" for name in ("sound", "cosines", "filters")}
    bindings |= {"inputs": "array<u32>", "y": "+array<f32>"}
    constants = {"FRAME": FRAME, "HOP": HOP, "BINS": BINS, "PER_ROW": PER_ROW, "MELS": p.mels, "Y_STRIDE": p.y_stride}
    constants |= {"WORKGROUP": WORKGROUP}
    return kernel("mel", bindings, constants | {"LEAST": LEAST}, ("mel.wgsl",), problem=p)


def grid(rows: int) -> tuple[int, int, int]:
    return (PER_ROW, rows, 1)


def num_samples(rows: int) -> int:
    """Of the sound, with half a frame before and after it."""
    return rows * PER_ROW * HOP + FRAME


def cosines() -> tuple[float, ...]:
    """Of a whole turn in FRAME steps."""
    return tuple(math.cos(2 * math.pi * i / FRAME) for i in range(FRAME))


@lru_cache(maxsize=4)
def filters(mels: int) -> tuple[float, ...]:
    """[mels, BINS]: triangles between neighbours, each of the same area."""
    top = _mel_of(RATE / 2)
    edges = [_hertz_of(top * i / (mels + 1)) for i in range(mels + 2)]
    return tuple(
        max(0.0, min((f - low) / (mid - low), (high - f) / (high - mid))) * 2 / (high - low)
        for low, mid, high in zip(edges, edges[1:], edges[2:], strict=False)
        for f in (RATE * i / FRAME for i in range(BINS))
    )


KNEE, STEP = 1000.0, math.log(6.4) / 27  # Slaney's scale is linear below, by 3 mels to 200 Hz, and logarithmic above


def _mel_of(hertz: float) -> float:
    return 3 * hertz / 200 if hertz < KNEE else 3 * KNEE / 200 + math.log(hertz / KNEE) / STEP


def _hertz_of(mel: float) -> float:
    knee = 3 * KNEE / 200
    return 200 * mel / 3 if mel < knee else KNEE * math.exp(STEP * (mel - knee))


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Mel = kernel.problem
    rows = int(arrays["inputs"].view(np.uint32)[0])
    sound, cosine, y = (arrays[name].view(np.float32) for name in ("sound", "cosines", "y"))
    triangles = arrays["filters"].view(np.float32)[: p.mels * BINS].reshape(p.mels, BINS).astype(np.float64)
    window = 0.5 - 0.5 * cosine[:FRAME].astype(np.float64)
    for row in range(rows):
        for i in range(PER_ROW):
            frame = sound[(PER_ROW * row + i) * HOP :][:FRAME] * window
            power = np.abs(np.fft.rfft(frame)) ** 2
            y[row * p.y_stride + i * p.mels :][: p.mels] = np.log10(np.maximum(triangles @ power, LEAST))
