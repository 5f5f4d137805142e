"""Writes fanlight/kernels/known_weights.json: a few random blocks of every quantised format and the values that they hold.

The self-test fills weights with these blocks, so that it knows a product's answer where there is no NumPy.
usage: python scripts/known_weights.py"""

import base64
import json
from pathlib import Path

import numpy as np

from fanlight.formats.quant import QUANT_TYPES
from fanlight.kernels.case import FIRST, random_blocks
from fanlight.kernels.linear import FLOATS

FILE = Path(__file__).parents[1] / "fanlight" / "kernels" / "known_weights.json"


def known_weights() -> dict[str, dict[str, str]]:
    rng = np.random.default_rng(7)
    made = {}
    for format, q in QUANT_TYPES.items():
        if format in FLOATS:
            continue
        count = (3 if q.block_elems == 256 else 5) if format in FIRST else 2
        blocks = random_blocks(rng, format, count, q.block_elems)
        values = q.dequantize(blocks.reshape(count, q.block_bytes)).astype("<f4")
        made[format] = {"blocks": _text(blocks), "values": _text(values)}
    return made


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


if __name__ == "__main__":
    FILE.write_text(json.dumps(known_weights(), indent=1) + "\n")
