"""Cases of the kernels whose results depend on what a slot keeps."""

from collections.abc import Callable, Iterator

from fanlight.kernels import convolve
from fanlight.kernels.case import SEQS, Case, Random, random_inputs
from fanlight.kernels.convolve import Convolve
from fanlight.kernels.inputs import rows_word

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


STATE_CASES: dict[str, Callable[[Random], Iterator[Case]]] = {"convolve": _convolve}
