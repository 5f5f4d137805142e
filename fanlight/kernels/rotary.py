"""Rotation of q and k, and the KV cache that k and v go to: what the kernels that do it share (rope_kv.py, add_parts_rope.py,
and gemv_int8.py as it finishes).  RoPE: https://arxiv.org/abs/2104.09864"""

from dataclasses import dataclass

from fanlight.kernels.inputs import ROW_WORDS
from fanlight.kernels.kv import KVLayout


@dataclass(frozen=True, slots=True)
class Rope:
    """What follows a product of q, k and v: rotation, scaling of q, and the KV cache. See rope_kv.py."""

    heads: int
    kv: KVLayout
    scale: float
    rope_scale: float
    rows_at: int

    def constants(self) -> dict[str, int | float]:
        return self.kv.constants() | {
            "HEADS": self.heads,
            "SCALE": float(self.scale),
            "ROPE_SCALE": float(self.rope_scale),
            "ROWS_AT": self.rows_at,
        }


def turn_and_append(p: Rope, arrays: dict, x: "object", first: int = 0) -> None:
    """x [rows, n] holds elements first.. of q, k and v heads; writes arrays['q'] and the cache. (NumPy)"""
    import numpy as np

    d, kv_heads = p.kv.head_dim, p.kv.kv_heads
    inputs, table = arrays["inputs"].view(np.uint32), arrays["block_table"].view(np.uint32)
    cache = (p.kv.keys(arrays["kv"]), p.kv.values(arrays["kv"]))
    inv_freq = arrays["inv_freq"].view(np.float32)[: d // 2]
    out = arrays["q"].view(np.float32)
    for row in range(min(int(inputs[0]), len(x))):
        _, position, slot, _ = (int(v) for v in inputs[p.rows_at + ROW_WORDS * row :][:4])
        angle = (np.float32(position) * inv_freq).astype(np.float64)
        turn = (np.cos(angle) + 1j * np.sin(angle)) * p.rope_scale
        block, offset = int(table[slot * p.kv.max_blocks_per_seq + position // p.kv.block_size]), position % p.kv.block_size
        for at in range(0, x.shape[1], d):
            head, values = (first + at) // d, x[row, at : at + d]
            if head < p.heads + kv_heads:
                values = _turned(values, turn)
            if head < p.heads:
                out[(row * p.heads + head) * d :][:d] = values * p.scale
            else:
                cache[(head - p.heads) // kv_heads][block, (head - p.heads) % kv_heads, offset] = values


def _turned(x: "object", turn: "object") -> "object":
    import numpy as np

    z = (x[0::2] + 1j * x[1::2]) * turn
    return np.stack([z.real, z.imag], axis=1).reshape(-1)
