"""Attention over all keys and values that a slot keeps (keep.py), whatever the row's position: a decoder's over what its
encoder heard.  https://arxiv.org/abs/1706.03762 §3.2.3"""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.inputs import read_rows
from fanlight.kernels.spec import Kernel, kernel

WORKGROUP = 128
MOST_PLACES = 3000  # whose scores fit in workgroup memory
MAX_HEAD_DIM = 4 * WORKGROUP


@dataclass(frozen=True, slots=True)
class AttentionKept:
    """Strides and offsets count f32 elements."""

    heads: int
    head_dim: int
    places: int
    scale: float
    q_stride: int
    q_offset: int
    y_stride: int
    rows_at: int

    def __post_init__(self) -> None:
        if self.head_dim % 4 or self.head_dim > MAX_HEAD_DIM or not 0 < self.places <= MOST_PLACES:
            raise ValueError(f"expected heads of a multiple of 4, and at most {MOST_PLACES} places: {self}")


@lru_cache(maxsize=64)
def make(p: AttentionKept) -> Kernel:
    """q [rows, heads * D], state -> y [rows, heads * D]"""
    bindings = {"q": "array<f32>", "state": "array<vec2<u32>>", "inputs": "array<u32>", "y": "+array<f32>"}
    constants = {
        "HEADS": p.heads,
        "D": p.head_dim,
        "PLACES": p.places,
        "SCALE": p.scale,
        "Q_STRIDE": p.q_stride,
        "Q_OFFSET": p.q_offset,
        "Y_STRIDE": p.y_stride,
        "ROWS_AT": p.rows_at,
        "WORKGROUP": WORKGROUP,
    }
    return kernel("attention_kept", bindings, constants, ("lib/row.wgsl", "attention_kept.wgsl"), problem=p)


def grid(p: AttentionKept, rows: int) -> tuple[int, int, int]:
    return (p.heads, rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: AttentionKept = kernel.problem
    size = p.heads * p.head_dim
    state = arrays["state"].view(np.float16)
    kept = state[: len(state) // (2 * p.places * size) * 2 * p.places * size].reshape(-1, 2, p.places, p.heads, p.head_dim)
    q, y = arrays["q"].view(np.float32), arrays["y"].view(np.float32)
    for row, (_, _, slot, _) in enumerate(read_rows(arrays["inputs"].view(np.uint32), p.rows_at)):
        k, v = kept[slot].astype(np.float64)
        asked = q[row * p.q_stride + p.q_offset :][:size].reshape(p.heads, p.head_dim)
        y[row * p.y_stride :][:size] = heard(asked, k, v, p.scale).reshape(-1)


def heard(q: Array, k: Array, v: Array, scale: float) -> Array:
    """q [H, D], k [places, H, D], v [places, H, D] -> [H, D]"""
    import numpy as np

    scores = np.einsum("hd,phd->hp", q, k) * scale
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.einsum("hp,phd->hd", weights / weights.sum(axis=1, keepdims=True), v)
