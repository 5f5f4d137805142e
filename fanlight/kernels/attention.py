"""Causal attention over the paged KV cache, for one row or many.  FlashAttention's online softmax: https://arxiv.org/abs/2205.14135

A workgroup takes R neighbouring rows of the step and SUB query heads that share a key head, so a key is read once for all of
them, and goes over the row's positions 64 at a time. Where rows are few, positions are split over SPLITS workgroups, whose
partial results attention_reduce.py joins. Neighbouring rows may belong to different sequences: then the workgroup takes one
sequence after the other.

Scores may depend on positions too: score is an expression of the scaled score, of its head's slope, and of the positions of the
key and of the row (ALiBi, https://arxiv.org/abs/2108.12409).

This is the attention that takes everything: any heads, keys and values of different widths, sinks. attention_decode.py,
attention_prefill.py and attention_matrix.py are faster where they can (`takes`)."""

from dataclasses import dataclass

from fanlight.arrays import Array
from fanlight.kernels.expressions import Expr, argument, evaluate, wgsl_function, wgsl_helpers
from fanlight.kernels.inputs import AHEAD_SHIFT, MAX_AHEAD, read_rows, word_of_rows
from fanlight.kernels.kv import KVLayout, layout_of
from fanlight.kernels.spec import Kernel, ceil_div, kernel

WORKGROUP = 128
TILE = 64
MAX_ROWS = 16  # rows times heads of a workgroup
MAX_QUERY = 2048  # f32 of queries in workgroup memory: 8 KiB
MAX_HEAD_DIM = 512  # of values: what a thread keeps of the result in registers
MAX_KEY_DIM = 1024


