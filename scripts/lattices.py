"""Writes fanlight/formats/lattices.json: the points of the lattices that GGML's IQ1, IQ2 and IQ3 formats choose from.

They were found by search, so there is no formula: they are read out of the `gguf` package. A point is a number whose digits,
the first the lowest, count among the lattice's few values; two bytes each, base64.
usage: python scripts/lattices.py"""

import base64
import json
from pathlib import Path

import numpy as np
from gguf import quants

FILE = Path(__file__).parents[1] / "fanlight" / "formats" / "lattices.json"
NAMES = ("IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S")


def lattice(name: str) -> dict[str, object]:
    kind = getattr(quants, name)
    kind.init_grid()
    points = kind.grid.reshape(kind.grid_shape)
    digits = np.stack([points == value for value in kind.grid_map]).argmax(axis=0)
    numbers = (digits * len(kind.grid_map) ** np.arange(points.shape[1])).sum(axis=1).astype("<u2")
    return {"values": list(kind.grid_map), "size": points.shape[1], "points": base64.b64encode(numbers.tobytes()).decode()}


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: lattice(name) for name in NAMES}, indent=1) + "\n")
