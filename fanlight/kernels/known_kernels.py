"""The known answers of each kernel: see known.py. What a function does not know of a new variant it leaves alone (None)."""

import math
import struct
from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from fanlight.kernels.attention_append import Appending
from fanlight.kernels.expressions import argument, evaluate
from fanlight.kernels.grammar import MASKED
from fanlight.kernels.inputs import AXES, ROW_WORDS, TURNS_AT, Row, Sample
from fanlight.kernels.known import (
    SLOT,
    Grid,
    Known,
    ends,
    expect_kept,
    expect_turned,
    frequencies,
    kept_wave,
    rope_heads,
    rounded,
    turned_pair,
    wave,
    waves,
    write_table,
    write_waves,
)
from fanlight.kernels.known_experts import known_experts, known_mix, known_order, known_route
from fanlight.kernels.known_grammar import AFTER, write_grammar
from fanlight.kernels.known_images import known_keep_images, known_patches, known_put_images, known_stretch
from fanlight.kernels.known_linear import known_linear
from fanlight.kernels.known_rows import (
    known_embed,
    known_gather,
    known_lora_scale,
    known_map,
    known_norm,
    known_parts,
    known_parts_norm,
    known_pool,
    known_quantize,
    known_reorder,
    known_round_rows,
    known_upload,
    known_upload_columns,
    known_upload_nibbles,
    known_upload_values,
    known_upload_vector,
    sum_of_parts,
    write_parts,
)
from fanlight.kernels.known_sound import (
    known_attention_kept,
    known_keep,
    known_level,
    known_mel,
    known_timestamps,
    known_unfold,
)
from fanlight.kernels.known_state import known_convolve, known_delta, known_scan, known_shift, known_wkv
from fanlight.kernels.known_streams import known_blend, known_rescale
from fanlight.kernels.kv import KVLayout, layout_of
from fanlight.kernels.logits import PART
from fanlight.kernels.rank import NONE
from fanlight.kernels.rotary import OF_PATCHES, OF_TEXT, HeadNorm, Rope
from fanlight.kernels.spec import Kernel


def _attention_reduce(kernel: Kernel, grid: Grid) -> Known:
    heads, d, splits = (kernel.constant(n) for n in ("HEADS", "D", "SPLITS"))
    made = Known()
    made.inputs([Row(0, 0, 0)], [])
    weights = [math.exp(-s / 2) for s in range(splits)]
    for head in ends(heads):
        made.floats("state", 2 * head * splits, [v for s in range(splits) for v in (-s / 2, 1 + wave(s) ** 2)])
        made.writes.append(("x", 4 * head * splits * d, b"".join(waves(s + head, d) for s in range(splits))))
        total = sum(w * (1 + wave(s) ** 2) for s, w in enumerate(weights))
        for i in ends(d):
            made.expect("y", head * d + i, sum(w * wave(s + head + i) for s, w in enumerate(weights)) / total)
    return made


# --- sampler ---------------------------------------------------------------------------------------------------------
def _logits(kernel: Kernel, grid: Grid) -> Known | None:
    """The first sample has a grammar, which refuses the largest logit."""
    v, parts = kernel.constant("V"), kernel.constant("PARTS")
    made, count = Known(), min(v, PART)
    hot = Sample(0, SLOT, 0.5, frequency_penalty=0.5, presence_penalty=0.25, repetition_penalty=1.25, has_bias=True)
    samples = [Sample(0, SLOT, grammar=write_grammar(made, v, SLOT)), hot][: grid[1]]
    made.inputs([Row(0, 0, 0)], samples)
    best = count * 2 // 9 * 3
    made.words("token_counts", 0, [(3, 0, 0x80000000, 0x80000001)[i % 4] for i in range(16)])
    made.writes.append(("logit_bias", 0, waves(3, 16)))
    for b in range(len(samples)):
        made.writes.append(("logits", 4 * b * v, waves(0, count)))
        made.floats("logits", b * v + best, [30.0, 40.0])
    made.expect("parts", 0, 30.0)
    made.expect("parts", 1, best, kind="u32")
    for i in range(6):
        made.expect("logits", i, MASKED if AFTER[i % 3] is None else wave(i))
    for i in range(1, 8) if len(samples) > 1 else ():
        times, x = (3, 0, 0, 1)[i % 4], wave(i) + wave(3 + i)
        x = x if i % 4 == 1 else x / 1.25 if x > 0 else x * 1.25
        x -= 0.5 * times + (0.25 if times else 0)
        made.expect("logits", v + i, x / 0.5)
    return made if best >= 16 and parts else None