@dataclass(frozen=True, slots=True)
class Attention:
    """score: of the scaled score, before what a row may not see is masked. has_sinks: each head has one more score, to no
    value, in what its softmax divides by.  https://arxiv.org/abs/2309.17453  has_slopes: score takes its other inputs too."""

    rows: int
    heads: int
    kv: KVLayout
    rows_at: int
    splits: int = 1
    window: int | None = None
    score: Expr | None = None
    has_sinks: bool = False
    has_slopes: bool = False

    @property
    def is_plain(self) -> bool:
        """Keys and values of one width, and no sinks: what the fast kernels ask for."""
        return self.kv.v_dim == self.kv.head_dim and not self.has_sinks

    def must_be_plain(self, stem: str) -> None:
        if not self.is_plain:
            raise ValueError(f"{stem}: expected values as wide as keys and no sinks, got {self}")

    @property
    def slopes(self) -> tuple[dict[str, str], str]:
        """The binding that they need, and the file that reads it."""
        return ({"slopes": "array<f32>"}, "lib/slopes.wgsl") if self.has_slopes else ({}, "lib/slopes_none.wgsl")

    @property
    def sub(self) -> int:
        """Query heads of one key head that a workgroup takes: the most that fit."""
        group = self.heads // self.kv.kv_heads
        most = min(MAX_ROWS, MAX_QUERY // self._widest)
        return max(s for s in range(1, group + 1) if group % s == 0 and (s <= most or s == 1))

    @property
    def tile_rows(self) -> int:
        if self.rows <= 8:
            return 1
        return max(1, min(MAX_ROWS // self.sub, MAX_QUERY // (self._widest * self.sub)))

    @property
    def _widest(self) -> int:
        return max(self.kv.head_dim, self.kv.v_dim)


def takes(p: Attention) -> bool:
    return p.kv.v_dim <= MAX_HEAD_DIM and p.kv.head_dim <= MAX_KEY_DIM and (p.splits == 1 or not p.has_sinks)


def score_function(score: Expr | None, type: str = "f32") -> str:
    """WGSL of `score_of`, which every kernel of attention applies to its scores."""
    return _score_function(score, ["s"], f"s: {type}", type)


def score_function_at(score: Expr | None, type: str = "f32") -> str:
    """The same, of a score's head and positions too."""
    given = f"s: {type}, slope: f32, key: {type}, own: f32"
    return _score_function(score, ["s", f"{type}(slope)", "key", f"{type}(own)"], given, type)


def _score_function(score: Expr | None, inputs: list[str], given: str, type: str) -> str:
    expr = score or argument(0)
    return wgsl_helpers([expr], [type]) + wgsl_function("score_of", expr, inputs, given, type)


def make(p: Attention) -> Kernel:
    """q [rows, heads, D] (scaled), sinks [heads], slopes [heads] -> y [rows, heads, DV]; with splits: y [rows, heads, splits,
    DV] not yet divided, and state [rows, heads, splits] of (maximum, sum)."""
    if not takes(p):
        raise ValueError(
            f"attention: expected heads of at most {MAX_HEAD_DIM}, keys of {MAX_KEY_DIM}, no splits where sinks are, got {p}"
        )
    bindings = {
        "q": "array<vec4<f32>>",
        "kv": f"array<{p.kv.type.four}>",
        "inputs": "array<u32>",
        "block_table": "array<u32>",
        "y": "+array<vec4<f32>>",
        "state": "+array<vec2<f32>>",
    }
    bindings |= {"sinks": "array<f32>"} if p.has_sinks else {}
    bindings |= p.slopes[0]
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
    sinks = "lib/sinks.wgsl" if p.has_sinks else "lib/sinks_none.wgsl"
    files = ("lib/row.wgsl", "lib/kv.wgsl", "lib/segment.wgsl", p.kv.reads("kv_read"), sinks, p.slopes[1], "attention.wgsl")
    return kernel("attention", bindings, constants, files, problem=p, generated=score_function_at(p.score))


def grid(p: Attention) -> tuple[int, int, int]:
    return (p.heads // p.sub * p.splits, ceil_div(p.rows, p.tile_rows), 1)


def reference(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int], tile: int = TILE) -> None:
    """tile: splits are whole tiles."""
    import numpy as np

    heads, splits, window = (kernel.constant(n) for n in ("HEADS", "SPLITS", "WINDOW"))
    layout, score = layout_of(kernel), kernel.problem.score or argument(0)
    d, group = layout.head_dim, heads // layout.kv_heads
    inputs, rows_at = arrays["inputs"].view(np.uint32), kernel.constant("ROWS_AT")
    rows = read_rows(inputs, rows_at)
    table = arrays["block_table"].view(np.uint32)
    keys, values = (cache.astype(np.float64) for cache in (layout.keys(arrays["kv"]), layout.values(arrays["kv"])))
    queries = arrays["q"].view(np.float32)
    flags = word_of_rows(inputs, rows_at, 3)
    slopes = arrays["slopes"].view(np.float32)[:heads, None] if "slopes" in arrays else np.zeros((heads, 1), np.float32)
    for row, (_, position, slot, _) in enumerate(rows):
        start = max(0, position + 1 - window) if window else 0
        ahead = flags[row] >> AHEAD_SHIFT & MAX_AHEAD
        where = np.arange(start, position + ahead + 1)
        blocks = table[slot * layout.max_blocks_per_seq + where // layout.block_size]
        seen = (x[blocks, :, where % layout.block_size].repeat(group, axis=1) for x in (keys, values))  # [S, H, D]
        seen_keys, seen_values = seen
        q = queries[row * heads * d :][: heads * d].reshape(heads, d).astype(np.float64)
        scores = evaluate(score, [np.einsum("hd,shd->hs", q, seen_keys), slopes, where[None], position], np)
        per = ceil_div(ceil_div(len(where), splits), tile) * tile
        for split in range(splits):
            part = slice(split * per, (split + 1) * per)
            _write_part(arrays, scores[:, part], seen_values[part], row, split, splits)


def _write_part(arrays: dict[str, Array], scores: Array, values: Array, row: int, split: int, splits: int) -> None:
    import numpy as np

    heads, d = values.shape[1:]
    top, rest = scores.max(axis=1) if scores.size else np.full(heads, -1e30), np.zeros(heads)
    if "sinks" in arrays:
        sinks = arrays["sinks"].view(np.float32)[:heads].astype(np.float64)
        top = np.maximum(top, sinks)
        rest = np.exp(sinks - top)
    p = np.exp(scores - top[:, None])
    out = np.einsum("hs,shd->hd", p, values)
    total = p.sum(axis=1) + rest
    y = arrays["y"].view(np.float32)
    if splits == 1:
        y[row * heads * d :][: heads * d] = (out / total[:, None]).reshape(-1)
        return
    state = arrays["state"].view(np.float32)
    for head in range(heads):
        at = (row * heads + head) * splits + split
        y[at * d : (at + 1) * d] = out[head]
        state[2 * at : 2 * at + 2] = top[head], total[head]
