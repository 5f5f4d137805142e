"""Known answers against the NumPy references: on every case's kernel the pure-Python answers are those of NumPy."""

import numpy as np
import pytest

from fanlight.formats.quant import QUANT_TYPES
from fanlight.kernels import cases as kernel_cases
from fanlight.kernels import known_linear, run_reference
from fanlight.kernels.known import Known, found_value, is_right, places
from fanlight.kernels.known_kernels import KNOWN, known_of
from fanlight.kernels.linear import FLOATS
from fanlight.kernels.spec import round_up
from tests.kernels.test_kernels import find

UNKNOWN = {"stream"}  # no model's
ALL = [(stem, case.name) for stem in kernel_cases.stems() for case in kernel_cases.cases_of(stem) if stem not in UNKNOWN]


def sizes_of(case: kernel_cases.Case, known: Known) -> dict[str, int]:
    sizes = {name: array.nbytes for name, array in case.arrays().items()}
    for binding, offset, data in known.writes:
        sizes[binding] = max(sizes[binding], round_up(offset + len(data), 16))
    return sizes


def test_every_kernel_has_known_answers():
    assert set(kernel_cases.stems()) - set(KNOWN) <= UNKNOWN


@pytest.mark.parametrize(("stem", "name"), ALL, ids=[f"{stem}-{name}" for stem, name in ALL])
def test_known_answers_are_numpys(stem, name):
    case = find(stem, name)
    known = known_of(case.kernel, case.grid)
    assert known and known.answers
    arrays = {binding: np.zeros(size, np.uint8) for binding, size in sizes_of(case, known).items()}
    if "s" in arrays:
        arrays["s"] = arrays["w"]
    for binding, offset, data in known.writes:
        assert data and offset % 4 == 0 and len(data) % 4 == 0, (binding, offset, len(data))
        arrays[binding][offset : offset + len(data)] = np.frombuffer(data, np.uint8)
    before = {binding: array.copy() for binding, array in arrays.items()}
    bindings = [arrays[b.name] for b in case.kernel.bindings]
    with np.errstate(all="ignore"):  # of what no answer is about
        run_reference(case.kernel.wgsl(), bindings, case.grid)
    wrong, changed = [], 0
    for answer in known.answers:
        spots = places(answer)
        found, rounding = found_value(answer, [arrays[b][at : at + n].tobytes() for b, at, n in spots])
        changed += any((arrays[b][at : at + n] != before[b][at : at + n]).any() for b, at, n in spots)
        if not is_right(answer, found, rounding):
            wrong.append((answer, found))
    assert not wrong
    assert changed >= len(known.answers) // 2, "most answers stood there before"


def test_known_weights_are_what_the_gguf_package_reads():
    """Every quantised format of GGML's has blocks, and their values are those of the format's own authors."""
    gguf = pytest.importorskip("gguf")
    formats = (
        {name for name, quant in QUANT_TYPES.items() if quant.ggml_id is not None} - FLOATS - {"Q1_0", "Q2_0"}
    )  # it knows not these
    for format in formats:
        known = known_linear._known_blocks()[format]
        blocks = np.frombuffer(b"".join(known.blocks), np.uint8).reshape(len(known.blocks), -1)
        values = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[format]).reshape(-1)
        assert np.array_equal(np.array(known.values, np.float32), values), format
