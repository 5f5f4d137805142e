"""Causal attention over the paged KV cache for many rows.  FlashAttention: https://arxiv.org/abs/2205.14135

A workgroup takes M queries that share a key head (neighbouring rows of the step, times the query heads of the group), and goes
over the positions KEYS at a time: scores in registers, 4 keys by a few queries a thread; softmax over workgroup memory; then
values, four elements by a few queries a thread. Rows that see most come first, so that the last workgroups are short ones.
Neighbouring rows may belong to different sequences: then the workgroup takes one sequence after the other. Where rows are
few: attention.py."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.kernels import attention
from fanlight.kernels.attention import Attention, score_function_at
from fanlight.kernels.kv import KVLayout
from fanlight.kernels.spec import Kernel, ceil_div, kernel

DEFAULT_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class Tile:
    """queries x keys, by so many threads."""

    queries: int
    keys: int
    workgroup: int = 128

    def num_bytes(self, kv: KVLayout) -> int:
        """Workgroup memory."""
        tile = self.keys * (kv.head_dim // 4 + 1) * kv.type.cell_bytes
        scores = self.queries * (self.keys // 4 + 1) * 16
        return self.queries * kv.head_dim * 4 + tile + scores + 4 * (4 * self.queries + self.workgroup)


TILES = (Tile(64, 64, 256), Tile(64, 32), Tile(32, 32), Tile(32, 16), Tile(16, 16), Tile(8, 16), Tile(8, 8))


def default_tile(p: Attention, workgroup_bytes: int = DEFAULT_BYTES) -> Tile:
    return next((tile for tile in TILES if tile.num_bytes(p.kv) <= workgroup_bytes), TILES[-1])


def takes(p: Attention, workgroup_bytes: int = DEFAULT_BYTES) -> bool:
    tile = default_tile(p, workgroup_bytes)
    return p.is_plain and p.splits == 1 and tile.num_bytes(p.kv) <= workgroup_bytes and p.kv.head_dim <= 4 * tile.workgroup


def heads_of(p: Attention, tile: Tile) -> int:
    """Query heads of one key head that a workgroup takes."""
    group = p.heads // p.kv.kv_heads
    return max(s for s in range(1, group + 1) if group % s == 0 and (s <= tile.queries or s == 1))


@lru_cache(maxsize=64)
def make(p: Attention, tile: Tile | None = None) -> Kernel:
    """q [rows, heads, D] (scaled) -> y [rows, heads, D]"""
    p.must_be_plain("attention_prefill")
    tile = tile or default_tile(p)
    bindings = {
        "q": "array<vec4<f32>>",
        "kv": f"array<{p.kv.type.four}>",
        "inputs": "array<u32>",
        "block_table": "array<u32>",
        "y": "+array<vec4<f32>>",
        **p.slopes[0],
    }
    sub = heads_of(p, tile)
    constants: dict[str, int | float | str] = {
        **p.kv.constants(),
        "HEADS": p.heads,
        "SUB": sub,
        "R": tile.queries // sub,
        "M": tile.queries,
        "KEYS": tile.keys,
        "WORKGROUP": tile.workgroup,
        "WINDOW": p.window or 0,
        "ROWS_AT": p.rows_at,
        "Cell": p.kv.type.cell,
    }
    files = ("lib/row.wgsl", "lib/kv.wgsl", "lib/segment.wgsl", p.kv.reads("kv_cell"), p.slopes[1], "attention_prefill.wgsl")
    generated = score_function_at(p.score, "vec4<f32>")
    return kernel("attention_prefill", bindings, constants | {"SPLITS": 1}, files, problem=p, generated=generated)


def grid(p: Attention, tile: Tile | None = None) -> tuple[int, int, int]:
    tile = tile or default_tile(p)
    sub = heads_of(p, tile)
    return (p.heads // sub, ceil_div(p.rows, tile.queries // sub), 1)


reference = attention.reference