def _sample(kernel: Kernel, grid: Grid) -> Known:
    """Greedy with a grammar, then draws whose cuts leave one token of 41 that are nearly as likely."""
    v, parts = kernel.constant("V"), kernel.constant("PARTS")
    draws = [Sample(0, 0), Sample(0, 1, temperature=1, top_k=1, seed=3), Sample(0, 2, temperature=1, top_p=0.02, seed=5)]
    made, draws = Known(), draws[: grid[0]]
    draws[0] = replace(draws[0], grammar=write_grammar(made, v, 0))
    made.inputs([Row(0, 0, 0)], draws)
    for b in range(len(draws)):
        token = (v * (2 * b + 1)) // 21 * 3
        made.writes.append(("logits", 4 * b * v, array("f", [-30.0]).tobytes() * v))
        made.floats("logits", b * v + token, [7.0, *[6.5] * min(40, v - token - 1)])
        best = [(7.0, token) if i == token // PART else (-30.0, i * PART) for i in range(parts)]
        made.writes.append(("parts", 8 * b * parts, b"".join(struct.pack("<fI", *pair) for pair in best)))
        made.expect("sampled", b, token, kind="u32")
        made.expect("next_token", draws[b].slot, token, kind="u32")
    state, stack = AFTER[0]
    for i, word in enumerate([state, len(stack), *stack]):
        made.expect("grammar_state", i, word, kind="u32")
    return made


def _rank(kernel: Kernel, grid: Grid) -> Known:
    """One logit far above the others of its part, which are equal."""
    v, parts, top = (kernel.constant(n) for n in ("V", "PARTS", "TOP"))
    is_after = bool(kernel.constant("AFTER"))
    made, samples = Known(), [Sample(0, SLOT, logprobs_of_draw=is_after)] * min(grid[1], 2)
    made.inputs([Row(0, 0, 0)], samples)
    for b in range(len(samples)):
        made.writes.append(("logits", 4 * b * v, array("f", [-2.0]).tobytes() * v))
        for part in ends(parts):
            first, count = part * PART, min(PART, v - part * PART)
            best = first + (2 * count + b) // 3 % count
            made.floats("logits", b * v + best, [3.0])
            made.expect("sums", 2 * (b * parts + part), 3.0)
            made.expect("sums", 2 * (b * parts + part) + 1, 1 + (count - 1) * math.exp(-5.0))
            made.expect("candidates", 2 * (b * parts + part) * top + 1, best, kind="u32")
            made.expect("kept", b * v + best, 3.0)
            if count > 1:
                made.expect("candidates", 2 * ((b * parts + part) * top + 1) + 1, first + (best == first), kind="u32")
    return made


def _logprobs(kernel: Kernel, grid: Grid) -> Known:
    """Three candidates in the last part; a token that was drawn, and one that the sample names."""
    v, parts, top = (kernel.constant(n) for n in ("V", "PARTS", "TOP"))
    drawn, row = v - 1, 1 + top
    samples = [Sample(0, SLOT), Sample(0, SLOT, scored=v // 2)][: grid[0]]
    made = Known()
    made.inputs([Row(0, 0, 0)], samples)
    made.words("sampled", 0, [drawn] * len(samples))
    for b in range(len(samples)):
        made.writes.append(("kept", 4 * b * v, array("f", [-1.0]).tobytes() * v))
        made.floats("kept", b * v + v // 2, [1.5])
        made.floats("kept", b * v + drawn, [2.0])
        made.floats("sums", 2 * b * parts, [1.0, 0.5] * (parts - 1) + [2.0, 3.0])
        made.writes.append(("candidates", 8 * b * parts * top, struct.pack("<fI", -3e38, NONE) * (parts * top)))
        best = ((2.0, drawn), (1.5, v // 2), (-1.0, 0))
        made.writes.append(("candidates", 8 * ((b + 1) * parts - 1) * top, b"".join(struct.pack("<fI", *c) for c in best)))
        total = 2.0 + math.log(3.0 + 0.5 * (parts - 1) * math.exp(-1.0))
        at = 2 * b * row
        for n, (value, token) in enumerate(best):
            made.expect("logprobs", at + 1 + n, token)
            made.expect("logprobs", at + row + 1 + n, value - total, 4.0)
        made.expect("logprobs", at + 4, -1)
        made.expect("logprobs", at, 1 + b)
        made.expect("logprobs", at + row, (2.0, 1.5)[b] - total, 4.0)
    return made


# --- the KV cache ----------------------------------------------------------------------------------------------------
def _rope_kv(kernel: Kernel, grid: Grid) -> Known:
    (p, norm), stride, made = kernel.problem, kernel.constant("QKV_STRIDE"), Known()
    rows = min(grid[1], 2)
    for row in range(rows):
        made.writes.append(("qkv", 4 * row * stride, waves(row, (p.heads + 2 * p.kv.kv_heads) * p.kv.head_dim)))
    return _turned_heads(made, p, norm, [partial(_wave_after, row) for row in range(rows)])


def _wave_after(row: int, n: int) -> float:
    return wave(row + n)


def _add_parts_rope(kernel: Kernel, grid: Grid) -> Known:
    (p, norm), made = kernel.problem, Known()
    rows, share = min(grid[1], 2), kernel.constant("SHARE")
    write_parts(made, p, share, range(rows))
    return _turned_heads(made, p.rope, norm, [partial(sum_of_parts, p, share, row) for row in range(rows)], 4.0)


def _turned_heads(
    made: Known, p: Rope, norm: HeadNorm | None, values: list[Callable[[int], float]], scale: float = 1.0
) -> Known:
    """values: of each row, its elements of q, k and v; scale: how large they are."""
    d = p.kv.head_dim
    positions = [5 + row for row in range(len(values))]
    made.inputs([Row(0, position, SLOT) for position in positions], [], p.rows_at)
    write_table(made, p.kv, 8)
    _write_rotation(made, p, norm)
    for row, position in enumerate(positions):
        for head in rope_heads(p):
            x = _normed(p, norm, head, [values[row](head * d + i) for i in range(d)])
            for i in {0, d // 2 - 1, d // 5}:
                expect_turned(made, p, row, position, head, i, (x[2 * i], x[2 * i + 1]), scale, max(map(abs, x)))
    return made


def _write_rotation(made: Known, p: Rope, norm: HeadNorm | None) -> None:
    made.floats("inv_freq", 0, frequencies(p.kv, p.num_pairs))
    for name, start in (("q_norm", 2), ("k_norm", 9)) if norm else ():
        made.writes.append((name, 0, waves(start, p.kv.head_dim)))


def _normed(p: Rope, norm: HeadNorm | None, head: int, x: list[float]) -> list[float]:
    """A head of q, k or v, numbered through, before it turns."""
    if norm is None or head >= p.heads + p.kv.kv_heads:
        return x
    root, start = math.sqrt(sum(v * v for v in x) / len(x) + norm.eps), 2 if head < p.heads else 9
    return [evaluate(norm.weigh, [v / root, wave(start + i)]) for i, v in enumerate(x)]


def _rope(kernel: Kernel, grid: Grid) -> Known:
    p, made = kernel.problem, Known()
    inv_freq = [rounded(100.0 ** (-i / p.pairs)) for i in range(p.pairs)]
    rows = min(grid[1], 2)
    made.inputs([Row(0, 5 + row, SLOT) for row in range(rows)], [], p.rows_at)
    axes = [i % (AXES if p.by == OF_TEXT else 2) for i in range(p.pairs)] if p.by else []
    made.floats("inv_freq", 0, [*inv_freq, *axes])
    if p.by == OF_PATCHES:
        made.inputs([Row(3 << 16 | row, 5 + row, SLOT) for row in range(rows)], [], p.rows_at)
    turns = [[3, row] if p.by == OF_PATCHES else [5 + row] * AXES for row in range(rows)]
    if p.by == OF_TEXT:
        turns, at = [[2 + row, 9, 4 + row] for row in range(rows)], p.rows_at + ROW_WORDS * rows
        made.words("inputs", TURNS_AT, [at])
        made.words("inputs", at, [turn for row in turns for turn in row])
    for row in range(rows):
        made.writes.append(("x", 4 * (row * p.x_stride + p.x_offset), waves(row, p.heads * p.head_dim)))
        for head in {0, p.heads - 1}:
            for i in {0, p.pairs - 1, p.head_dim // 2 - 1}:
                at = head * p.head_dim + 2 * i
                pair = wave(row + at), wave(row + at + 1)
                turn = turns[row][axes[i] if axes and i < p.pairs else 0]
                pair = turned_pair(pair, turn, inv_freq[i], p.scale) if i < p.pairs else pair
                for j, value in enumerate(pair):
                    made.expect("y", row * p.y_stride + at + j, value * (1 + p.growth * math.log1p((5 + row) // p.period)))
    return made


def _append(kernel: Kernel, grid: Grid) -> Known:
    p, kv, made = kernel.problem, kernel.problem.kv, Known()
    rows = min(grid[1], 2)
    made.inputs([Row(0, 5 + row, SLOT) for row in range(rows)], [], p.rows_at)
    write_table(made, kv, 8)
    for row in range(rows):
        for which, (name, stride, offset, d) in enumerate(
            (("k", p.k_stride, p.k_offset, kv.head_dim), ("v", p.v_stride, p.v_offset, kv.v_dim))
        ):
            made.writes.append((name, 4 * (row * stride + offset), waves(row + 4 * which, kv.kv_heads * d)))
            for head in {0, kv.kv_heads - 1}:
                for i in ends(d):
                    value = wave(row + 4 * which + head * d + i)
                    expect_kept(made, kv, which, (5 + row, head), i, value, 1.0, 1.0)
    return made


def _attention_rows(kernel: Kernel, grid: Grid) -> Known:
    """Rows of one sequence."""
    p, made, rows = kernel.problem, Known(), min((grid[1] - 1) * kernel.problem.rows_taken + 1, 70)
    score, group = p.score or argument(0), p.heads // p.kv_heads
    made.inputs([Row(0, row, SLOT) for row in range(rows)], [], p.rows_at)
    for row in range(rows):
        made.writes.append(("k", 4 * (row * p.k_stride + p.k_offset), waves(3 * row, p.kv_heads * p.head_dim)))
        made.writes.append(("v", 4 * (row * p.v_stride + p.v_offset), waves(7 * row, p.kv_heads * p.v_head_dim)))
    for row in ends(rows):
        seen = range(max(0, row - p.behind), min(rows, row + p.ahead + 1))
        for head in {0, p.heads - 1}:
            query = [wave(row + i) / p.head_dim for i in range(p.head_dim)]
            made.floats("q", row * p.q_stride + p.q_offset + head * p.head_dim, query)
            key, value = head // group * p.head_dim, head // group * p.v_head_dim
            dots = [sum(q * wave(3 * s + key + i) for i, q in enumerate(query)) for s in seen]
            weights = [math.exp(evaluate(score, [dot])) for dot in dots]
            for i in ends(p.v_head_dim):
                mixed = sum(w * wave(7 * s + value + i) for s, w in zip(seen, weights, strict=True)) / sum(weights)
                made.expect("y", row * p.y_stride + head * p.v_head_dim + i, mixed)
    return made


def _attention(kernel: Kernel, grid: Grid) -> Known:
    kv, heads, splits, window = layout_of(kernel), *(kernel.constant(n) for n in ("HEADS", "SPLITS", "WINDOW"))
    made, d, v_dim, group = Known(), kv.head_dim, kv.v_dim, heads // kv.kv_heads
    score, has_sinks = kernel.problem.score or argument(0), kernel.problem.has_sinks
    slopes = [abs(wave(9 + head)) for head in range(heads)] if kernel.problem.has_slopes else [0.0] * heads
    rows = min(grid[1], 8) if kernel.stem == "attention_decode" else min(grid[1] * kernel.constant("R"), 18)
    length = min(90, kv.max_blocks_per_seq * kv.block_size, kv.num_blocks * kv.block_size)
    rows = min(rows, length)
    made.inputs([Row(0, length - rows + row, SLOT) for row in range(rows)], [], kernel.constant("ROWS_AT"))
    write_table(made, kv, length)
    _write_cache(made, kv, length)
    if has_sinks:
        made.writes.append(("sinks", 0, waves(6, heads)))
    if kernel.problem.has_slopes:
        made.floats("slopes", 0, slopes)
    kind = "int8" if "y_scales" in kernel.outputs else "splits" if splits > 1 else "f32"
    name, kind = ("xq", "group") if "xq" in kernel.outputs else ("y", kind)
    for row in {0, rows - 1}:
        position = length - rows + row
        seen = range(max(0, position + 1 - window) if window else 0, position + 1)
        for head in {0, heads - 1}:
            query = {(j * 13 + head) % d: wave(j + row + 3) for j in range(6)}
            made.floats("q", (row * heads + head) * d, [query.get(i, 0.0) for i in range(d)])
            at = 5 * (head // group)
            dots = [sum(q * kept_wave(kv, 3 * s + at + i) for i, q in query.items()) for s in seen]
            scores = [evaluate(score, [dot, slopes[head], s, position]) for s, dot in zip(seen, dots, strict=True)]
            weights = [math.exp(s) for s in scores]
            total = sum(weights) + (math.exp(wave(6 + head)) if has_sinks else 0)
            for i in ends(v_dim):
                value = sum(p * kept_wave(kv, 7 * s + at + i) for s, p in zip(seen, weights, strict=True)) / total
                made.expect(name, (row * heads + head) * splits * v_dim + i, value, 1.0, kind, splits, v_dim)
    return made


def _write_cache(made: Known, kv: KVLayout, length: int) -> None:
    """Keys and values of the first and the last head."""
    for head in {0, kv.kv_heads - 1}:
        for first in range(0, length, kv.block_size):
            for which, step in ((0, 3), (1, 7)):
                write_waves(made, kv, which, (first, head), [step * (first + i) + 5 * head for i in range(kv.block_size)])


def _attention_append(kernel: Kernel, grid: Grid) -> Known:
    """Of a row after a few others, whose own key and value are not in the cache yet."""
    problem: Appending = kernel.problem
    p, rope, norm = problem.attention, problem.rope, problem.norm
    made, kv, d = Known(), p.kv, p.kv.head_dim
    position = min(30, min(kv.max_blocks_per_seq, kv.num_blocks) * kv.block_size) - 1
    made.inputs([Row(0, position, SLOT)], [], p.rows_at)
    write_table(made, kv, position + 1)
    _write_cache(made, kv, position + 1)
    _write_rotation(made, rope, norm)
    made.writes.append(("qkv", 0, waves(0, (p.heads + 2 * kv.kv_heads) * d)))

    def own(head: int) -> list[float]:
        x = _normed(rope, norm, head, [wave(head * d + i) for i in range(d)])
        for i, frequency in enumerate(frequencies(kv, rope.num_pairs)) if head < p.heads + kv.kv_heads else ():
            x[2 * i : 2 * i + 2] = turned_pair((x[2 * i], x[2 * i + 1]), position, frequency, rope.rope_scale)
        return x

    kind = "int8" if "y_scales" in kernel.outputs else "splits" if p.splits > 1 else "f32"
    seen = range(max(0, position + 1 - p.window) if p.window else 0, position)
    for head in {0, p.heads - 1}:
        kv_head = head // (p.heads // kv.kv_heads)
        query, key, value = own(head), own(p.heads + kv_head), own(p.heads + kv.kv_heads + kv_head)
        keys = [[kept_wave(kv, 3 * s + 5 * kv_head + i) for i in range(d)] for s in seen] + [key]
        dots = [sum(q * rope.scale * k for q, k in zip(query, one, strict=True)) for one in keys]
        weights = [math.exp(evaluate(p.score or argument(0), [dot])) for dot in dots]
        for i in ends(d):
            values = [*(kept_wave(kv, 7 * s + 5 * kv_head + i) for s in seen), value[i]]
            mixed = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
            made.expect("y", head * p.splits * d + i, mixed, 1.0, kind, p.splits, d)
            for which, one in enumerate((key, value)):
                most = 1.5 * max(map(abs, one))
                expect_kept(made, kv, which, (position, kv_head), i, one[i], 1.0, most)
    return made


def _product(kernel: Kernel, grid: Grid) -> Known | None:
    return known_experts(kernel, grid) if kernel.problem.experts else known_linear(kernel, grid)


KNOWN: dict[str, Callable[[Kernel, Grid], Known | None]] = {
    "add_parts": known_parts,
    "add_parts_norm": known_parts_norm,
    "add_parts_rope": _add_parts_rope,
    "append": _append,
    "attention": _attention,
    "attention_append": _attention_append,
    "attention_decode": _attention,
    "attention_matrix": _attention,
    "attention_prefill": _attention,
    "attention_reduce": _attention_reduce,
    "attention_rows": _attention_rows,
    "convolve": known_convolve,
    "delta": known_delta,
    "mel": known_mel,
    "level": known_level,
    "unfold": known_unfold,
    "keep": known_keep,
    "attention_kept": known_attention_kept,
    "timestamps": known_timestamps,
    "embed": known_embed,
    "gather": known_gather,
    "gemm": _product,
    "gemm_f16": _product,
    "gemm_int8": _product,
    "gemm_matrix": known_linear,
    "gemv": _product,
    "gemv_int8": _product,
    "keep_images": known_keep_images,
    "logits": _logits,
    "logprobs": _logprobs,
    "map": known_map,
    "mix": known_mix,
    "blend": known_blend,
    "rescale": known_rescale,
    "norm": known_norm,
    "norm_int8": known_norm,
    "order": known_order,
    "patches": known_patches,
    "lora_scale": known_lora_scale,
    "stretch": known_stretch,
    "pool": known_pool,
    "put_images": known_put_images,
    "quantize": known_quantize,
    "rank": _rank,
    "rope": _rope,
    "rope_kv": _rope_kv,
    "route": known_route,
    "sample": _sample,
    "scan": known_scan,
    "shift": known_shift,
    "wkv": known_wkv,
    "reorder": known_reorder,
    "round_rows": known_round_rows,
    "upload": known_upload,
    "upload_columns": known_upload_columns,
    "upload_nibbles": known_upload_nibbles,
    "upload_values": known_upload_values,
    "upload_vector": known_upload_vector,
}


def known_of(kernel: Kernel, grid: Grid) -> Known | None:
    """None where no answer is known."""
    return KNOWN[kernel.stem](kernel, grid) if kernel.stem in KNOWN else None
