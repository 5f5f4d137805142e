"""Rotation of q and k, and the KV cache that k and v go to: what the kernels that do it share (rope_kv.py, add_parts_rope.py,
and gemv_int8.py as it finishes).  RoPE: https://arxiv.org/abs/2104.09864"""

from dataclasses import dataclass

from fanlight.arrays import Array
from fanlight.kernels.expressions import Expr, argument
from fanlight.kernels.inputs import AXES, TURNS_AT, read_rows
from fanlight.kernels.kv import KVLayout

OF_TEXT, OF_PATCHES = "text", "patches"
POSITIONS = {"": "lib/turn_position.wgsl", OF_TEXT: "lib/turn_text.wgsl", OF_PATCHES: "lib/turn_patch.wgsl"}
TURNS = {"TURNS_AT": TURNS_AT, "AXES": AXES}  # constants of OF_TEXT


@dataclass(frozen=True, slots=True)
class Rope:
    """What follows a product of q, k and v: rotation, scaling of q, and the KV cache. See rope_kv.py. The first `pairs` pairs
    of every head of q and k turn (None: all; 0: none), and are multiplied by rope_scale; the rest of a head passes through.
    All of q is multiplied by `scale`. by: what positions are, as in rope.py; '' or OF_TEXT."""

    heads: int
    kv: KVLayout
    scale: float
    rope_scale: float
    rows_at: int
    pairs: int | None = None
    by: str = ""

    def __post_init__(self) -> None:
        if self.kv.v_dim != self.kv.head_dim:
            raise ValueError(f"q, k and v of one width go to the cache together, not {self.kv}: see append.py")
        if not 0 <= 2 * self.num_pairs <= self.kv.head_dim:
            raise ValueError(f"{self.pairs} pairs of a head of {self.kv.head_dim} elements cannot turn")

    @property
    def num_pairs(self) -> int:
        return self.kv.head_dim // 2 if self.pairs is None else self.pairs

    def constants(self) -> dict[str, int | float]:
        return self.kv.constants() | {
            "HEADS": self.heads,
            "ROTARY": 2 * self.num_pairs,
            "SCALE": float(self.scale),
            "ROPE_SCALE": float(self.rope_scale),
            "ROWS_AT": self.rows_at,
            **(TURNS if self.by else {}),
        }


@dataclass(frozen=True, slots=True)
class HeadNorm:
    """RMSNorm of each head of q and k before it turns. weigh: over (value / rms, weight); q and k have a weight [D] each."""

    eps: float
    weigh: Expr = argument(0) * argument(1)


def turn_and_append(p: Rope, arrays: dict[str, Array], x: Array, first: int = 0) -> None:
    """x [rows, n] holds elements first.. of q, k and v heads; writes arrays['q'] and the cache. (NumPy)"""
    import numpy as np

    d, kv_heads = p.kv.head_dim, p.kv.kv_heads
    inputs, table = arrays["inputs"].view(np.uint32), arrays["block_table"].view(np.uint32)
    rows = read_rows(inputs, p.rows_at)
    angles = arrays["inv_freq"].view(np.float32)
    inv_freq, axes = angles[: p.num_pairs], angles[p.num_pairs : 2 * p.num_pairs].astype(int)
    out = arrays["q"].view(np.float32)
    for row, (_, position, slot, _) in enumerate(rows[: len(x)]):
        block, offset = int(table[slot * p.kv.max_blocks_per_seq + position // p.kv.block_size]), position % p.kv.block_size
        for at in range(0, x.shape[1], d):
            head, values = (first + at) // d, x[row, at : at + d]
            if head < p.heads + kv_heads:
                values = turned(values, turns_of(inputs, p.by, row, position, axes), inv_freq, p.rope_scale)
            if head < p.heads:
                out[(row * p.heads + head) * d :][:d] = values * p.scale
            else:
                which, kv_head = divmod(head - p.heads, kv_heads)
                p.kv.write(arrays["kv"], which, (block, kv_head, offset), values)


def turns_of(inputs: Array, by: str, row: int, position: int, axes: Array) -> "int | Array":
    """What a row's pairs turn by: its position, or that on the axis of each. (NumPy)"""
    at = int(inputs[TURNS_AT]) if by == OF_TEXT else 0
    return inputs[at + AXES * row + axes] if at else position


def turned(x: Array, position: "int | Array", inv_freq: Array, scale: float) -> Array:
    """A head's elements, of which as many pairs turn as there are frequencies, by one position or one of each. (NumPy)"""
    import numpy as np

    angle = (np.float32(position) * inv_freq).astype(np.float64)
    y, count = x.astype(np.float64), 2 * len(inv_freq)
    z = (y[:count:2] + 1j * y[1:count:2]) * (np.cos(angle) + 1j * np.sin(angle)) * scale
    y[:count:2], y[1:count:2] = z.real, z.imag
    return y
