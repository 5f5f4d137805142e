"""Known answers: what a kernel must compute from inputs that are made up here, with the standard library alone.

The self-test (runtime/self_test.py) runs a Program's own kernels, with their own sizes and grids, and compares a few elements
of their results. Activations are sparse, one value to a group of 32, so that an element of a product of thousands is a sum of
hundreds; quantising such a group loses nothing, so that one answer holds for every variant. `KNOWN` has a function a kernel;
what it does not know of a new variant it leaves alone (None)."""

import math
import struct
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fanlight.kernels.inputs import FROM_SLOT, HEADER_WORDS, Row, Sample
from fanlight.kernels.kv import KVLayout, layout_of
from fanlight.kernels.linear import Rope, packing_of
from fanlight.kernels.logits import PART
from fanlight.kernels.spec import Kernel
from fanlight.kernels.upload import MAX_PARAMS, params

Grid = tuple[int, int, int]
SLOT = 0  # of every sequence here


@dataclass(frozen=True, slots=True)
class Answer:
    """Element `index` of a result. kind: f32, f16, u32; int8 (16 to a scale and sum, beside it); group (`xq`, 32 to a
    scale in `xd`); splits (to be joined by `state`)."""

    binding: str
    index: int
    value: float
    tolerance: float = 1e-6
    kind: str = "f32"
    num_splits: int = 1
    head_dim: int = 0  # where there are splits


@dataclass(slots=True)
class Known:
    """What to write before a launch and what to find after it. Offsets and indices count from the start of the binding."""

    writes: list[tuple[str, int, bytes]] = field(default_factory=list)  # binding, byte offset (a multiple of 4), bytes
    answers: list[Answer] = field(default_factory=list)

    def floats(self, binding: str, index: int, values: Iterable[float]) -> None:
        self.writes.append((binding, 4 * index, array("f", values).tobytes()))

    def words(self, binding: str, index: int, values: Iterable[int]) -> None:
        self.writes.append((binding, 4 * index, struct.pack(f"<{len(v := list(values))}I", *v)))

    def inputs(self, rows: list[Row], samples: list[Sample], rows_at: int = 0) -> None:
        """The step's record; rows_at 0: the kernel reads no rows, only how many there are."""
        self.words("inputs", 0, [len(rows), len(samples)])
        if samples:
            self.writes.append(("inputs", 4 * HEADER_WORDS, b"".join(sample.pack() for sample in samples)))
        if rows_at:
            self.words("inputs", rows_at, [v for r in rows for v in (r.token, r.position, r.slot, int(r.is_output))])

    def expect(self, binding: str, index: int, value: float, scale: float = 1.0, kind: str = "f32", *split: int) -> None:
        """scale: the size of what was added up; errors are judged by it. split: num_splits, head_dim."""
        share = 2e-3 if kind == "f16" else 3e-4
        self.answers.append(Answer(binding, index, value, share * max(scale, abs(value)) + 1e-6, kind, *split))


def known_of(kernel: Kernel, grid: Grid) -> Known | None:
    """None where no answer is known."""
    return KNOWN[kernel.stem](kernel, grid) if kernel.stem in KNOWN else None


# --- judging ---------------------------------------------------------------------------------------------------------
BYTES = {"f32": 4, "splits": 4, "u32": 4, "f16": 2, "int8": 1, "group": 1}


