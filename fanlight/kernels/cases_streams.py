"""Cases of the kernels of models whose rows have several streams."""

from collections.abc import Callable, Iterator

from fanlight.kernels import blend, rescale
from fanlight.kernels.blend import Blend
from fanlight.kernels.case import Case, Random, random_inputs
from fanlight.kernels.cases_rows import A, B, C, random_operands
from fanlight.kernels.expressions import Fused, Operand, gelu_tanh
from fanlight.kernels.rescale import Rescale

ROWS = 3


def _blend(rng: Random) -> Iterator[Case]:
    import numpy as np

    tree = Fused(A + B * C, (Operand("element", 5, stride=340), Operand("column", 0, 67)))
    problems = {
        "predicted": Blend(80, 4, 4, (320, 0), (16, 0), 320),
        "corrected": Blend(67, 4, 1, (70, 3), (12, 5), 270, (72, 1), tree),
        "one": Blend(64, 1, 1, (64, 0), (4, 0), 64),
        "of three": Blend(33, 2, 3, (100, 0), (8, 0), 68, (36, 0)),
    }
    for name, p in problems.items():
        sizes = {"x": (p.x, p.of * p.columns), "shares": (p.shares, p.count * p.of), "also": (p.also, p.columns)}
        contents = {
            "inputs": random_inputs(rng, [(0, i) for i in range(ROWS - 1)]),
            **random_operands(rng, p.after, ROWS),
            "y": np.zeros(ROWS * p.y_stride, np.float32),
        }
        for slot, (place, count) in sizes.items():
            if place:
                contents[slot] = rng.normal(size=place[1] + count + place[0] * (ROWS - 1)).astype(np.float32)
        yield Case(name, blend.make(p), blend.grid(p, ROWS), contents, 1e-5)


def _rescale(rng: Random) -> Iterator[Case]:
    import numpy as np

    tree = Fused(gelu_tanh(A) * B, (Operand("element", 0, stride=100),))
    problems = {
        "each head": Rescale("rms", 40, 3, 40, 1e-3, (128, 4), (44, 0), 120),
        "small": Rescale("rms", 64, 2, 80, 50.0, (128, 0), (80, 0), 132),
        "deviation": Rescale("deviation", 100, 1, 100, 0.0, (100, 0), (104, 3), 100, tree),
        "as it is": Rescale("rms", 300, 1, 70, 0.0, (300, 0), (72, 1), 300),
    }
    for name, p in problems.items():
        contents = {
            "x": rng.normal(size=p.x[1] + p.x[0] * ROWS).astype(np.float32),
            "like": rng.normal(size=p.like[1] + p.like[0] * ROWS).astype(np.float32) * 3 + 1,
            "inputs": random_inputs(rng, [(0, i) for i in range(ROWS - 1)]),
            **random_operands(rng, p.after, ROWS),
            "y": np.zeros(ROWS * p.y_stride, np.float32),
        }
        yield Case(name, rescale.make(p), rescale.grid(p, ROWS), contents, 2e-5)


STREAM_CASES: dict[str, Callable[[Random], Iterator[Case]]] = {"blend": _blend, "rescale": _rescale}
