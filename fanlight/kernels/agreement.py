"""Whether what a launch left on a device is what NumPy makes of the same bytes (runtime/checked.py).  NumPy only.

Compared is every element that either of them changed: what only the device wrote differs too, except in the rows that products
of few rows compute beyond the step's, of whatever lies there (`padding`). How near is near depends on what an element is. f32
and f16 are judged by the largest element of their row, as errors of sums are; quantised values by one unit, since a value in
the middle of two is rounded to either; counts, weights and tokens exactly, except draws that two tokens win by a hair."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fanlight.arrays import Array
from fanlight.kernels.inputs import HEADER_WORDS, LOGPROB_WORDS, SAMPLE_WORDS
from fanlight.kernels.kv import BLOCK, KVLayout, layout_of
from fanlight.kernels.linear import Linear
from fanlight.kernels.logits import PART, read_sample
from fanlight.kernels.packing import GROUP
from fanlight.kernels.sample import admitted, gumbel, hash_of
from fanlight.kernels.spec import Kernel

Bytes = dict[str, Array]  # binding -> u8
TOLERANCE = 1e-4  # of a row's largest value
ROUNDED_OTHERWISE = 0.1  # over the root of how many are summed: some activations of i8 are rounded to the other side
TOLERANCES = {
    "attention": 5e-4,  # sums over all positions may be small beside the values
    "attention_append": 5e-4,
    "attention_decode": 5e-4,
    "attention_matrix": 5e-3,  # multiplies in f16
    "attention_prefill": 5e-4,
    "attention_rows": 5e-4,
    "gather": 0.0,
    "gemm_f16": 5e-3,
    "gemm_matrix": 5e-3,
    "reorder": 0.0,
    "upload_columns": 0.0,
    "upload_nibbles": 0.0,
    "upload_values": 0.0,
    "upload_vector": 0.0,
}
SMALLEST = {"float32": 1e-37, "float16": 6.2e-5}  # below it GPUs may have zero
HALF = 16  # values to a scale where that is not GROUP
HALF_TOLERANCE = 1e-3  # of f16, of which some compilers cut what others round
NEAR = 1e-4  # between the two largest of a draw; in shares of top_p and min_p
SCALES = {"xq": "xd", "yq": "yd", "y": "y_scales"}  # of int8


@dataclass(frozen=True, slots=True)
class Difference:
    """The first element that differs, and how many of those compared do."""

    binding: str
    element: int
    expected: float
    got: float
    num_wrong: int
    num_compared: int


@dataclass(frozen=True, slots=True)
class Run:
    """One launch: its bindings' bytes before it, and after it, of NumPy and of the device. Inputs are in all three."""

    kernel: Kernel
    before: Bytes
    expected: Bytes
    got: Bytes

    def views(self, name: str, dtype: str) -> list[Array]:
        """Before, expected, got."""
        return [arrays[name].view(dtype) for arrays in (self.before, self.expected, self.got)]


@dataclass(frozen=True, slots=True)
class _Compared:
    """Elements of a binding as f64, by their index."""

    at: Array
    expected: Array
    got: Array
    allowed: Array  # difference

    def wrong(self) -> Array:
        """Which of them differ. bool"""
        import numpy as np

        is_same = (self.expected == self.got) | (np.isnan(self.expected) & np.isnan(self.got))
        return ~is_same & ~(np.abs(self.expected - self.got) <= self.allowed)


def find_difference(run: Run) -> Difference | None:
    """Raises ValueError for an output of which it is not known what it holds."""
    import numpy as np

    with np.errstate(all="ignore"):  # infinite and NaN are compared like all others
        for name in run.kernel.outputs:
            if found := _find(run, name):
                return found
    return None


def _find(run: Run, name: str) -> Difference | None:
    first: Difference | None = None
    num_wrong = num_compared = 0
    skipped = padding(run, name)
    for part in _parts_of(run, name):
        counts = (part.at < skipped.start) | (part.at >= skipped.stop)
        wrong = part.wrong() & counts
        num_compared, num_wrong = num_compared + int(counts.sum()), num_wrong + int(wrong.sum())
        if first is None and wrong.any():
            i = int(wrong.argmax())
            first = Difference(name, int(part.at[i]), float(part.expected[i]), float(part.got[i]), 0, 0)
    if first is None:
        return None
    return Difference(name, first.element, first.expected, first.got, num_wrong, num_compared)


def padding(run: Run, name: str) -> range:
    """Elements in the rows of a product that no row of the step, or no sample, has. gemv and gemv_int8 compute them too."""
    import numpy as np

    p = run.kernel.problem
    if not isinstance(p, Linear) or p.experts or not run.kernel.stem.startswith("gemv") or name not in ("y", "y_scales"):
        return range(0)
    num_rows, num_samples = (int(word) for word in run.got["inputs"].view(np.uint32)[:2])
    row = p.y_stride * 2 // HALF if name == "y_scales" else p.y_stride
    return range(row * (num_samples if p.is_sampled else num_rows), row * p.rows)


