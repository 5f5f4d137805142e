"""Moves the fields of a quantised format that a model file has apart, in other orders (formats/layout.py's Part), into planes.

upload_columns.wgsl: codes that are transposed, as GPTQ and AWQ have them, and GPT-2 its numbers; or of which rows share
bytes, as BitNet's. upload_values.wgsl: scales,
zero points and offsets, of which files have one to a group, a row or a matrix, and planes one to a block, as f32. upload.py has
the others."""

import struct
from array import array
from dataclasses import replace

from fanlight.arrays import Array
from fanlight.formats.layout import Part
from fanlight.formats.parts import NESTED, numbers, plane_of
from fanlight.kernels.packing import Packing
from fanlight.kernels.spec import Kernel, ceil_div, kernel
from fanlight.kernels.upload import MAX_PARAMS, WORKGROUP, source_rows

BINDINGS = {"staging": "array<u32>", "params": "array<u32>", "packed": "+array<u32>"}
NIBBLES = {"nibbles": 32, "nibbles16": 16}  # coding -> columns to a block, whose first half is below the other
COLUMNS = {"gptq4": 8, "gptq8": 4, "awq4": 1, "turned32": 1, "turned16": 1}  # coding -> columns to a line of words
QUARTERS = {"quarters32": 32, "quarters128": 128}  # coding -> columns to a group
ROWS = {"awq4": 8, "turned16": 2}  # coding -> rows to a word, where not one
VALUES = ("f32", "f16", "bf16", "bits4", "bits8", "awq", "constant", "nested")  # by their number in the shader
FLOATS = VALUES[:3]
VALUE_BYTES = {"f16": 2, "bf16": 2, "nested": 1}  # 4 otherwise
TABLE = 21  # of params
MOST_NESTED = MAX_PARAMS - TABLE - 257  # scales that one upload can have with it


MOST_ORDERED = 2 * (MAX_PARAMS - 13)  # columns that are in an order of their own


def make_columns(part: Part) -> Kernel:
    variant = f"{part.coding}_ordered" if part.table else part.coding
    files = ("lib/source_row.wgsl", "upload_columns.wgsl", f"lib/columns_{variant}.wgsl")
    return kernel("upload_columns", BINDINGS, {"WORKGROUP": WORKGROUP}, files)


def make_values() -> Kernel:
    return kernel("upload_values", BINDINGS, {"WORKGROUP": WORKGROUP}, ("lib/source_row.wgsl", "upload_values.wgsl"))


def line_words(coding: str, file_rows: int) -> int:
    """From line to line of a file's transposed codes."""
    return file_rows // ROWS.get(coding, 1)


