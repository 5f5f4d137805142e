"""The gated delta rule, head by head: what a matrix of keys and values has for a token's key is replaced by the token's value,
as far as beta says.  https://arxiv.org/abs/2412.06464

    S = decay * S;  S = S + k (beta * (v - S^T k))^T;  y = S^T q        q and k of length 1, q times key_dim^-0.5

A row of x has the queries of all key heads side by side, then their keys, then the values of all heads. What the rows before a
step's have left is kept by a sequence's slot: S, f32 [S, H, key_dim, value_dim]. A sequence that begins (position 0) reads
nothing of it, so a slot need not be cleared when it is handed on.

Columns of S know nothing of each other: a workgroup has COLUMNS of one head, and walks along the rows of one sequence with them
in registers, LANES threads to a column. For a row of decode S is read and written once. A prompt's rows are taken some
at a time: what S has for their keys and queries is asked at once, and what each adds for those behind it follows from the
products of their keys and queries (the "chunks" of https://arxiv.org/abs/2406.06484, so small that no matrix is inverted)."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import fused
from fanlight.kernels.expressions import Fused
from fanlight.kernels.fused import Site, site
from fanlight.kernels.inputs import STATE_ROWS, read_rows
from fanlight.kernels.spec import Kernel, ceil_div, kernel

COLUMNS, LANES = 16, 8


@dataclass(frozen=True, slots=True)
class Delta:
    """heads: of values, each with the key of one of key_heads; is_dealt: head h has key h % key_heads, else neighbours share
    theirs. eps: beside squares of lengths. decay, beta: what is made of the values under these names, by row and head.
    Strides and offsets count f32 elements."""

    heads: int
    key_heads: int
    key_dim: int
    value_dim: int
    is_dealt: bool
    eps: float
    decay: Fused | None
    beta: Fused | None
    x_stride: int
    x_offset: int
    decay_stride: int
    decay_offset: int
    beta_stride: int
    beta_offset: int
    y_stride: int
    rows_at: int
    is_decode: bool = False  # a row to a sequence

    def __post_init__(self) -> None:
        if self.heads % self.key_heads:
            raise ValueError(f"{self.heads} heads of values, which is no multiple of {self.key_heads} heads of keys")

    @property
    def keys(self) -> int:
        """Columns of all keys."""
        return self.key_heads * self.key_dim

    def key_head(self, head: int) -> int:
        return head % self.key_heads if self.is_dealt else head // (self.heads // self.key_heads)


def sites(p: Delta) -> tuple[Site, Site]:
    return site("decay", p.decay, p.heads), site("beta", p.beta, p.heads)


@lru_cache(maxsize=64)
def make(p: Delta) -> Kernel:
    """x [rows, 2*keys + values], decays [rows, H], betas [rows, H] -> y [rows, values], and state"""
    bindings = {"x": "array<f32>", "decays": "array<f32>", "betas": "array<f32>"} | fused.bindings(*sites(p))
    bindings |= {"inputs": "array<u32>", "state": "+array<f32>", "y": "+array<f32>"}
    constants: dict[str, int | float] = {
        "HEADS": p.heads,
        "KEY_HEADS": p.key_heads,
        "KEY_DIM": p.key_dim,
        "VALUE_DIM": p.value_dim,
        "EPS": float(p.eps),
        "SCALE": p.key_dim**-0.5,
        "X_STRIDE": p.x_stride,
        "X_OFFSET": p.x_offset,
        "DECAY_STRIDE": p.decay_stride,
        "DECAY_OFFSET": p.decay_offset,
        "BETA_STRIDE": p.beta_stride,
        "BETA_OFFSET": p.beta_offset,
        "Y_STRIDE": p.y_stride,
        "ROWS_AT": p.rows_at,
        "COLUMNS": COLUMNS,
        "LANES": LANES,
        "ROWS": 1 if p.is_decode else STATE_ROWS,
    }
    generated = f"const IS_DEALT = {str(p.is_dealt).lower()};\n" + fused.wgsl(*sites(p))
    files = ("lib/row.wgsl", "lib/run.wgsl", "delta.wgsl")
    return kernel("delta", bindings, constants, files, problem=p, generated=generated)


def grid(p: Delta, runs: int) -> tuple[int, int, int]:
    """runs: as many sequences as a step may have."""
    return (p.heads * ceil_div(p.value_dim, COLUMNS), runs, 1)


def state_bytes(heads: int, key_dim: int, value_dim: int) -> int:
    """Of a slot."""
    return 4 * heads * key_dim * value_dim


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Delta = kernel.problem
    rows = read_rows(arrays["inputs"].view(np.uint32), p.rows_at)
    at, heads = np.arange(len(rows)), np.arange(p.heads)
    x, y, state = (arrays[name].view(np.float32) for name in ("x", "y", "state"))
    given = (("decays", p.decay_stride, p.decay_offset), ("betas", p.beta_stride, p.beta_offset))
    raw = [arrays[n].view(np.float32)[at[:, None] * step + start + heads].astype(np.float64) for n, step, start in given]
    decay, beta = (fused.apply(s, arrays, [values], at, heads) for s, values in zip(sites(p), raw, strict=True))
    columns, key_of = 2 * p.keys + p.heads * p.value_dim, [p.key_head(head) for head in range(p.heads)]
    size, slots = p.heads * p.key_dim * p.value_dim, {}
    for row, (_, position, slot, _) in enumerate(rows):
        if slot not in slots:
            slots[slot] = state[slot * size :][:size].reshape(p.heads, p.key_dim, p.value_dim).astype(np.float64)
        held = slots[slot] if position else np.zeros_like(slots[slot])
        values = x[row * p.x_stride + p.x_offset :][:columns].astype(np.float64)
        q, k = (unit(part.reshape(p.key_heads, -1), p.eps)[key_of] for part in np.split(values[: 2 * p.keys], 2))
        v = values[2 * p.keys :].reshape(p.heads, p.value_dim)
        slots[slot], made = stepped(held, q, k, v, decay[row], beta[row])
        y[row * p.y_stride :][: p.heads * p.value_dim] = made.reshape(-1)
    for slot, held in slots.items():
        state[slot * size :][:size] = held.reshape(-1)


def unit(x: Array, eps: float) -> Array:
    import numpy as np

    return x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True) + eps)


def stepped(held: Array, q: Array, k: Array, v: Array, decay: Array, beta: Array) -> tuple[Array, Array]:
    """One token: held [H, key_dim, value_dim], q and k [H, key_dim] of length 1, v [H, value_dim], decay and beta [H] -> what
    is held after it, and its result [H, value_dim]."""
    import numpy as np

    held = held * decay[:, None, None]
    change = beta[:, None] * (v - np.einsum("hkv,hk->hv", held, k))
    held = held + k[:, :, None] * change[:, None, :]
    return held, np.einsum("hkv,hk->hv", held, q) * q.shape[1] ** -0.5
