"""attention_decode.py of one row that begins with its rotation: q, k and v come as their product made them. Every workgroup
does for its heads what rope_kv.py does; the first of each key head leaves the row's key and value in the cache."""

from dataclasses import dataclass
from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels import attention_decode, rope_kv
from fanlight.kernels.attention import Attention, score_function_at
from fanlight.kernels.attention_decode import Shape, sub
from fanlight.kernels.expressions import Expr
from fanlight.kernels.rotary import HeadNorm, Rope
from fanlight.kernels.spec import Kernel, kernel


@dataclass(frozen=True, slots=True)
class Appending:
    """Attention, and what comes before it. qkv_stride: elements from row to row of q, k and v."""

    attention: Attention
    rope: Rope
    norm: HeadNorm | None
    qkv_stride: int

    @property
    def score(self) -> Expr | None:
        return self.attention.score


def takes(problem: Appending, shape: Shape) -> bool:
    p = problem.attention
    has_threads = shape.workgroup >= (sub(p, shape) + 2) * rope_kv.lanes_of(problem.rope)
    has_threads = has_threads and shape.workgroup >= sub(p, shape) * p.kv.head_dim // 8
    return p.rows == 1 and not p.has_slopes and not p.kv.type.has_scales and has_threads and attention_decode.takes(p)


@lru_cache(maxsize=64)
def make(problem: Appending, shape: Shape, gives_int8: bool = False) -> Kernel:
    """Operands as rope_kv.py's, but for q, and as attention_decode.py's."""
    p, rope, norm = problem.attention, problem.rope, problem.norm
    bindings = {"qkv": "array<f32>", "inputs": "array<u32>"}
    bindings |= {name: type for name, type in rope_kv.bindings_after(rope, norm).items() if name != "q"}
    bindings |= {"kv": f"+array<{p.kv.type.eight}>"} | attention_decode.bindings_after(p, gives_int8)
    sizes = attention_decode.constants(p, shape) | rope_kv.constants(rope, norm) | {"QKV_STRIDE": problem.qkv_stride}
    sizes |= {"HEADS_HERE": shape.workgroup // rope_kv.lanes_of(rope)}
    files = (
        *rope_kv.files_before(rope, norm),
        "lib/qkv_whole.wgsl",
        f"lib/kv8_write_{p.kv.dtype}.wgsl",
        "attention_append.wgsl",
        *attention_decode.files_after(p, gives_int8),
    )
    generated = rope_kv.generated(norm) + score_function_at(p.score)
    return kernel("attention_append", bindings, sizes, files, problem=problem, generated=generated)


def grid(problem: Appending, shape: Shape) -> tuple[int, int, int]:
    return attention_decode.grid(problem.attention, shape)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    problem: Appending = kernel.problem
    p = problem.attention
    width = (p.heads + 2 * p.kv.kv_heads) * p.kv.head_dim
    made = {**arrays, "q": np.zeros(4 * p.heads * p.kv.head_dim, np.uint8)}
    x = arrays["qkv"].view(np.float32)[:width].reshape(1, width)
    rope_kv.norm_and_turn(problem.rope, made, x, problem.norm)
    attention_decode.write(kernel, p, made, grid)
