"""Attention without a cache, on an adapter: what a sequence gets does not depend on those beside it, to the bit."""

from collections.abc import Iterator

import numpy as np
import pytest

from fanlight.driver import run
from fanlight.kernels import attention_rows
from fanlight.kernels.attention_rows import AttentionRows
from fanlight.kernels.case import SEQS, Case, buffer_of
from fanlight.kernels.inputs import Row, pack_inputs, rows_word
from fanlight.runtime import open_device
from fanlight.runtime.device import Device

HEADS, KV_HEADS, D, DV = 4, 2, 32, 20


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    device = open_device("native")
    yield device
    device.close()


def attended(device: Device, window: int | None, sequences: list[np.ndarray]) -> list[np.ndarray]:
    """Each [rows, q + k + v], of as many slots, side by side. -> [rows, HEADS * DV] each"""
    qkv = np.concatenate(sequences)
    q, k = HEADS * D, KV_HEADS * D
    whole = qkv.shape[1]
    sizes = (HEADS, KV_HEADS, D, DV, whole, 0, whole, q, whole, q + k, HEADS * DV, rows_word(SEQS))
    p = AttentionRows(*sizes, window=window)
    rows = [Row(0, i, slot) for slot, sequence in enumerate(sequences) for i in range(len(sequence))]
    contents = dict.fromkeys("qkv", qkv) | {
        "inputs": np.frombuffer(pack_inputs(rows, [], SEQS), np.uint8),
        "y": np.zeros((len(rows), HEADS * DV), np.float32),
    }
    case = Case("rows", attention_rows.make(p), attention_rows.grid(p, len(rows)), contents)
    run(device.prepare(case.program()))
    for binding, array in case.arrays().items():
        device.write(buffer_of(binding), 0, array.tobytes())
    run(device.result(device.submit("case", bytes(16))))
    y = np.frombuffer(run(device.read(buffer_of("y"), 0, contents["y"].nbytes)), np.float32).reshape(len(rows), -1)
    return np.split(y, np.cumsum([len(s) for s in sequences])[:-1])


@pytest.mark.parametrize("window", [None, 12, 90])
@pytest.mark.parametrize("other", [0.5, np.inf, np.nan])
def test_company_changes_nothing(device: Device, window: int | None, other: float) -> None:
    """Sequences that begin anywhere in a workgroup's rows, beside others whose numbers may be none."""
    draw = np.random.default_rng(5).normal
    sequence = draw(size=(137, HEADS * D + KV_HEADS * (D + DV))).astype(np.float32)
    (alone,) = attended(device, window, [sequence])
    for before in (1, 3, 11):
        beside = np.full((before, sequence.shape[1]), other, np.float32)
        assert np.array_equal(attended(device, window, [beside, sequence, beside])[1], alone)