def tolerance_of(kernel: Kernel) -> float:
    if kernel.stem == "gemv_int8" and not kernel.problem.is_int8:  # quantises its activations itself
        return max(20 * TOLERANCE, ROUNDED_OTHERWISE / math.sqrt(kernel.problem.k))
    return TOLERANCES.get(kernel.stem, TOLERANCE)


def _parts_of(run: Run, name: str) -> Iterator[_Compared]:
    kernel = run.kernel
    type = next(binding.type for binding in kernel.bindings if binding.name == name)
    if type == "array<Best>":
        yield from _best(run, name)
    elif name in ("next_token", "sampled"):
        yield _drawn(run, name)
    elif name == "kv":
        yield from _cache(run, name)
    elif name == "y_scales":
        yield from _scales_and_sums(run, name)
    elif kernel.stem == "keep":
        yield _floats(run.views(name, "float16"), kernel.problem.channels, HALF_TOLERANCE)
    elif "f32" in type:
        # What a product chooses before it begins is no sum of its own.
        yield _floats(run.views(name, "float32"), row_of(kernel, name), TOLERANCE if name == "route" else tolerance_of(kernel))
    elif name in SCALES and SCALES[name] in run.got:
        yield from _int8(run, name)
    elif name in ("packed", "token_counts", "candidates", "grammar_state", "order") or kernel.stem == "timestamps":
        yield _exact(run.views(name, "uint32"))
    else:
        raise ValueError(f"{kernel.stem}: it is not known what its output {name}: {type} holds")


