"""Known answers: what a kernel must compute from inputs that are made up here, with the standard library alone.

The self-test (runtime/self_test.py) runs a Program's own kernels, with their own sizes and grids, and compares a few elements
of their results. Activations are sparse, one value to a group of 32, so that an element of a product of thousands is a sum of
hundreds; quantising such a group loses nothing, so that one answer holds for every variant. Here is what answers are made of
and judged by; known_kernels.py has a function a kernel."""

import math
import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from fanlight.kernels.expressions import evaluate
from fanlight.kernels.fused import Site
from fanlight.kernels.inputs import HEADER_WORDS, Row, Sample
from fanlight.kernels.kv import BLOCK, KV_TYPES, KVLayout
from fanlight.kernels.rotary import Rope

Grid = tuple[int, int, int]
SLOT = 0  # of every sequence here
PERIOD = 31  # of `wave`
SHARE = 3e-4  # of an answer's scale: what it may be off


@dataclass(frozen=True, slots=True)
class Answer:
    """Element `index` of a result. kind: f32, f16, u32; int8 (16 to a scale and sum, beside it); group (`xq`, 32 to a
    scale in `xd`); q8_0, q4_0 (the cache's, whose scale is at byte `scale_at`); splits (to be joined by `state`)."""

    binding: str
    index: int
    value: float
    tolerance: float = 1e-6
    kind: str = "f32"
    num_splits: int = 1
    head_dim: int = 0  # where there are splits
    scale_at: int = 0


@dataclass(slots=True)
class Known:
    """What to write before a launch and what to find after it. Offsets and indices count from the start of the binding.
    is_f16: the kernel rounds on its way as f16 does."""

    is_f16: bool = False
    writes: list[tuple[str, int, bytes]] = field(default_factory=list)  # binding, byte offset (a multiple of 4), bytes
    answers: list[Answer] = field(default_factory=list)

    def floats(self, binding: str, index: int, values: Iterable[float]) -> None:
        """Of none (frequencies, where nothing turns) nothing is written: adapters refuse empty writes."""
        if data := array("f", values).tobytes():
            self.writes.append((binding, 4 * index, data))

    def words(self, binding: str, index: int, values: Iterable[int]) -> None:
        self.writes.append((binding, 4 * index, array("I", values).tobytes()))

    def inputs(self, rows: list[Row], samples: list[Sample], rows_at: int = 0) -> None:
        """The step's record; rows_at 0: the kernel reads no rows, only how many there are."""
        self.words("inputs", 0, [len(rows), len(samples)])
        if samples:
            self.writes.append(("inputs", 4 * HEADER_WORDS, b"".join(sample.pack() for sample in samples)))
        if rows_at:
            self.words("inputs", rows_at, chain.from_iterable(rows))

    def expect(self, binding: str, index: int, value: float, scale: float = 1.0, kind: str = "f32", *split: int) -> None:
        """scale: the size of what was added up; errors are judged by it. split: num_splits, head_dim."""
        share = 2e-3 if self.is_f16 or kind == "f16" else SHARE
        self.answers.append(Answer(binding, index, value, share * max(scale, abs(value)) + 1e-6, kind, *split))


# --- judging ---------------------------------------------------------------------------------------------------------
KV_UNITS = {"q8_0": 0.51, "q4_0": 1.01}  # of a scale, that rounding may cost: 8 becomes 7
BYTES = {"f32": 4, "splits": 4, "u32": 4, "f16": 2, "int8": 1, "group": 1}


