"""Attention of few rows, each over its own sequence's cache: attention.py for decoding.

A workgroup takes one row, SUB query heads that share a key head, and one of SPLITS parts of the positions; what the splits
found is joined by their reader (gemv_int8.py's staging, or attention_reduce.py)."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import attention
from fanlight.kernels.attention import Attention, score_function_at
from fanlight.kernels.linear import to_int8
from fanlight.kernels.spec import Kernel, kernel


@dataclass(frozen=True, slots=True)
class Shape:
    """How the work is cut. Workgroup memory: about 36 bytes a thread and head."""

    workgroup: int = 256  # threads
    tile: int = 256  # positions scored at a time: the workgroup's threads or an even part of them
    heads: int = 1  # query heads of a workgroup, as far as they share a key head


def default_shape(p: Attention) -> Shape:
    """Within 16 KiB of workgroup memory. A large head's positions have two threads each: docs/log.md."""
    return Shape(256, 128 if p.kv.head_dim >= 128 else 256, 1)


def sub(p: Attention, shape: Shape) -> int:
    group = p.heads // p.kv.kv_heads
    return max(s for s in range(1, shape.heads + 1) if group % s == 0)


def takes(p: Attention) -> bool:
    return p.is_plain and p.kv.head_dim % 16 == 0 and p.kv.head_dim <= 256


@lru_cache(maxsize=64)
def make(p: Attention, shape: Shape, gives_int8: bool = False) -> Kernel:
    """Operands as attention.py's; `state` only where positions are split. gives_int8: y quantised, as gemv_int8.py wants it."""
    p.must_be_plain("attention_decode")
    bindings = {"q": "array<vec4<f32>>", "kv": f"array<{p.kv.type.eight}>", "inputs": "array<u32>", "block_table": "array<u32>"}
    bindings |= bindings_after(p, gives_int8)
    files = ("lib/row.wgsl", "lib/kv.wgsl", "lib/query_given.wgsl", *files_after(p, gives_int8))
    return kernel("attention_decode", bindings, constants(p, shape), files, problem=p, generated=score_function_at(p.score))


# What attention_append.py has too:
def bindings_after(p: Attention, gives_int8: bool) -> dict[str, str]:
    made = p.slopes[0] | {"y": "+array<vec4<u32>>" if gives_int8 else "+array<vec4<f32>>"}
    made |= {"state": "+array<vec2<f32>>"} if p.splits > 1 else {}
    return made | ({"y_scales": "+array<vec2<f32>>"} if gives_int8 else {})


def constants(p: Attention, shape: Shape) -> dict[str, int]:
    return p.kv.constants() | {
        "HEADS": p.heads,
        "SUB": sub(p, shape),
        "SPLITS": p.splits,
        "WINDOW": p.window or 0,
        "WORKGROUP": shape.workgroup,
        "TILE": shape.tile,
        "ROWS_AT": p.rows_at,
        "VALUES_AT": p.kv.values_at,
    }


def files_after(p: Attention, gives_int8: bool) -> tuple[str, ...]:
    whole = ("lib/int8.wgsl", "lib/give_int8.wgsl") if gives_int8 else ("lib/give_whole.wgsl",)
    give = ("lib/give_split.wgsl",) if p.splits > 1 else whole
    return (p.kv.reads("kv8"), p.slopes[1], *give, "attention_decode.wgsl")


def grid(p: Attention, shape: Shape) -> tuple[int, int, int]:
    return (p.heads // sub(p, shape) * p.splits, p.rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    write(kernel, kernel.problem, arrays, grid)


def write(kernel: Kernel, p: Attention, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    if "y_scales" not in arrays:
        return attention.reference(kernel, arrays, grid, tile=1)
    import numpy as np

    whole = np.zeros(p.rows * p.heads * p.kv.head_dim, np.float32)
    attention.reference(kernel, {**arrays, "y": whole}, grid, tile=1)
    return to_int8(whole.reshape(1, -1), arrays["y"], arrays["y_scales"], whole.size)
