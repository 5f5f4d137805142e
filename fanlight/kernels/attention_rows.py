"""Attention without a cache: the rows of a step see each other, as an encoder's do, or each those before it.

The rows of a sequence stand side by side in a step, from its position 0. A workgroup takes a few rows and one head, and goes
over those that they may see, 64 at a time, counted from their sequence's first; what of another sequence follows weighs
nothing."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.attention import score_function
from fanlight.kernels.expressions import Expr, argument, evaluate
from fanlight.kernels.inputs import read_rows, word_of_rows
from fanlight.kernels.spec import Kernel, ceil_div, kernel

TILE = 64  # rows seen at a time, and threads
MAX_HEAD_DIM = 512
LARGE_HEAD_DIM = 256  # above it fewer rows are taken, whose queries must fit a workgroup's memory


@dataclass(frozen=True, slots=True)
class AttentionRows:
    """Strides and offsets count f32 elements, and are multiples of 4, as heads are. window: how many positions a row sees: up
    to its own where causal, else half of them to either side. score: of the scaled score, before it is masked. of_picture:
    rows see those of their window of a picture (inputs.image_words) in the place of those of their sequence."""

    heads: int
    kv_heads: int
    head_dim: int
    v_head_dim: int
    q_stride: int
    q_offset: int
    k_stride: int
    k_offset: int
    v_stride: int
    v_offset: int
    y_stride: int
    rows_at: int
    causal: bool = False
    window: int | None = None
    score: Expr | None = None
    of_picture: bool = False

    def __post_init__(self) -> None:
        sizes = (self.head_dim, self.v_head_dim, *self.strides().values())
        if any(size % 4 for size in sizes) or max(self.head_dim, self.v_head_dim) > MAX_HEAD_DIM:
            raise ValueError(f"expected multiples of 4, and heads of at most {MAX_HEAD_DIM} elements: {self}")

    def strides(self) -> dict[str, int]:
        names = ("q_stride", "q_offset", "k_stride", "k_offset", "v_stride", "v_offset", "y_stride")
        return {name.upper(): getattr(self, name) for name in names}

    @property
    def rows_taken(self) -> int:
        return 4 if max(self.head_dim, self.v_head_dim) > LARGE_HEAD_DIM else 8

    @property
    def behind(self) -> int:
        """Positions before its own that a row sees, at most; 0xffffffff: all."""
        if not self.window:
            return 0xFFFF_FFFF
        return self.window - 1 if self.causal else self.window // 2

    @property
    def ahead(self) -> int:
        """And after it."""
        return 0 if self.causal else self.behind


@lru_cache(maxsize=64)
def make(p: AttentionRows) -> Kernel:
    """q [rows, heads * D] (scaled), k [rows, kv_heads * D], v [rows, kv_heads * DV] -> y [rows, heads * DV]"""
    floats = "array<vec4<f32>>"
    bindings = {"q": floats, "k": floats, "v": floats, "inputs": "array<u32>", "y": f"+{floats}"}
    constants = p.strides() | {
        "HEADS": p.heads,
        "KV_HEADS": p.kv_heads,
        "D": p.head_dim,
        "DV": p.v_head_dim,
        "BEHIND": p.behind,
        "AHEAD": p.ahead,
        "TILE": TILE,
        "R": p.rows_taken,
        "ROWS_AT": p.rows_at,
    }
    files = ("lib/row.wgsl", f"lib/run_{'window' if p.of_picture else 'sequence'}.wgsl", "attention_rows.wgsl")
    return kernel("attention_rows", bindings, constants, files, problem=p, generated=score_function(p.score))


def grid(p: AttentionRows, rows: int) -> tuple[int, int, int]:
    return (p.heads, ceil_div(rows, p.rows_taken), 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p, inputs = kernel.problem, arrays["inputs"].view(np.uint32)
    headers = read_rows(inputs, p.rows_at)
    rows, group = len(headers), p.heads // p.kv_heads
    positions, slots = [row.position for row in headers], [row.slot for row in headers]
    if p.of_picture:
        slots = word_of_rows(inputs, p.rows_at, 3)
        positions = [row - first for row, first in enumerate(slots)]
    distance = np.subtract.outer(positions, positions)
    sees = np.equal.outer(slots, slots) & (distance <= p.behind) & (-distance <= p.ahead)

    def heads_of(name: str, stride: int, offset: int, heads: int, d: int) -> Array:
        x = arrays[name].view(np.float32)
        picked = [x[row * stride + offset :][: heads * d] for row in range(rows)]
        return np.stack(picked).astype(np.float64).reshape(rows, heads, d)

    q = heads_of("q", p.q_stride, p.q_offset, p.heads, p.head_dim)
    k = heads_of("k", p.k_stride, p.k_offset, p.kv_heads, p.head_dim).repeat(group, axis=1)
    v = heads_of("v", p.v_stride, p.v_offset, p.kv_heads, p.v_head_dim).repeat(group, axis=1)
    scores = evaluate(p.score or argument(0), [np.einsum("thd,shd->hts", q, k)], np)
    scores = np.where(sees, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    out = np.einsum("hts,shd->thd", weights / weights.sum(axis=2, keepdims=True), v).reshape(rows, -1)
    for row in range(rows):
        arrays["y"].view(np.float32)[row * p.y_stride :][: out.shape[1]] = out[row]