def places(answer: Answer) -> list[tuple[str, int, int]]:
    """(binding, byte offset, bytes) that judging the answer needs; whole words."""
    if answer.kind == "splits":
        d, within = answer.head_dim, answer.index % answer.head_dim
        first = answer.index - within
        state = ("state", 8 * first // d, 8 * answer.num_splits)
        return [*(("y", 4 * (first + s * d + within), 4) for s in range(answer.num_splits)), state]
    if answer.kind in KV_UNITS:
        at = answer.index * KV_TYPES[answer.kind].block_bytes // BLOCK
        return [(answer.binding, at // 4 * 4, 4), (answer.binding, answer.scale_at // 4 * 4, 4)]
    scales = {
        "int8": [(f"{answer.binding}_scales", answer.index // 16 * 8, 4)],
        "group": [(f"{answer.binding[:-1]}d", answer.index // 32 * 4, 4)],
    }
    return [(answer.binding, BYTES[answer.kind] * answer.index // 4 * 4, 4), *scales.get(answer.kind, ())]


def found_value(answer: Answer, parts: list[bytes]) -> tuple[float, float]:
    """What is there, from the bytes of `places`, and how much rounding adds to the tolerance."""
    if answer.kind in KV_UNITS:
        (scale,) = struct.unpack_from("<e", parts[1], answer.scale_at % 4)
        codes = parts[0] if answer.kind == "q8_0" else bytes(nibble for byte in parts[0] for nibble in (byte & 15, byte >> 4))
        byte = codes[answer.index % len(codes)]
        integer = byte - (256 if byte > 127 else 0) if answer.kind == "q8_0" else byte - 8
        return integer * scale, 0.0
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
    """Of PERIOD, exact in every float format."""
    return ((i * 11) % PERIOD - 15) / 16


def waves(start: int, count: int, code: str = "f") -> bytes:
    period = struct.pack(f"<{PERIOD}{code}", *(wave(start + i) for i in range(PERIOD)))
    size = len(period) // PERIOD
    return (period * (count // PERIOD + 1))[: count * size]


def rounded(value: float) -> float:
    """As f32 has it."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def ends(count: int) -> list[int]:
    """The first, one within and the last of so many."""
    return sorted({0, count // 2, count - 1})


# --- what is fused: operands, and the tree's value -------------------------------------------------------------------
def operand(i: int) -> float:
    """Element i of any operand, so that operands may be one buffer. Never zero."""
    return wave(8 + i) + 1 / 32


def write_operands(made: Known, site: Site, rows: Iterable[int]) -> None:
    """All columns of a site's operands; of those that have rows, these."""
    asked = list(rows)
    for i, o in enumerate(site.fused.operands):
        starts = [row * o.stride + o.start for row in asked] if o.kind == "element" else [0 if site.wraps(o) else o.start]
        count = o.size if site.wraps(o) else site.columns
        for start in starts:
            period = array("f", map(operand, range(start, start + PERIOD)))
            made.writes.append((site.binding(i), 4 * start, (period * (count // PERIOD + 1))[:count].tobytes()))


def operand_values(site: Site, row: int, column: int) -> list[float]:
    places = ((o, column + o.start) for o in site.fused.operands)
    return [operand(row * o.stride + at if o.kind == "element" else at % o.size if site.wraps(o) else at) for o, at in places]


def applied(site: Site, values: Sequence[float], sizes: Sequence[float], row: int, column: int) -> tuple[float, float]:
    """The tree's value, and the scale that errors of it are judged by. sizes: the values' own."""
    inputs = [*values, *operand_values(site, row, column)]
    value = evaluate(site.fused.expr, inputs)
    slopes = [_slope(site, inputs, i, value, size) for i, size in enumerate(sizes)]
    return value, sum(slopes) if slopes else 1.0


def _slope(site: Site, inputs: list[float], i: int, value: float, size: float) -> float:
    """How much the value changes with input i, as if linear over an error's way."""
    moved = [[*inputs[:i], inputs[i] + way * SHARE * size, *inputs[i + 1 :]] for way in (-1, 1)]
    return max(abs(evaluate(site.fused.expr, near) - value) for near in moved) / SHARE


# --- the KV cache ----------------------------------------------------------------------------------------------------
def block_of(kv: KVLayout, position: int) -> int:
    """Which block the sequence's position lies in: from the last on."""
    return kv.num_blocks - 1 - position // kv.block_size


def write_table(made: Known, kv: KVLayout, positions: int) -> None:
    blocks = -(-positions // kv.block_size)
    made.words("block_table", SLOT * kv.max_blocks_per_seq, [block_of(kv, i * kv.block_size) for i in range(blocks)])


def expect_kept(
    made: Known, kv: KVLayout, which: int, place: tuple[int, int], i: int, value: float, scale: float, most: float
) -> None:
    """Element i of keys or values of a place: position, head. most: that elements beside it may be."""
    element = element_of(kv, which, *place) + i
    if not kv.type.has_scales:
        return made.expect("kv", element, value, scale, kv.dtype)
    scale_at = 4 * (kv.scales_at + element // kv.span) + element % kv.span // BLOCK * 2
    rounding = KV_UNITS[kv.dtype] * most / abs(kv.type.extreme or 1)
    made.answers.append(Answer("kv", element, value, rounding + 2e-3 * max(scale, abs(value)), kv.dtype, scale_at=scale_at))


def kept_wave(kv: KVLayout, i: int) -> float:
    """`wave`, as `write_waves` writes it."""
    return math.floor(8 * wave(i)) / 8 if kv.dtype == "q4_0" else wave(i)


def write_waves(made: Known, kv: KVLayout, which: int, place: tuple[int, int], starts: Sequence[int]) -> None:
    """Waves from each of the starts on, as keys or values of a place (position, head) and those after it in its block."""
    element, width = element_of(kv, which, *place), kv.v_dim if which else kv.head_dim
    offset = element * kv.type.block_bytes // BLOCK
    if not kv.type.has_scales:
        code = "e" if kv.dtype == "f16" else "f"
        made.writes.append(("kv", offset, b"".join(waves(start, width, code) for start in starts)))
        return
    unit = 8 if kv.dtype == "q4_0" else 16
    codes = [math.floor(unit * wave(start + i)) for start in starts for i in range(width)]
    if kv.dtype == "q4_0":
        data = bytes(low + 8 | high + 8 << 4 for low, high in zip(codes[::2], codes[1::2], strict=True))
    else:
        data = array("b", codes).tobytes()
    scales = struct.pack("<ee", 1 / unit, 1 / unit) * (len(codes) // kv.span)
    made.writes += [("kv", offset, data), ("kv", 4 * (kv.scales_at + element // kv.span), scales)]


def element_of(kv: KVLayout, which: int, position: int, head: int) -> int:
    """The first of a position's elements: keys (which 0) or values."""
    place = (block_of(kv, position) * kv.kv_heads + head) * kv.block_size + position % kv.block_size
    return kv.values_at + place * kv.v_dim if which else place * kv.head_dim


def frequencies(kv: KVLayout, pairs: int | None = None) -> list[float]:
    return [rounded(100.0 ** (-2 * i / kv.head_dim)) for i in range(kv.head_dim // 2 if pairs is None else pairs)]


def turned_pair(pair: tuple[float, float], position: int, frequency: float, scale: float) -> tuple[float, float]:
    angle = rounded(position * frequency)
    cos, sin = (f(angle) * scale for f in (math.cos, math.sin))
    return pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos


def expect_turned(
    made: Known,
    p: Rope,
    row: int,
    position: int,
    head: int,
    i: int,
    pair: tuple[float, float],
    scale: float,
    most: float = 0.0,
) -> None:
    """Elements 2i and 2i+1 of a head of q, k or v (numbered through) that entered as `pair`: rotated, and where they go.
    most: that the head's elements are."""
    kv = p.kv
    if head < p.heads + kv.kv_heads and i < p.num_pairs:
        pair = turned_pair(pair, position, frequencies(kv)[i], p.rope_scale)
    which, kv_head = divmod(head - p.heads, kv.kv_heads)
    for j, value in enumerate(pair):
        if head < p.heads:
            made.expect("q", (row * p.heads + head) * kv.head_dim + 2 * i + j, value * p.scale, scale * p.scale)
        else:
            expect_kept(made, kv, which, (position, kv_head), 2 * i + j, value, scale, 1.5 * most * max(1.0, p.rope_scale))


def rope_heads(p: Rope) -> list[int]:
    """The first and the last head of q, of k and of v."""
    k, v = p.heads, p.heads + p.kv.kv_heads
    return sorted({0, k - 1, k, v - 1, v, v + p.kv.kv_heads - 1})
