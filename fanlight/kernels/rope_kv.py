"""After the QKV product: normalises heads where the model does, rotates q and k, scales q, appends k and v to the KV cache.

Rotary pairs are neighbours (element 2i turns with 2i+1): weights were reordered so at upload. Angles are reduced and sines
computed here, since WGSL's sin promises no more than 2^-11.  RoPE: https://arxiv.org/abs/2104.09864"""

from functools import lru_cache

from fanlight.arrays import Array
from fanlight.kernels.expressions import evaluate, wgsl_function, wgsl_helpers
from fanlight.kernels.rotary import POSITIONS, HeadNorm, Rope, turn_and_append
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 256


@lru_cache(maxsize=64)
def make(p: Rope, qkv_stride: int, norm: HeadNorm | None = None) -> Kernel:
    """qkv [T, (heads + 2 kv_heads) * D], and with norm q_norm [D] and k_norm [D] -> q [T, heads * D], times p.scale
    (attention's), and the cache."""
    bindings = {"qkv": "array<f32>", "inputs": "array<u32>"} | bindings_after(p, norm)
    sizes = constants(p, norm) | {"QKV_STRIDE": qkv_stride}
    names = ("lib/qkv_whole.wgsl", *files(p, norm))
    return kernel("rope_kv", bindings, sizes, names, problem=(p, norm), generated=generated(norm))


def bindings_after(p: Rope, norm: HeadNorm | None) -> dict[str, str]:
    """Those after q, k and v."""
    bindings = {"block_table": "array<u32>", "inv_freq": "array<f32>"}
    bindings |= {"q_norm": "array<f32>", "k_norm": "array<f32>"} if norm else {}
    return bindings | {"kv": f"+array<{p.kv.type.written}>", "q": "+array<f32>"}


def constants(p: Rope, norm: HeadNorm | None) -> dict[str, int | float]:
    lanes = lanes_of(p)
    return p.constants() | {"EPS": norm.eps if norm else 0.0, "LANES": lanes, "HEADS_HERE": WORKGROUP // lanes}


def lanes_of(p: Rope) -> int:
    """Threads to a head, four elements to each at a time."""
    return 16 if p.kv.head_dim <= 64 else 32


def files(p: Rope, norm: HeadNorm | None) -> tuple[str, ...]:
    main = "lib/rope_spans.wgsl" if p.kv.type.has_scales else "rope_kv.wgsl"
    return (*files_before(p, norm), *p.kv.writes, main)


def files_before(p: Rope, norm: HeadNorm | None) -> tuple[str, ...]:
    """That norm and turn heads."""
    head_norm = "lib/head_norm.wgsl" if norm else "lib/head_norm_none.wgsl"
    return ("lib/row.wgsl", "lib/kv.wgsl", "lib/sincos.wgsl", POSITIONS[p.by], head_norm, "lib/turn_heads.wgsl")


def generated(norm: HeadNorm | None) -> str:
    if norm is None:
        return ""
    type = "vec2<f32>"
    function = wgsl_function("head_normed", norm.weigh, ["value", "weight"], f"value: {type}, weight: {type}", type)
    return wgsl_helpers([norm.weigh], [type]) + function


def grid(p: Rope, rows: int) -> tuple[int, int, int]:
    return (ceil_div(p.heads + 2 * p.kv.kv_heads, WORKGROUP // lanes_of(p)), rows, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    (p, norm), stride = kernel.problem, kernel.constant("QKV_STRIDE")
    rows = int(arrays["inputs"].view(np.uint32)[0])
    x = arrays["qkv"].view(np.float32)[: rows * stride].reshape(rows, stride)
    norm_and_turn(p, arrays, x[:, : (p.heads + 2 * p.kv.kv_heads) * p.kv.head_dim], norm)


def norm_and_turn(p: Rope, arrays: dict[str, Array], x: Array, norm: HeadNorm | None) -> None:
    """x [rows, (heads + 2 kv_heads) * D]; writes arrays['q'] and the cache. (NumPy)"""
    import numpy as np

    d, heads, kv_heads = p.kv.head_dim, p.heads, p.kv.kv_heads
    x = x.astype(np.float64).reshape(len(x), -1, d)
    for name, part in (("q_norm", slice(0, heads)), ("k_norm", slice(heads, heads + kv_heads))):
        if norm:
            root = np.sqrt(np.mean(x[:, part] ** 2, axis=2, keepdims=True) + norm.eps)
            x[:, part] = evaluate(norm.weigh, [x[:, part] / root, arrays[name].view(np.float32)[:d]], np)
    turn_and_append(p, arrays, x.reshape(len(x), -1))
