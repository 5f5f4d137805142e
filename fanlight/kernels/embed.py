"""Looks up the embedding of each row's token, dequantised, and counts the token for its slot's penalties.

A token may be given as FROM_SLOT: then it is the id last sampled for the row's slot, which never left the GPU. Counts: bit 31
of token_counts[slot, token] says that the prompt has the token, the rest counts how often it was generated."""

from fanlight.arrays import Array
from fanlight.kernels import fused, linear
from fanlight.kernels.expressions import Fused
from fanlight.kernels.fused import site
from fanlight.kernels.inputs import FROM_SLOT, read_rows
from fanlight.kernels.spec import Kernel, kernel

IN_PROMPT = 0x8000_0000


def make(
    format: str, n: int, k: int, stride: int, vocab_size: int, first_row: int, rows_at: int, epilogue: Fused | None = None
) -> Kernel:
    """W [n, k] holds rows first_row.. of the table; the part with first_row 0 also counts. epilogue: of an element alone."""
    after = site("epilogue", epilogue, k)
    assert after.fused.values == 1 and not after.fused.operands, epilogue
    bindings = linear.weight_bindings(format) | {
        "inputs": "array<u32>",
        "next_token": "array<u32>",
        "token_counts": "+array<atomic<u32>>",
        "y": "+array<f32>",
    }
    constants = linear.packing_of(format, n, k).constants() | {
        "N": n,
        "K": k,
        "GROUPS": linear.packing_of(format, n, k).padded_cols // 32,
        "Y_STRIDE": stride,
        "VOCAB": vocab_size,
        "FIRST_ROW": first_row,
        "ROWS_AT": rows_at,
    }
    files = (*linear.weight_files(format), "lib/row.wgsl", "embed.wgsl")
    return kernel("embed", bindings, constants, files, (), format, after, fused.wgsl(after))


def grid(rows: int) -> tuple[int, int, int]:
    return (rows, 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    n, k, stride, vocab, first = (kernel.constant(c) for c in ("N", "K", "Y_STRIDE", "VOCAB", "FIRST_ROW"))
    table = linear.dequantized(kernel.format, n, k, arrays["w"])
    rows = read_rows(arrays["inputs"].view(np.uint32), kernel.constant("ROWS_AT"))
    out = arrays["y"].view(np.float32)
    for row, (token, _, slot, is_output) in enumerate(rows):
        if token & FROM_SLOT:
            token = int(arrays["next_token"].view(np.uint32)[slot])
        token = min(token, vocab - 1)
        if first == 0:
            counts = arrays["token_counts"].view(np.uint32)
            counts[slot * vocab + token] = (
                counts[slot * vocab + token] + 1 if is_output else counts[slot * vocab + token] | IN_PROMPT
            )
        if first <= token < first + n:
            values = table[token - first].astype(np.float64)[None]
            out[row * stride : row * stride + k] = fused.apply(kernel.problem, arrays, [values], [row], np.arange(k))[0]