def places(answer: Answer) -> list[tuple[str, int, int]]:
    """(binding, byte offset, bytes) that judging the answer needs; whole words."""
    if answer.kind == "splits":
        d, within = answer.head_dim, answer.index % answer.head_dim
        first = answer.index - within
        state = ("state", 8 * first // d, 8 * answer.num_splits)
        return [*(("y", 4 * (first + s * d + within), 4) for s in range(answer.num_splits)), state]
    scales = {
        "int8": [(f"{answer.binding}_scales", answer.index // 16 * 8, 4)],
        "group": [(f"{answer.binding[:-1]}d", answer.index // 32 * 4, 4)],
    }
    return [(answer.binding, BYTES[answer.kind] * answer.index // 4 * 4, 4), *scales.get(answer.kind, ())]


def found_value(answer: Answer, parts: list[bytes]) -> tuple[float, float]:
    """What is there, from the bytes of `places`, and how much rounding adds to the tolerance."""
    floats = [v for part in parts for v in struct.unpack(f"<{len(part) // 4}f", part)]
    if answer.kind == "splits":
        n = answer.num_splits
        weights = [math.exp(max(m, -1e3)) for m in floats[n::2]]
        total = sum(w * s for w, s in zip(weights, floats[n + 1 :: 2], strict=True))
        return (sum(w * v for w, v in zip(weights, floats[:n], strict=True)) / total if total else math.nan), 0.0
    if answer.kind in ("int8", "group"):
        return struct.unpack_from("<b", parts[0], answer.index % 4)[0] * floats[1], 0.51 * abs(floats[1])
    code = {"f32": "f", "u32": "I", "f16": "e"}[answer.kind]
    return struct.unpack_from(f"<{code}", parts[0], BYTES[answer.kind] * answer.index % 4)[0], 0.0


def is_right(answer: Answer, found: float, rounding: float) -> bool:
    return abs(found - answer.value) <= answer.tolerance + rounding  # NaN is not


# --- patterns: what stands in inputs, by index -----------------------------------------------------------------------
def wave(i: int) -> float:
    """Period 31, exact in every float format."""
    return ((i * 11) % 31 - 15) / 16


def waves(start: int, count: int, code: str = "f") -> bytes:
    period = struct.pack(f"<31{code}", *(wave(start + i) for i in range(31)))
    size = len(period) // 31
    return (period * (count // 31 + 1))[: count * size]


def rounded(value: float) -> float:
    """As f32 has it."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def silu(x: float) -> float:
    return x / (1 + math.exp(-x))


def ends(count: int) -> list[int]:
    """The first, one within and the last of so many."""
    return sorted({0, count // 2, count - 1})


# --- elementwise -----------------------------------------------------------------------------------------------------
def _rms_norm(kernel: Kernel, grid: Grid) -> Known:
    is_int8 = kernel.stem == "rms_norm_int8"
    c, stride, eps = (kernel.constant(n) for n in ("K" if is_int8 else "C", "STRIDE", "EPS"))
    made, rows = Known(), min(grid[0], 5)
    made.inputs([Row(0, 0, 0)] * rows, [])
    made.writes.append(("weight", 0, waves(7, c)))
    for row in ends(rows):
        made.writes.append(("x", 4 * row * stride, waves(row, c)))
        period = [wave(row + i) ** 2 for i in range(31)]
        squares = sum(period) * (c // 31) + sum(period[: c % 31])
        for i in ends(c):
            value = wave(row + i) * wave(7 + i) / math.sqrt(squares / c + eps)
            if is_int8:
                made.expect("xq", row * c + i, value, 1.0, "group")
            else:
                made.expect("y", row * stride + i, value)
    return made


def _quantize(kernel: Kernel, grid: Grid) -> Known:
    k, stride = kernel.constant("K"), kernel.constant("X_STRIDE")
    made, rows = Known(), min(grid[1], 3)
    made.inputs([Row(0, 0, 0)] * rows, [])
    for row in range(rows):
        made.writes.append(("x", 4 * row * stride, waves(row, 2 * k if kernel.problem else k)))
        for i in ends(k):
            value = silu(wave(row + i)) * wave(row + k + i) if kernel.problem else wave(row + i)
            made.expect("xq", row * k + i, value, 1.0, "group")
    return made


def _gather(kernel: Kernel, grid: Grid) -> Known:
    stride, count = kernel.constant("STRIDE"), grid[1]
    made = Known()
    made.inputs([Row(0, 0, 0)] * count, [Sample(count - 1 - c, 0) for c in range(count)])
    for c in range(count):
        made.writes.append(("x", 4 * (count - 1 - c) * stride, waves(c, stride)))
        for i in ends(stride):
            made.expect("y", c * stride + i, wave(c + i))
    return made


def _glu(kernel: Kernel, grid: Grid) -> Known:
    f, xs, ys = (kernel.constant(n) for n in ("F", "X_STRIDE", "Y_STRIDE"))
    made, rows = Known(), min(grid[1], 3)
    made.inputs([Row(0, 0, 0)] * rows, [])
    for row in range(rows):
        made.writes.append(("x", 4 * row * xs, waves(row, 2 * f)))
        for i in ends(f):
            made.expect("y", row * ys + i, silu(wave(row + i)) * wave(row + f + i))
    return made


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
def _logits(kernel: Kernel, grid: Grid) -> Known:
    v, parts = kernel.constant("V"), kernel.constant("PARTS")
    made, count = Known(), min(v, PART)
    penalties = {"repetition_penalty": 1.25, "frequency_penalty": 0.5, "presence_penalty": 0.25, "has_bias": True}
    samples = [Sample(0, SLOT), Sample(0, SLOT, temperature=0.5, **penalties)][: grid[1]]
    made.inputs([Row(0, 0, 0)], samples)
    best = count * 2 // 3
    made.words("token_counts", 0, [(3, 0, 0x80000000, 0x80000001)[i % 4] for i in range(16)])
    made.writes.append(("logit_bias", 0, waves(3, 16)))
    for b in range(len(samples)):
        made.writes.append(("logits", 4 * b * v, waves(0, count)))
        made.floats("logits", b * v + best, [30.0])
    made.expect("parts", 0, 30.0)
    made.expect("parts", 1, best, kind="u32")
    for i in range(1, 8) if len(samples) > 1 else ():
        times, x = (3, 0, 0, 1)[i % 4], wave(i)
        x = x if i % 4 == 1 else x / 1.25 if x > 0 else x * 1.25
        x -= 0.5 * times + (0.25 if times else 0)
        made.expect("logits", v + i, (x + wave(3 + i)) / 0.5)
    return made if best >= 16 and parts else None


def _sample(kernel: Kernel, grid: Grid) -> Known:
    """Greedy, then draws whose cuts leave one token of 41 that are nearly as likely."""
    v, parts = kernel.constant("V"), kernel.constant("PARTS")
    draws = [Sample(0, 0), Sample(0, 1, temperature=1, top_k=1, seed=3), Sample(0, 2, temperature=1, top_p=0.02, seed=5)]
    made, draws = Known(), draws[: grid[0]]
    made.inputs([Row(0, 0, 0)], draws)
    for b in range(len(draws)):
        token = (v * (2 * b + 1)) // 7
        made.writes.append(("logits", 4 * b * v, array("f", [-30.0]).tobytes() * v))
        made.floats("logits", b * v + token, [7.0, *[6.5] * min(40, v - token - 1)])
        best = [(7.0, token) if i == token // PART else (-30.0, i * PART) for i in range(parts)]
        made.writes.append(("parts", 8 * b * parts, b"".join(struct.pack("<fI", *pair) for pair in best)))
        made.expect("sampled", b, token, kind="u32")
        made.expect("next_token", draws[b].slot, token, kind="u32")
    return made


# --- the KV cache ----------------------------------------------------------------------------------------------------
def block_of(kv: KVLayout, position: int) -> int:
    """Which block the sequence's position lies in: from the last on."""
    return kv.num_blocks - 1 - position // kv.block_size


def write_table(made: Known, kv: KVLayout, positions: int) -> None:
    blocks = -(-positions // kv.block_size)
    made.words("block_table", SLOT * kv.max_blocks_per_seq, [block_of(kv, i * kv.block_size) for i in range(blocks)])


def element_of(kv: KVLayout, which: int, position: int, head: int) -> int:
    block = block_of(kv, position)
    return (((which * kv.num_blocks + block) * kv.kv_heads + head) * kv.block_size + position % kv.block_size) * kv.head_dim


def frequencies(kv: KVLayout) -> list[float]:
    return [rounded(100.0 ** (-2 * i / kv.head_dim)) for i in range(kv.head_dim // 2)]


def expect_turned(
    made: Known, p: Rope, row: int, position: int, head: int, i: int, pair: tuple[float, float], scale: float
) -> None:
    """Elements 2i and 2i+1 of a head of q, k or v (numbered through) that entered as `pair`: rotated, and where they go."""
    kv = p.kv
    angle = rounded(position * frequencies(kv)[i])
    cos, sin = (f(angle) * p.rope_scale for f in (math.cos, math.sin))
    turned = (pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos)
    which, kv_head = divmod(head - p.heads, kv.kv_heads)
    for j, value in enumerate(turned if head < p.heads + kv.kv_heads else pair):
        if head < p.heads:
            made.expect("q", (row * p.heads + head) * kv.head_dim + 2 * i + j, value * p.scale, scale * p.scale)
        else:
            made.expect("kv", element_of(kv, which, position, kv_head) + 2 * i + j, value, scale, kv.dtype)


def rope_heads(p: Rope) -> list[int]:
    """The first and the last head of q, of k and of v."""
    k, v = p.heads, p.heads + p.kv.kv_heads
    return sorted({0, k - 1, k, v - 1, v, v + p.kv.kv_heads - 1})


def _rope_kv(kernel: Kernel, grid: Grid) -> Known:
    p, stride, eps = kernel.problem, kernel.constant("QKV_STRIDE"), kernel.constant("EPS")
    made, d, rows = Known(), p.kv.head_dim, min(grid[1], 2)
    positions = [5 + row for row in range(rows)]
    made.inputs([Row(0, position, SLOT) for position in positions], [], p.rows_at)
    write_table(made, p.kv, 8)
    made.floats("inv_freq", 0, frequencies(p.kv))
    normed = any(b.name == "q_norm" for b in kernel.bindings)
    for name, start in (("q_norm", 2), ("k_norm", 9)) if normed else ():
        made.writes.append((name, 0, waves(start, d)))
    for row, position in enumerate(positions):
        made.writes.append(("qkv", 4 * row * stride, waves(row, (p.heads + 2 * p.kv.kv_heads) * d)))
        for head in rope_heads(p):
            x = [wave(row + head * d + i) for i in range(d)]
            if normed and head < p.heads + p.kv.kv_heads:
                root = math.sqrt(sum(v * v for v in x) / d + eps)
                x = [v / root * wave((2 if head < p.heads else 9) + i) for i, v in enumerate(x)]
            for i in {0, d // 2 - 1, d // 5}:
                expect_turned(made, p, row, position, head, i, (x[2 * i], x[2 * i + 1]), 1.0)
    return made


def _attention(kernel: Kernel, grid: Grid) -> Known:
    kv, heads, splits, window = layout_of(kernel), *(kernel.constant(n) for n in ("HEADS", "SPLITS", "WINDOW"))
    made, d, group = Known(), kv.head_dim, heads // kv.kv_heads
    rows = min(grid[1], 8) if kernel.stem == "attention_decode" else min(grid[1] * kernel.constant("R"), 18)
    length = min(90, kv.max_blocks_per_seq * kv.block_size, kv.num_blocks * kv.block_size)
    rows = min(rows, length)
    made.inputs([Row(0, length - rows + row, SLOT) for row in range(rows)], [], kernel.constant("ROWS_AT"))
    write_table(made, kv, length)
    code = "e" if kv.dtype == "f16" else "f"
    for head in {0, kv.kv_heads - 1}:
        for first in range(0, length, kv.block_size):
            for which, step in ((0, 3), (1, 7)):
                lines = b"".join(waves(step * (first + i) + 5 * head, d, code) for i in range(kv.block_size))
                made.writes.append(("kv", element_of(kv, which, first, head) * (2 if code == "e" else 4), lines))
    kind = "int8" if "y_scales" in kernel.outputs else "splits" if splits > 1 else "f32"
    for row in {0, rows - 1}:
        position = length - rows + row
        seen = range(max(0, position + 1 - window) if window else 0, position + 1)
        for head in {0, heads - 1}:
            query = {(j * 13 + head) % d: wave(j + row + 3) for j in range(6)}
            made.floats("q", (row * heads + head) * d, [query.get(i, 0.0) for i in range(d)])
            at = 5 * (head // group)
            scores = [math.exp(sum(q * wave(3 * s + at + i) for i, q in query.items())) for s in seen]
            for i in ends(d):
                value = sum(p * wave(7 * s + at + i) for s, p in zip(seen, scores, strict=True)) / sum(scores)
                made.expect("y", (row * heads + head) * splits * d + i, value, 1.0, kind, splits, d)
    return made


# --- weights ---------------------------------------------------------------------------------------------------------
def _upload(kernel: Kernel, grid: Grid) -> Known:
    """Rows 2.. of a packing of three planes, as the widest formats have; whatever the grid, it is enough for them."""
    packing, rows, first = packing_of("Q4_K", 4, 256), 2, 2
    made, row_bytes = Known(), packing.file_block_bytes
    made.words("params", 0, params(packing, first, rows, 0) + (0,) * (MAX_PARAMS - 8 - 4 * len(packing.planes)))
    staged = bytes((i * 37 + i // 256) % 256 for i in range(rows * row_bytes))
    made.writes.append(("staging", 0, staged))
    for plane in packing.planes:
        units = b"".join(staged[r * row_bytes + plane.file_offset :][: plane.unit] for r in range(rows))
        start = plane.offset + first * plane.unit
        for i in range(0, len(units) - 3, max(4, len(units) // 16 * 4)):
            made.expect("packed", (start + i) // 4, int.from_bytes(units[i : i + 4], "little"), kind="u32")
    return made


def _upload_vector(kernel: Kernel, grid: Grid) -> Known:
    file = kernel.files[0]
    code = "e" if "widen_f16" in file else "f"
    raw = waves(4, 16, code)
    if "bf16" in file:
        raw = b"".join(raw[i + 2 : i + 4] for i in range(0, 64, 4))
    made = Known()
    made.words("params", 0, [16, 0, 1, len(raw) // 16, 1, 8, 0, 0] + [0] * (MAX_PARAMS - 8))
    made.writes.append(("staging", 0, raw))
    for i in range(16):
        made.expect("packed", i, wave(4 + i // 8 * 8 + i % 2 * 4 + i % 8 // 2))
    return made


def _embed(kernel: Kernel, grid: Grid) -> Known:
    from fanlight.kernels.known_linear import weight_rows, weight_value

    n, k, stride, vocab, first, rows_at = (kernel.constant(c) for c in ("N", "K", "Y_STRIDE", "VOCAB", "FIRST_ROW", "ROWS_AT"))
    made, tokens = Known(), [first + n - 1, first + n // 2, first][: grid[0]]
    made.inputs([Row(FROM_SLOT if i == 0 else t, i, SLOT, i == 1) for i, t in enumerate(tokens)], [], rows_at)
    made.words("next_token", SLOT, [tokens[0]])
    weight_rows(made, kernel.format, n, k, {t - first for t in tokens})
    for row, token in enumerate(tokens):
        for i in ends(k):
            made.expect("y", row * stride + i, weight_value(kernel.format, token - first, i))
        if first == 0:
            made.words("token_counts", SLOT * vocab + token, [5])
    if first == 0 and len(set(tokens)) == len(tokens):
        for row, token in enumerate(tokens):
            made.expect("token_counts", SLOT * vocab + token, 6 if row == 1 else 0x80000005, kind="u32")
    return made


def _linear(kernel: Kernel, grid: Grid) -> Known | None:
    from fanlight.kernels.known_linear import known_linear

    return known_linear(kernel, grid)


KNOWN: dict[str, Callable[[Kernel, Grid], Known | None]] = {
    "attention": _attention,
    "attention_decode": _attention,
    "attention_prefill": _attention,
    "attention_reduce": _attention_reduce,
    "embed": _embed,
    "gather": _gather,
    "gemm": _linear,
    "gemm_int8": _linear,
    "gemm_matrix": _linear,
    "gemv": _linear,
    "gemv_int8": _linear,
    "glu": _glu,
    "logits": _logits,
    "quantize": _quantize,
    "rms_norm": _rms_norm,
    "rms_norm_int8": _rms_norm,
    "rope_kv": _rope_kv,
    "sample": _sample,
    "upload": _upload,
    "upload_vector": _upload_vector,
}
