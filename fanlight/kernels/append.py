"""k and v of a step's rows into the KV cache as they stand, where nothing else takes them there (rope_kv.py)."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.inputs import read_rows
from fanlight.kernels.kv import KVLayout
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 64


@dataclass(frozen=True, slots=True)
class Append:
    """Strides and offsets count f32 elements. k and v may lie in one buffer."""

    kv: KVLayout
    k_stride: int
    k_offset: int
    v_stride: int
    v_offset: int
    rows_at: int

    @property
    def elements(self) -> int:
        """Of a row, keys and values."""
        return self.kv.kv_heads * (self.kv.head_dim + self.kv.v_dim)


@lru_cache(maxsize=64)
def make(p: Append) -> Kernel:
    """k [rows, kv_heads * D], v [rows, kv_heads * DV] -> the cache"""
    bindings = {"k": "array<f32>", "v": "array<f32>", "inputs": "array<u32>", "block_table": "array<u32>"}
    bindings |= {"kv": f"+array<{p.kv.type.written}>"}
    constants = p.kv.constants() | {
        "K_STRIDE": p.k_stride,
        "K_OFFSET": p.k_offset,
        "V_STRIDE": p.v_stride,
        "V_OFFSET": p.v_offset,
        "ROWS_AT": p.rows_at,
        "WORKGROUP": WORKGROUP,
    }
    main = "lib/append_spans.wgsl" if p.kv.type.has_scales else "append.wgsl"
    files = ("lib/row.wgsl", "lib/kv.wgsl", *p.kv.writes, main)
    return kernel("append", bindings, constants, files, problem=p)


def grid(p: Append, rows: int) -> tuple[int, int, int]:
    return (ceil_div(p.elements // (p.kv.span if p.kv.type.has_scales else 2), WORKGROUP), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p, kv = kernel.problem, kernel.problem.kv
    rows, table = read_rows(arrays["inputs"].view(np.uint32), p.rows_at), arrays["block_table"].view(np.uint32)
    k, v = arrays["k"].view(np.float32), arrays["v"].view(np.float32)
    for row, (_, position, slot, _) in enumerate(rows):
        block, offset = int(table[slot * kv.max_blocks_per_seq + position // kv.block_size]), position % kv.block_size
        for which, x, start, width in (
            (0, k, row * p.k_stride + p.k_offset, kv.head_dim),
            (1, v, row * p.v_stride + p.v_offset, kv.v_dim),
        ):
            heads = x[start:][: kv.kv_heads * width].reshape(kv.kv_heads, width)
            kv.write(arrays["kv"], which, (block, slice(None), offset), heads)