# --- what elements are -----------------------------------------------------------------------------------------------
def row_of(kernel: Kernel, name: str) -> int:
    """Elements of the output that are judged by the largest of them."""
    constants = dict(kernel.constants)
    if name in ("xd", "yd"):
        return columns_of(kernel) // GROUP
    if name == "y":
        return next(int(constants[c]) for c in ("Y_STRIDE", "STRIDE", "DV", "D") if c in constants)
    sizes = {
        "q": ("HEADS", "D"),
        "logits": ("V",),
        "kept": ("V",),
        "state": (),
        "packed": (),
        "sums": (),
        "loudest": (),
        "logprobs": (),
    }
    sizes |= {"images": ("COLUMNS",), "route": ("TOP_K",)}
    row = {"state": 2, "logprobs": LOGPROB_WORDS // 2}.get(name, 1)
    for constant in sizes[name]:
        row *= int(constants[constant])
    return row


def columns_of(kernel: Kernel) -> int:
    """Quantised values in a row of what the kernel makes."""
    if isinstance(kernel.problem, Linear):
        return kernel.problem.columns
    return int(kernel.constant("N" if kernel.stem == "add_parts_norm" else "K"))


def _exact(views: Sequence[Array], start: int = 0) -> _Compared:
    import numpy as np

    before, expected, got = views
    at = np.flatnonzero((before != expected) | (before != got))
    want, have = (x[at].astype(np.float64) for x in (expected, got))
    return _Compared(start + at, want, have, np.zeros(len(at)))


def _changed(views: Sequence[Array]) -> Array:
    """Where bits did. bool"""
    bits = [x.view(f"uint{8 * x.itemsize}") for x in views]
    return (bits[0] != bits[1]) | (bits[0] != bits[2])


def _floats(views: Sequence[Array], row: int, tolerance: float, start: int = 0) -> _Compared:
    import numpy as np

    at, (_, expected, got) = np.flatnonzero(_changed(views)), views
    want, have = (x[at].astype(np.float64) for x in (expected, got))
    allowed = tolerance * _largest(want, at // row) + SMALLEST[expected.dtype.name] * (tolerance > 0)
    if expected.dtype == np.float16:
        allowed += 2.0**-10 * np.abs(want)
    return _Compared(start + at, want, have, allowed)


def _largest(values: Array, rows: Array) -> Array:
    """For each value the largest of its row, but for the marks that stand for nothing (attention's -1e30)."""
    import numpy as np

    largest = np.zeros(int(rows.max(initial=-1)) + 1)
    sizes = np.abs(values)
    np.maximum.at(largest, rows, np.where(sizes < 1e29, sizes, 0))
    return largest[rows]


def _cache(run: Run, name: str) -> Iterator[_Compared]:
    """Keys, then values, then scales."""
    import numpy as np

    layout = layout_of(run.kernel)
    cut, tolerance = layout.values_at, max(tolerance_of(run.kernel), TOLERANCE)
    if layout.type.has_scales:
        views = run.views(name, "uint8")
        yield from (_coded(views, layout, which, tolerance) for which in (0, 1))
        scales = [x[4 * layout.scales_at : layout.size].view(np.float16) for x in views]
        yield _floats(scales, 1, TOLERANCE, cut + cut // layout.head_dim * layout.v_dim)
        return
    views = run.views(name, "float16" if layout.dtype == "f16" else "float32")
    yield _floats([x[:cut] for x in views], layout.head_dim, tolerance)
    yield _floats([x[cut:] for x in views], layout.v_dim, tolerance, cut)


def _coded(views: Sequence[Array], layout: KVLayout, which: int, tolerance: float) -> _Compared:
    """Keys, or values, whose scales are shared: by what they stand for, to a unit."""
    import numpy as np

    before, want, have = ((layout.values if which else layout.keys)(x).reshape(-1) for x in views)
    at = np.flatnonzero((before != want) | (before != have))
    units = [np.abs(layout.scales(x, which)).reshape(-1)[at // BLOCK] for x in views[1:]]
    want, have = (x[at].astype(np.float64) for x in (want, have))
    allowed = 1.001 * np.maximum(*units) + tolerance * _largest(want, at // (layout.v_dim if which else layout.head_dim))
    return _Compared(which * layout.values_at + at, want, have, allowed)


def _int8(run: Run, name: str) -> Iterator[_Compared]:
    """By what they stand for: a unit is a scale."""
    import numpy as np

    per, step = (HALF, 2) if SCALES[name] == "y_scales" else (GROUP, 1)
    values = run.views(name, "int8")
    scales = [x[::step] for x in run.views(SCALES[name], "float32")]
    end = min(len(values[0]) // per, len(scales[0])) * per
    changed = _changed([x[:end] for x in values])
    changed |= _changed([x[: end // per].copy() for x in scales]).repeat(per)
    at = np.flatnonzero(changed)
    units = [x[at // per].astype(np.float64) for x in scales[1:]]
    want, have = (x[at] * unit for x, unit in zip(values[1:], units, strict=True))
    row = row_of(run.kernel, "y") if name == "y" else columns_of(run.kernel)
    allowed = 1.001 * np.maximum(*units) + tolerance_of(run.kernel) * _largest(want, at // row)
    yield _Compared(at, want, have, allowed)
    yield _exact([x[end:] for x in values], end)


def _scales_and_sums(run: Run, name: str) -> Iterator[_Compared]:
    """Pairs of a scale and the scale times the sum of the integers that lie there."""
    import numpy as np

    views = run.views(name, "float32")
    row = max(1, row_of(run.kernel, "y") // HALF)
    scales = _floats([x[::2].copy() for x in views], row, tolerance_of(run.kernel))
    yield _Compared(2 * scales.at, scales.expected, scales.got, scales.allowed)
    integers = run.got["y"].view(np.int8)
    pairs = np.flatnonzero(_changed(views).reshape(-1, 2).any(axis=1))
    pairs = pairs[pairs < len(integers) // HALF]
    unit = views[2][2 * pairs].astype(np.float64)
    sums = integers[: len(integers) // HALF * HALF].reshape(-1, HALF)[pairs].sum(axis=1, dtype=np.float64)
    yield _Compared(2 * pairs + 1, unit * sums, views[2][2 * pairs + 1].astype(np.float64), TOLERANCE * 127 * unit)


def _best(run: Run, name: str) -> Iterator[_Compared]:
    """Each part's largest logit and its token, of the logits that the device left."""
    import numpy as np

    v, parts = int(run.kernel.constant("V")), int(run.kernel.constant("PARTS"))
    views = run.views(name, "float32")
    values = _floats([x[::2].copy() for x in views], parts, tolerance_of(run.kernel))
    yield _Compared(2 * values.at, values.expected, values.got, values.allowed)
    tokens = [x[1::2].copy() for x in run.views(name, "uint32")]
    logits = run.got["logits"].view(np.float32)
    for i in np.flatnonzero(tokens[1] != tokens[2]):
        first = int(i) // parts * v
        part = logits[first : first + v][int(i) % parts * PART :][:PART]
        within = int(tokens[2][i]) - int(i) % parts * PART
        if 0 <= within < len(part) and part[within] >= part.max():
            tokens[1][i] = tokens[2][i]
    found = _exact(tokens)
    yield _Compared(2 * found.at + 1, found.expected, found.got, found.allowed)


def _drawn(run: Run, name: str) -> _Compared:
    import numpy as np

    before, expected, got = run.views(name, "uint32")
    inputs, logits = run.got["inputs"].view(np.uint32), run.got["logits"].view(np.float32)
    v, expected = int(run.kernel.constant("V")), expected.copy()
    for b in range(int(inputs[1])):
        p = read_sample(inputs, HEADER_WORDS + SAMPLE_WORDS * b)
        at = p["slot"] if name == "next_token" else b
        if expected[at] != got[at] and may_draw(logits[b * v :][:v], p, int(got[at])):
            expected[at] = got[at]
    return _exact([before, expected, got])


def may_draw(logits: Array, p: dict[str, Any], token: int) -> bool:
    """Whether arithmetic that is a little off draws the token: it nearly wins, or top_p or min_p nearly cut elsewhere."""
    import numpy as np

    if p["temperature"] <= 0 or token >= len(logits):
        return False
    h = hash_of(p["seed_low"], p["seed_high"], p["counter"])
    noisy = logits + gumbel(np.arange(len(logits), dtype=np.uint32), h)
    for share in (0.0, NEAR, -NEAR):
        top_p = p["top_p"] * (1 + share) if p["top_p"] < 1 else 1.0
        keep = admitted(logits, p | {"top_p": top_p, "min_p": p["min_p"] * (1 - share)})
        if keep[token] and noisy[token] >= noisy[keep].max() - NEAR:
            return True
    return False
