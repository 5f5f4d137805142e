"""Causal attention over the paged KV cache, for one row or many.  FlashAttention's online softmax: https://arxiv.org/abs/2205.14135

A workgroup takes R neighbouring rows of the step and SUB query heads that share a key head, so a key is read once for all of
them, and goes over the row's positions 64 at a time. Where rows are few, positions are split over SPLITS workgroups, whose
partial results attention_reduce.py joins. Neighbouring rows may belong to different sequences: then the workgroup takes one
sequence after the other."""

from dataclasses import dataclass

from fanlight.kernels.inputs import ROW_WORDS
from fanlight.kernels.kv import KVLayout, layout_of
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 128
TILE = 64
MAX_ROWS = 16  # rows times heads of a workgroup
MAX_QUERY = 2048  # f32 of queries in workgroup memory: 8 KiB


@dataclass(frozen=True, slots=True)
class Attention:
    rows: int
    heads: int
    kv: KVLayout
    rows_at: int
    splits: int = 1
    window: int | None = None

    @property
    def sub(self) -> int:
        """Query heads of one key head that a workgroup takes: the most that fit."""
        group = self.heads // self.kv.kv_heads
        most = min(MAX_ROWS, MAX_QUERY // self.kv.head_dim)
        return max(s for s in range(1, group + 1) if group % s == 0 and (s <= most or s == 1))

    @property
    def tile_rows(self) -> int:
        if self.rows <= 8:
            return 1
        return max(1, min(MAX_ROWS // self.sub, MAX_QUERY // (self.kv.head_dim * self.sub)))


def make(p: Attention) -> Kernel:
    """q [rows, heads, D] (scaled) -> y [rows, heads, D]; with splits: y [rows, heads, splits, D] not yet divided, and
    state [rows, heads, splits] of (maximum, sum)."""
    bindings = {
        "q": "array<vec4<f32>>",
        "kv": "array<vec2<u32>>" if p.kv.dtype == "f16" else "array<vec4<f32>>",
        "inputs": "array<u32>",
        "block_table": "array<u32>",
        "y": "+array<vec4<f32>>",
        "state": "+array<vec2<f32>>",
    }
    constants = p.kv.constants() | {
        "HEADS": p.heads,
        "SUB": p.sub,
        "R": p.tile_rows,
        "SPLITS": p.splits,
        "WINDOW": p.window or 0,
        "WORKGROUP": WORKGROUP,
        "TILE": TILE,
        "ROWS_AT": p.rows_at,
    }
    files = ("lib/kv.wgsl", "lib/segment.wgsl", f"lib/kv_read_{p.kv.dtype}.wgsl", "attention.wgsl")
    return kernel("attention", bindings, constants, files)


def grid(p: Attention) -> tuple[int, int, int]:
    return (p.heads // p.sub * p.splits, ceil_div(p.rows, p.tile_rows), 1)


def reference(kernel: Kernel, arrays: dict, grid: tuple[int, int, int], tile: int = TILE) -> None:
    """tile: splits are whole tiles."""
    import numpy as np

    heads, splits, window = (kernel.constant(n) for n in ("HEADS", "SPLITS", "WINDOW"))
    layout = layout_of(kernel)
    d, group = layout.head_dim, heads // layout.kv_heads
    inputs, table = arrays["inputs"].view(np.uint32), arrays["block_table"].view(np.uint32)
    cache = layout.array(arrays["kv"]).astype(np.float64)
    queries = arrays["q"].view(np.float32)
    for row in range(int(inputs[0])):
        _, position, slot, _ = (int(v) for v in inputs[kernel.constant("ROWS_AT") + ROW_WORDS * row :][:4])
        start = max(0, position + 1 - window) if window else 0
        where = np.arange(start, position + 1)
        blocks = table[slot * layout.max_blocks_per_seq + where // layout.block_size]
        keys = cache[0, blocks, :, where % layout.block_size].repeat(group, axis=1)  # [S, H, D]
        values = cache[1, blocks, :, where % layout.block_size].repeat(group, axis=1)
        q = queries[row * heads * d :][: heads * d].reshape(heads, d).astype(np.float64)
        scores = np.einsum("hd,shd->hs", q, keys)
        per = ceil_div(ceil_div(len(where), splits), tile) * tile
        for split in range(splits):
            part = slice(split * per, (split + 1) * per)
            _write_part(arrays, scores[:, part], values[part], row, heads, d, split, splits)


def _write_part(arrays, scores, values, row, heads, d, split, splits):
    import numpy as np

    top = scores.max(axis=1) if scores.size else np.full(heads, -1e30)
    p = np.exp(scores - top[:, None])
    out = np.einsum("hs,shd->hd", p, values)
    y = arrays["y"].view(np.float32)
    if splits == 1:
        y[row * heads * d :][: heads * d] = (out / p.sum(axis=1, keepdims=True)).reshape(-1)
        return
    state = arrays["state"].view(np.float32)
    for head in range(heads):
        at = (row * heads + head) * splits + split
        y[at * d : (at + 1) * d] = out[head]
        state[2 * at : 2 * at + 2] = top[head], p.sum(axis=1)[head]
