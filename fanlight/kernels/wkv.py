"""RWKV-7's recurrence, head by head: a matrix of values and keys forgets by a rate of each key's own, gives up what it has for
one key, and takes in a value for another.  https://arxiv.org/abs/2503.14456

    S = S diag(w) - (S kappa) (a kappa)^T + v k^T;  y = S r         and beside it, of the token alone:  u = v sum(k b)

S is [values, keys]; r, b, w, k, v, kappa, a are D numbers of each of H heads. What the rows before a step's have left is kept
by a sequence's slot: f32 [S, H, keys, values]. A sequence that begins (position 0) reads nothing of it, so a slot need not be
cleared when it is handed on.

Values of S know nothing of each other: a workgroup has VALUES of one head, and walks along the rows of one sequence with them
in registers, LANES threads to a value, as delta.py does."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.inputs import read_rows
from fanlight.kernels.spec import Kernel, ceil_div, kernel

VALUES, LANES = 16, 8


@dataclass(frozen=True, slots=True)
class Wkv:
    """size: D. Strides and offsets count f32 elements."""

    heads: int
    size: int
    rb_stride: int
    rb_offset: int
    w_stride: int
    w_offset: int
    k_stride: int
    k_offset: int
    v_stride: int
    v_offset: int
    ka_stride: int
    ka_offset: int
    y_stride: int
    rows_at: int

    @property
    def channels(self) -> int:
        return self.heads * self.size

    def places(self) -> dict[str, tuple[int, int, int]]:
        """Of each binding: stride, offset, and columns."""
        both = 2 * self.channels
        return {
            "rb": (self.rb_stride, self.rb_offset, both),
            "w": (self.w_stride, self.w_offset, self.channels),
            "k": (self.k_stride, self.k_offset, self.channels),
            "v": (self.v_stride, self.v_offset, self.channels),
            "ka": (self.ka_stride, self.ka_offset, both),
        }


@lru_cache(maxsize=64)
def make(p: Wkv) -> Kernel:
    """rb [rows, 2*C] (r, then b), w, k, v [rows, C], ka [rows, 2*C] (kappa, then a) -> y [rows, 2*C] (y, then u), and state"""
    bindings = dict.fromkeys(("rb", "w", "k", "v", "ka"), "array<f32>") | {"inputs": "array<u32>"}
    constants = {"HEADS": p.heads, "SIZE": p.size, "Y_STRIDE": p.y_stride, "ROWS_AT": p.rows_at}
    constants |= {"VALUES": VALUES, "LANES": LANES}
    for name, (stride, offset, _) in p.places().items():
        constants |= {f"{name.upper()}_STRIDE": stride, f"{name.upper()}_OFFSET": offset}
    files = ("lib/row.wgsl", "lib/run.wgsl", "wkv.wgsl")
    return kernel("wkv", bindings | dict.fromkeys(("state", "y"), "+array<f32>"), constants, files, problem=p)


def grid(p: Wkv, runs: int) -> tuple[int, int, int]:
    """runs: as many sequences as a step may have."""
    return (p.heads * ceil_div(p.size, VALUES), runs, 1)


def state_bytes(heads: int, size: int) -> int:
    """Of a slot."""
    return 4 * heads * size * size


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p: Wkv = kernel.problem
    y, state = (arrays[name].view(np.float32) for name in ("y", "state"))
    given = {name: arrays[name].view(np.float32) for name in p.places()}
    each, slots = p.heads * p.size * p.size, {}
    for row, (_, position, slot, _) in enumerate(read_rows(arrays["inputs"].view(np.uint32), p.rows_at)):
        if slot not in slots:
            slots[slot] = state[slot * each :][:each].reshape(p.heads, p.size, p.size).astype(np.float64)
        held = slots[slot] if position else np.zeros_like(slots[slot])
        parts = {
            name: given[name][row * stride + offset :][:count].astype(np.float64)
            for name, (stride, offset, count) in p.places().items()
        }
        slots[slot], made = stepped(held, parts)
        y[row * p.y_stride :][: 2 * p.channels] = made
    for slot, held in slots.items():
        state[slot * each :][:each] = held.reshape(-1)


def stepped(held: Array, parts: dict[str, Array]) -> tuple[Array, Array]:
    """One token: held [H, keys, values], the bindings' rows -> what is held after it, and its results [2*C]."""
    import numpy as np

    w, k, v = (parts[name].reshape(len(held), -1) for name in ("w", "k", "v"))
    r, b = parts["rb"].reshape(2, len(held), -1)
    kappa, a = parts["ka"].reshape(2, len(held), -1)
    given_up = np.einsum("hkv,hk->hv", held, kappa)
    held = held * w[:, :, None] - (a * kappa)[:, :, None] * given_up[:, None, :] + k[:, :, None] * v[:, None, :]
    y = np.einsum("hkv,hk->hv", held, r)
    u = v * np.sum(k * b, axis=1, keepdims=True)
    return held, np.concatenate([y.reshape(-1), u.reshape(-1)])
