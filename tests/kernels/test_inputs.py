"""The record of a step: what is packed is what is read, and one file of WGSL knows where a row's words lie."""

import re
from array import array

import numpy as np
import pytest

from fanlight.kernels.inputs import FROM_SLOT, Row, Sample, pack_inputs, read_rows, rows_word
from fanlight.kernels.spec import FOLDER

ROWS = [Row(7, 0, 2), Row(FROM_SLOT, 1, 2, True), Row(0xFFFF_FFFF >> 1, 4095, 0)]


@pytest.mark.parametrize("words", [lambda data: array("I", data), lambda data: np.frombuffer(data, np.uint32)])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], []])
def test_rows_are_read_as_they_were_packed(rows, words):
    record = pack_inputs(rows, [Sample(0, 2)], 4) + bytes(64)  # a device's buffer may be longer
    assert read_rows(words(record), rows_word(4)) == rows


def test_one_file_knows_a_rows_words():
    decoders = [file.name for file in FOLDER.rglob("*.wgsl") if re.search(r"inputs\[[^\]]*ROWS_AT", file.read_text())]
    assert decoders == ["row.wgsl"]
    with_rows = [file for file in FOLDER.rglob("*.py") if "ROW_WORDS" in file.read_text()]
    with_rows = [file for file in with_rows if not file.name.startswith(("cases", "known"))]  # which write such words
    assert {file.name for file in with_rows} == {
        "inputs.py",
        "embed.py",
        "timestamps.py",
    }  # which may read another word of a row
