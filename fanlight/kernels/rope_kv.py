"""After the QKV product: normalises heads where the model does, rotates q and k, scales q, appends k and v to the KV cache.

Rotary pairs are neighbours (element 2i turns with 2i+1): weights were reordered so at upload. Angles are reduced and sines
computed here, since WGSL's sin promises no more than 2^-11.  RoPE: https://arxiv.org/abs/2104.09864"""

from fanlight.kernels.inputs import ROW_WORDS
from fanlight.kernels.kv import KVLayout, layout_of
from fanlight.kernels.spec import Kernel, kernel


def make(
    heads: int, kv: KVLayout, qkv_stride: int, scale: float, rope_scale: float, rows_at: int, eps: float | None = None
) -> Kernel:
    """qkv [T, (heads + 2 kv_heads) * D] -> q [T, heads * D], times `scale` (attention's), and the cache. eps: of q_norm and
    k_norm; None where there are none."""
    bindings = {"qkv": "array<f32>", "inputs": "array<u32>", "block_table": "array<u32>", "inv_freq": "array<f32>"}
    bindings |= {"q_norm": "array<f32>", "k_norm": "array<f32>"} if eps is not None else {}
    bindings |= {"kv": "+array<u32>" if kv.dtype == "f16" else "+array<vec2<f32>>", "q": "+array<f32>"}
    constants = kv.constants() | {
        "HEADS": heads,
        "QKV_STRIDE": qkv_stride,
        "SCALE": float(scale),
        "ROPE_SCALE": float(rope_scale),
        "EPS": eps or 0.0,
        "ROWS_AT": rows_at,
    }
    norm = "lib/head_norm_none.wgsl" if eps is None else "lib/head_norm.wgsl"
    files = ("lib/kv.wgsl", f"lib/kv_write_{kv.dtype}.wgsl", "lib/sincos.wgsl", norm, "rope_kv.wgsl")
    return kernel("rope_kv", bindings, constants, files)


def grid(rows: int, heads: int, kv_heads: int) -> tuple[int, int, int]:
    return (heads + 2 * kv_heads, rows, 1)


def reference(kernel: Kernel, arrays: dict, grid: tuple[int, int, int]) -> None:
    import numpy as np

    heads, stride = kernel.constant("HEADS"), kernel.constant("QKV_STRIDE")
    layout = layout_of(kernel)
    kv_heads, d = layout.kv_heads, layout.head_dim
    inputs = arrays["inputs"].view(np.uint32)
    table = arrays["block_table"].view(np.uint32)
    cache = layout.array(arrays["kv"])
    inv_freq = arrays["inv_freq"].view(np.float32)[: d // 2]
    out = arrays["q"].view(np.float32)
    for row in range(int(inputs[0])):
        _, position, slot, _ = (int(v) for v in inputs[kernel.constant("ROWS_AT") + ROW_WORDS * row :][:4])
        x = arrays["qkv"].view(np.float32)[row * stride :][: (heads + 2 * kv_heads) * d].reshape(-1, d).astype(np.float64)
        q, k, v = x[:heads], x[heads : heads + kv_heads], x[heads + kv_heads :]
        if "q_norm" in arrays:
            q = _normalized(q, arrays["q_norm"].view(np.float32)[:d], kernel.constant("EPS"))
            k = _normalized(k, arrays["k_norm"].view(np.float32)[:d], kernel.constant("EPS"))
        angle = (np.float32(position) * inv_freq).astype(np.float64)
        turn = (np.cos(angle) + 1j * np.sin(angle)) * kernel.constant("ROPE_SCALE")
        q, k = _turned(q, turn), _turned(k, turn)
        out[row * heads * d :][: heads * d] = (q * kernel.constant("SCALE")).reshape(-1)
        block = int(table[slot * layout.max_blocks_per_seq + position // layout.block_size])
        cache[0, block, :, position % layout.block_size] = k
        cache[1, block, :, position % layout.block_size] = v


def _normalized(x, weight, eps):
    import numpy as np

    return x / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + eps) * weight


def _turned(x, turn):
    import numpy as np

    z = (x[:, 0::2] + 1j * x[:, 1::2]) * turn
    return np.stack([z.real, z.imag], axis=2).reshape(x.shape)
