"""Cases of the kernels whose results depend on what a slot keeps."""

from collections.abc import Callable, Iterator

from fanlight.kernels import convolve, delta, scan, shift, wkv
from fanlight.kernels.case import SEQS, Case, Random, random_inputs
from fanlight.kernels.convolve import Convolve
from fanlight.kernels.delta import Delta
from fanlight.kernels.expressions import Fused, Operand, argument, exp, sigmoid, silu, softplus
from fanlight.kernels.inputs import rows_word
from fanlight.kernels.scan import Scan
from fanlight.kernels.shift import Shift
from fanlight.kernels.wkv import Wkv

RUNS = {  # (slot, first position, rows) of each run of a step
    "one row": [(2, 5, 1)],
    "begins": [(1, 0, 1)],
    "decodes": [(3, 7, 1), (0, 0, 1), (1, 1, 1)],
    "several known": [(0, 9, 2), (2, 4, 2)],
    "prompts": [(2, 3, 11), (0, 0, 2), (3, 0, 5), (1, 40, 1)],
    "long": [(1, 1, 70)],
}


def rows_of(runs: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """(slot, position) of each row."""
    return [(slot, position + i) for slot, position, count in runs for i in range(count)]


def _convolve(rng: Random) -> Iterator[Case]:
    import numpy as np

    for channels, taps, offset in ((64, 3, 0), (101, 4, 5), (130, 2, 1), (7, 7, 0)):
        stride = channels + offset + 3
        for name, runs in RUNS.items():
            rows = rows_of(runs)
            p = Convolve(channels, taps, stride, offset, channels + 1, rows_word(SEQS))
            contents = {
                "x": rng.normal(size=(len(rows) + 2) * stride).astype(np.float32),
                "w": rng.normal(size=channels * taps).astype(np.float32),
                "inputs": random_inputs(rng, rows),
                "state": rng.normal(size=SEQS * (taps - 1) * channels).astype(np.float32),
                "y": np.zeros((len(rows) + 2) * (channels + 1), np.float32),
            }
            yield Case(f"{taps} of {channels}, {name}", convolve.make(p), convolve.grid(p, len(rows) + 2), contents)
    rows = rows_of(RUNS["prompts"])
    tree = Fused(silu(argument(0)) * argument(1), (Operand("element", 2, 0, 51),))
    p = Convolve(48, 4, 48, 0, 48, rows_word(SEQS), tree)
    contents = {
        "x": rng.normal(size=(len(rows) + 2) * 48).astype(np.float32),
        "w": rng.normal(size=48 * 4).astype(np.float32),
        "epilogue0": rng.normal(size=(len(rows) + 2) * 51).astype(np.float32),
        "inputs": random_inputs(rng, rows),
        "state": rng.normal(size=SEQS * 3 * 48).astype(np.float32),
        "y": np.zeros((len(rows) + 2) * 48, np.float32),
    }
    yield Case("silu, gated", convolve.make(p), convolve.grid(p, len(rows) + 2), contents)


def _delta(rng: Random) -> Iterator[Case]:
    """Heads of several shapes; with the rates as they are, or made of what a model computes."""
    import numpy as np

    decay = Fused(exp(-exp(argument(1)) * softplus(argument(0) + argument(2))), tuple(Operand("column", 0, 6) for _ in "ab"))
    shapes = ((2, 2, 16, 16), (6, 3, 12, 20), (6, 2, 128, 128), (1, 1, 7, 40))
    for i, (heads, key_heads, key_dim, value_dim) in enumerate(shapes):
        columns = 2 * key_heads * key_dim + heads * value_dim
        trees: tuple[Fused | None, Fused | None] = (decay, Fused(sigmoid(argument(0)))) if heads == 6 else (None, None)
        for name, runs in RUNS.items():
            rows = rows_of(runs)
            count, places = len(rows) + 2, (columns + 3, i, heads + 1, 1, heads, 0, heads * value_dim + i, rows_word(SEQS))
            p = Delta(heads, key_heads, key_dim, value_dim, i % 2 == 0, 1e-6, *trees, *places, is_decode=i == 1)
            contents = {
                "x": rng.normal(size=count * (columns + 3)).astype(np.float32),
                "decays": rng.uniform(0.3, 1, count * (heads + 1)).astype(np.float32),
                "betas": rng.uniform(size=count * heads).astype(np.float32),
                "inputs": random_inputs(rng, rows),
                "state": rng.normal(size=SEQS * heads * key_dim * value_dim).astype(np.float32),
                "y": np.zeros(count * (heads * value_dim + i), np.float32),
            }
            contents |= {f"decay{j}": rng.normal(size=6).astype(np.float32) for j in range(2 if trees[0] else 0)}
            yield Case(f"{heads} of {key_dim} to {value_dim}, {name}", delta.make(p), delta.grid(p, SEQS), contents)


def _scan(rng: Random) -> Iterator[Case]:
    import numpy as np

    shapes = ((3, 8, 1, 16, False), (4, 5, 2, 37, False), (2, 16, 2, 130, False), (1, 3, 1, 300, False), (5, 7, 5, 3, False))
    for heads, size, groups, states, is_own in (*shapes, (70, 1, 1, 16, True), (33, 1, 1, 9, True)):
        x_stride, dt_stride, bc_stride, y_stride = heads * size + 3, heads + 5, 2 * groups * states + 7, heads * size + 1
        offsets = 2, 1, 5 if is_own else 0
        for name in RUNS if states in (37, 9) else ("decodes", "prompts"):
            rows, is_log = rows_of(RUNS[name]), groups % 2 == 1
            places = x_stride, offsets[0], dt_stride, offsets[1], bc_stride, offsets[2], y_stride, rows_word(SEQS)
            p = Scan(heads, size, groups, states, is_own, is_log, *places)
            rates = np.exp(rng.normal(size=heads * (states if is_own else 1)))
            contents = {
                "x": rng.normal(size=(len(rows) + 2) * x_stride).astype(np.float32),
                "dt": rng.exponential(0.3, (len(rows) + 2) * dt_stride).astype(np.float32),
                "bc": rng.normal(size=(len(rows) + 2) * bc_stride).astype(np.float32),
                "a": (np.log(rates) if is_log else -rates).astype(np.float32),
                "d": rng.normal(size=heads).astype(np.float32),
                "inputs": random_inputs(rng, rows),
                "state": rng.normal(size=SEQS * heads * size * states).astype(np.float32),
                "y": np.zeros((len(rows) + 2) * y_stride, np.float32),
            }
            title = f"{heads} of {size} by {states}{' each' if is_own else ''}, {name}"
            yield Case(title, scan.make(p), scan.grid(p, len(rows) + 2, SEQS), contents, 2e-5)


def _shift(rng: Random) -> Iterator[Case]:
    import numpy as np

    for channels, offset in ((64, 0), (101, 5), (7, 1)):
        stride = channels + offset + 3
        for name, runs in RUNS.items():
            rows = rows_of(runs)
            p = Shift(channels, stride, offset, channels + 1, rows_word(SEQS))
            contents = {
                "x": rng.normal(size=(len(rows) + 2) * stride).astype(np.float32),
                "inputs": random_inputs(rng, rows),
                "state": rng.normal(size=SEQS * channels).astype(np.float32),
                "y": np.zeros((len(rows) + 2) * (channels + 1), np.float32),
            }
            yield Case(f"{channels}, {name}", shift.make(p), shift.grid(p, len(rows) + 2), contents)


def _wkv(rng: Random) -> Iterator[Case]:
    import numpy as np

    for i, (heads, size) in enumerate(((2, 16), (3, 64), (1, 20), (2, 40))):
        channels = heads * size
        for name, runs in RUNS.items():
            rows = rows_of(runs)
            count, both = len(rows) + 2, 2 * channels
            places = (both + 3, i, channels, 0, channels + 5, 2, channels + 1, 1, both + i, 0, both + i)
            p = Wkv(heads, size, *places, rows_word(SEQS))
            contents = {
                "rb": rng.normal(size=count * (both + 3)).astype(np.float32),
                "w": rng.uniform(0.5, 1, count * channels).astype(np.float32),
                "k": rng.normal(size=count * (channels + 5)).astype(np.float32),
                "v": rng.normal(size=count * (channels + 1)).astype(np.float32),
                "ka": (rng.normal(size=count * (both + i)) * size**-0.5).astype(np.float32),
                "inputs": random_inputs(rng, rows),
                "state": rng.normal(size=SEQS * channels * size).astype(np.float32),
                "y": np.zeros(count * (both + i), np.float32),
            }
            yield Case(f"{heads} of {size}, {name}", wkv.make(p), wkv.grid(p, SEQS), contents)


STATE_CASES: dict[str, Callable[[Random], Iterator[Case]]] = {
    "convolve": _convolve,
    "delta": _delta,
    "scan": _scan,
    "shift": _shift,
    "wkv": _wkv,
}
