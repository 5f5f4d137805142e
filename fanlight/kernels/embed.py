"""Looks up the embedding of each row's token, dequantised, and counts the token for its slot's penalties.

A token may be given as FROM_SLOT: then it is the id last sampled for the row's slot, which never left the GPU. Counts: bit 31
of token_counts[slot, token] says that the prompt has the token, the rest counts how often it was generated. Encoders and vision
towers look up other things of a row too (INDICES), and count nothing. A line that the table has not is zeros."""

from dataclasses import dataclass

from fanlight.arrays import Array
from fanlight.kernels import fused, linear
from fanlight.kernels.expressions import Fused
from fanlight.kernels.fused import Site, site
from fanlight.kernels.inputs import FROM_SLOT, NO_PATCH, ROW_IS_OUTPUT, ROW_IS_SECOND, ROW_WORDS
from fanlight.kernels.spec import Kernel, kernel

IN_PROMPT = 0x8000_0000
# What of a row says which line of the table is its own. token: counted, and perhaps FROM_SLOT; given: the token as it stands;
# again: as token, in one more table, which may be shorter: uncounted, and the first line where the table has none;
# position; second: 1 of the second text of a pair, else 0; place: of a patch of a picture, in a table with a line for each.
INDICES = ("token", "given", "again", "position", "second", "place")


TOKENS = ("token", "again")  # perhaps one that was sampled


@dataclass(frozen=True, slots=True)
class Lookup:
    after: Site
    index: str
    table: tuple[int, int] = (0, 0)


def make(
    format: str,
    n: int,
    k: int,
    stride: int,
    vocab_size: int,
    first_row: int,
    rows_at: int,
    epilogue: Fused | None = None,
    index: str = "token",
    table: tuple[int, int] = (0, 0),
) -> Kernel:
    """W [n, k] holds rows first_row.. of a table of vocab_size; the part with first_row 0 also counts. epilogue: of an element
    alone. index: one of INDICES; table: of "place", lines to a row of patches, and the line of the first patch."""
    after = site("epilogue", epilogue, k)
    assert after.fused.values == 1 and not after.fused.operands, epilogue
    bindings = linear.weight_bindings(format) | {
        "inputs": "array<u32>",
        **({"next_token": "array<u32>"} if index in TOKENS else {}),
        **({"token_counts": "+array<atomic<u32>>"} if index == "token" else {}),
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
        **({"TABLE_WIDTH": table[0], "TABLE_FIRST": table[1]} if index == "place" else {}),
    }
    files = (*linear.weight_files(format), "lib/row.wgsl", f"lib/index_{index}.wgsl", "embed.wgsl")
    return kernel("embed", bindings, constants, files, (), format, Lookup(after, index, table), fused.wgsl(after))


def line_of(place: int, width: int, first: int) -> int:
    """Of a patch, in a table of `width` lines to a row of patches, from `first` on; 0 of what is no patch."""
    return 0 if place == NO_PATCH else first + (place >> 16) * width + (place & 0xFFFF)


def grid(rows: int) -> tuple[int, int, int]:
    return (rows, 1, 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    n, k, stride, vocab, first = (kernel.constant(c) for c in ("N", "K", "Y_STRIDE", "VOCAB", "FIRST_ROW"))
    table = linear.dequantized(kernel.format, n, k, arrays["w"])
    out, lookup = arrays["y"].view(np.float32), kernel.problem
    for row, (index, is_there) in enumerate(_indices(lookup, arrays, vocab, kernel.constant("ROWS_AT"), first == 0)):
        if first <= index < first + n:
            values = table[index - first].astype(np.float64)[None] * is_there
            out[row * stride : row * stride + k] = fused.apply(lookup.after, arrays, [values], [row], np.arange(k))[0]


def _indices(lookup: Lookup, arrays: dict[str, Array], vocab: int, rows_at: int, counts_tokens: bool) -> list[tuple[int, bool]]:
    """Of each row, and whether the table has it; where tokens are counted, they are."""
    import numpy as np

    index = lookup.index
    inputs = arrays["inputs"].view(np.uint32)
    found = []
    for token, position, slot, flags in inputs[rows_at:][: ROW_WORDS * int(inputs[0])].reshape(-1, ROW_WORDS).tolist():
        if index in TOKENS and token & FROM_SLOT:
            token = int(arrays["next_token"].view(np.uint32)[slot])
        by = {"token": token, "given": token, "position": position, "second": int(bool(flags & ROW_IS_SECOND))}
        by["place"], by["again"] = line_of(token, *lookup.table), token if token < vocab else 0
        line = min(by[index], vocab - 1)
        found.append((line, by[index] < vocab))
        if index == "token" and counts_tokens:
            counts, at = arrays["token_counts"].view(np.uint32), slot * vocab + line
            counts[at] = counts[at] + 1 if flags & ROW_IS_OUTPUT else counts[at] | IN_PROMPT
    return found