def column_params(
    part: Part, packing: Packing, rows: tuple[int, int, int], head: tuple[int, int], file_rows: int, groups: tuple[int, int]
) -> tuple[int, ...]:
    """rows: how many, the first in the packed weight, the first in the file. head: head_dim and rotary rows. groups of 32: the
    first that is staged, and how many are."""
    count, first, in_file = rows
    to, line = packing.only(part.field).planes[0].offset, line_words(part.coding, file_rows)
    order = array("I", array("H", array("I", part.table)).tobytes())
    return (count, first, packing.cols // 32, 0, 0, *head, 0, to, in_file, line, *groups, *order)


def quarter_params(
    part: Part, packing: Packing, rows: tuple[int, int, int], head: tuple[int, int], file_rows: int
) -> tuple[int, ...]:
    """As column_params; all of the file is staged."""
    (count, first, in_file), groups = rows, packing.cols // QUARTERS[part.coding]
    to = packing.only(part.field).planes[0].offset
    return (count, first, groups, 0, 0, *head, 0, to, in_file, packing.cols // 4, 0, groups, file_rows // 4)


def value_params(
    part: Part, packing: Packing, rows: tuple[int, int, int], head: tuple[int, int], staged: int, blocks: tuple[int, int]
) -> tuple[int, ...]:
    """As column_params. staged: the first element that is. blocks: the first, and how many."""
    count, first, in_file = rows
    to = packing.only(part.field).planes[0].offset
    times = int.from_bytes(struct.pack("<f", part.times), "little")
    ends = (
        to,
        in_file,
        *blocks,
        *part.steps,
        part.add or int(part.divides),
        part.mask,
        part.less,
        times,
        *_nested(part, count, in_file, staged),
    )
    return (count, first, packing.row_blocks, VALUES.index(part.coding), staged, *head, 0, *ends)


def _nested(part: Part, rows: int, in_file: int, staged: int) -> tuple[int, ...]:
    """The table, and of its scales those that the rows need."""
    if part.coding != "nested":
        return ()
    table, per_row = array("I", part.table), part.steps[1]
    first, last = staged // NESTED, ((in_file + rows) * per_row - 1) // NESTED
    return (first, *table[:257], *table[257 + first : 257 + last + 1])


def grid(count: int) -> tuple[int, int, int]:
    """Of so many invocations."""
    groups = ceil_div(count, WORKGROUP)
    return (min(groups, 32768), ceil_div(groups, 32768), 1)


def column_words(coding: str) -> int:
    """Of a group of 32, or of 128."""
    return {"gptq8": 8, "turned16": 16, "turned32": 32, "quarters128": 8}.get(coding, 4)


def reference_columns(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p = [int(v) for v in arrays["params"].view(np.uint32)[:13]]
    rows, first, per_row, (head, rotary), (to, in_file, line, group, groups) = p[0], p[1], p[2], p[5:7], p[8:13]
    coding = kernel.files[-1].removeprefix("lib/columns_").removesuffix(".wgsl")
    given = arrays["params"][4 * 13 :].view(np.uint16)[: groups * 32].astype(np.uint32)
    order = given.tobytes() if coding.endswith("_ordered") else b""
    coding = coding.removesuffix("_ordered")
    file_rows, size = line * ROWS.get(coding, 1), 4 * column_words(coding)
    columns = groups * QUARTERS.get(coding, 32)
    lines = columns // COLUMNS[coding] if coding in COLUMNS else int(arrays["params"].view(np.uint32)[13])
    file_rows = file_rows if coding in COLUMNS else 4 * lines
    staged = arrays["staging"].view(np.uint8)[: lines * line * 4]
    part = Part("qs", coding, table=order)
    plane = plane_of(part, staged, file_rows, columns, groups)
    plane = plane[in_file + source_rows(rows, head, rotary)].reshape(rows, groups * size)
    out = arrays["packed"].view(np.uint8)[to:][: (first + rows) * per_row * size].reshape(first + rows, per_row * size)
    out[first:, group * size : (group + groups) * size] = plane


def reference_values(kernel: Kernel, arrays: dict[str, Array], grid: tuple[int, int, int]) -> None:
    import numpy as np

    p = [int(v) for v in arrays["params"].view(np.uint32)[:21]]
    rows, first, per_row, coding, staged, (head, rotary), (to, in_file, block, blocks) = *p[:5], p[5:7], p[8:12]
    given = arrays["params"].view(np.float32)
    table = np.concatenate([given[TABLE:][:257], np.zeros(p[20], np.float32), given[TABLE + 257 :]]).tobytes()
    steps, times = (p[12], p[13], p[14], p[15]), float(given[19])
    of = Part("d", VALUES[coding], steps=steps, add=p[16], mask=p[17], less=p[18], times=times, table=table)
    part = replace(of, divides=bool(p[16])) if of.coding in FLOATS else of
    staging = arrays["staging"].view(np.uint8 if part.coding in VALUE_BYTES else np.uint32)
    source = in_file + source_rows(rows, head, rotary)
    values = numbers(part, staging, source, block + np.arange(blocks), staged)
    out = arrays["packed"].view(np.uint8)[to:][: 4 * (first + rows) * per_row].view(np.float32).reshape(first + rows, per_row)
    out[first:, block : block + blocks] = values
