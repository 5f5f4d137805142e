"""Known answers of what takes rows as they are, of sums of parts, of embeddings and uploads: see known.py."""

import math
from array import array
from collections.abc import Iterable

from fanlight.formats.layout import Part
from fanlight.formats.parts import AWQ_ORDER
from fanlight.kernels import add_parts_norm, gemm_matrix, linear, norm, parts, quantize
from fanlight.kernels.embed import TOKENS
from fanlight.kernels.expressions import evaluate
from fanlight.kernels.fused import Site
from fanlight.kernels.inputs import FROM_SLOT, NO_PATCH, Row, Sample
from fanlight.kernels.known import PERIOD, SLOT, Grid, Known, applied, ends, operand_values, wave, waves, write_operands
from fanlight.kernels.known_linear import weight_rows, weight_value
from fanlight.kernels.linear import Linear, packing_of
from fanlight.kernels.map import Map
from fanlight.kernels.norm import Norm
from fanlight.kernels.spec import Kernel
from fanlight.kernels.upload import BYTES, LEAST_PARAMS, params


# --- rows ------------------------------------------------------------------------------------------------------------
def known_norm(kernel: Kernel, grid: Grid) -> Known:
    p: Norm = kernel.problem
    made, rows = Known(), min(grid[0], 5)
    made.inputs([Row(0, 0, 0)] * rows, [])
    write_operands(made, norm.after(p), ends(rows))
    for row in ends(rows):
        made.writes.append(("x", 4 * (row * p.stride + p.x_offset), waves(row, p.columns)))
        for head in sorted({0, p.heads - 1}):
            start = row + head * p.size
            shift, scale = _moments(p, _sum_of_waves(start, p.size, 1), _sum_of_waves(start, p.size, 2))
            for i in ends(p.size):
                column, value = head * p.size + i, (wave(start + i) - shift) * scale
                answer = applied(norm.after(p), [value], [scale], row, column)
                if kernel.stem == "norm_int8":
                    made.expect("xq", row * p.size + column, *answer, "group")
                else:
                    made.expect("y", row * (p.y_stride or p.stride) + column, *answer)
    return made


def _moments(p: Norm, total: float, squares: float) -> tuple[float, float]:
    """What is taken away, and what it is multiplied by; of sums of a run's elements and of their squares."""
    mean = total / p.size if p.kind == "layer" else 0.0
    return mean, 1 / math.sqrt(squares / p.size - mean * mean + p.eps)


def _sum_of_waves(start: int, count: int, power: int) -> float:
    period = [wave(start + i) ** power for i in range(PERIOD)]
    return sum(period) * (count // PERIOD) + sum(period[: count % PERIOD])


def known_round_rows(kernel: Kernel, grid: Grid) -> Known:
    """The largest is 127 steps; so half a step more or less is another step."""
    columns, x_stride, x_offset, y_stride = (kernel.constant(name) for name in ("COLUMNS", "X_STRIDE", "X_OFFSET", "Y_STRIDE"))
    made, rows = Known(), min(grid[0], 3)
    made.inputs([Row(0, 0, 0)] * rows, [])
    for row in range(rows):
        steps = [(i % 127) - 63 + (0.25 if i % 2 else -0.25) for i in range(columns)]
        steps[row % columns] = -127.0
        made.floats("x", row * x_stride + x_offset, [step / 8 for step in steps])
        for i in {*ends(columns), *range(min(columns, 8))}:
            made.expect("y", row * y_stride + i, round(steps[i]) / 8)
    return made


def known_map(kernel: Kernel, grid: Grid) -> Known:
    p: Map = kernel.problem
    return _mapped(p.site, min(grid[1], 3), "y", p.y_stride)


def known_quantize(kernel: Kernel, grid: Grid) -> Known:
    k = kernel.constant("K")
    return _mapped(quantize.site_of(k, kernel.problem), min(grid[1], 3), "xq", k)


def _mapped(site: Site, rows: int, name: str, stride: int) -> Known:
    made = Known()
    made.inputs([Row(0, 0, 0)] * rows, [])
    write_operands(made, site, range(rows))
    for row in range(rows):
        for i in ends(site.columns):
            made.expect(name, row * stride + i, *applied(site, [], [], row, i), "group" if name == "xq" else "f32")
    return made


def known_gather(kernel: Kernel, grid: Grid) -> Known:
    stride, count = kernel.constant("STRIDE"), grid[1]
    made = Known()
    made.inputs([Row(0, 0, 0)] * count, [Sample(count - 1 - c, 0) for c in range(count)])
    for c in range(count):
        made.writes.append(("x", 4 * (count - 1 - c) * stride, waves(c, stride)))
        for i in ends(stride):
            made.expect("y", c * stride + i, wave(c + i))
    return made


def known_reorder(kernel: Kernel, grid: Grid) -> Known:
    """Columns backwards; of two values that are alike, the first's."""
    columns, stride, offset, y_stride = (kernel.constant(n) for n in ("COLUMNS", "X_STRIDE", "X_OFFSET", "Y_STRIDE"))
    made, rows = Known(), min(grid[1], 3)
    made.inputs([Row(0, 0, 0)] * rows, [])
    turn = kernel.constant("X_COLUMNS") if any(b.name == "also" for b in kernel.bindings) else min(columns, stride - offset)
    made.words("order", 0, [(columns - 1 - i) % turn for i in range(columns)])
    for row in range(rows):
        made.writes.append(("x", 4 * (row * stride + offset), waves(row, turn)))
        for i in ends(columns):
            made.expect("y", row * y_stride + i, wave(row + (columns - 1 - i) % turn))
    return made


def known_pool(kernel: Kernel, grid: Grid) -> Known:
    """Of a sequence of three rows, and others of one."""
    stride, count = kernel.constant("STRIDE"), min(grid[1], 4)
    made, rows = Known(), [Row(0, i, SLOT) for i in range(3)] + [Row(0, 0, SLOT)] * (count - 1)
    made.inputs(rows, [Sample(c + 2, 0) for c in range(count)], kernel.constant("ROWS_AT"))
    for row in range(len(rows)):
        made.writes.append(("x", 4 * row * stride, waves(5 * row, stride)))
    for i in ends(stride):
        first = [wave(5 * row + i) for row in range(3)]
        made.expect("y", i, sum(first) / 3 if kernel.problem == "mean" else first[0])
        for c in range(1, count):
            made.expect("y", c * stride + i, wave(5 * (c + 2) + i))
    return made


def known_lora_scale(kernel: Kernel, grid: Grid) -> Known:
    """Of a sequence with a scale for each."""
    stride, count, which = (kernel.constant(name) for name in ("STRIDE", "COUNT", "WHICH"))
    made = Known()
    made.inputs([Row(0, 0, SLOT)], [], kernel.constant("ROWS_AT"))
    made.writes.append(("scales", 4 * SLOT * count, waves(3, count)))
    for i in ends(stride):
        made.expect("y", i, wave(3 + which))
    return made


# --- sums of parts ---------------------------------------------------------------------------------------------------
def known_parts(kernel: Kernel, grid: Grid) -> Known:
    return _known_parts(kernel.problem, kernel.constant("SHARE"))


def _known_parts(p: Linear, share: int) -> Known:
    made, rows = Known(), min(p.rows, 5)
    made.inputs([Row(0, 0, 0)] * rows, [])
    write_parts(made, p, share, ends(rows)[::2])
    for row in ends(rows)[::2]:
        for n in ends(p.n):
            made.expect("y", row * p.y_stride + p.row_offset + n, *_sum_of_parts(p, share, row, n))
    return made


def write_parts(made: Known, p: Linear, share: int, rows: Iterable[int]) -> None:
    """Parts, and what is fused to their sum."""
    rows = list(rows)
    write_operands(made, linear.after(p), rows)
    for row in rows:
        for part in range(gemm_matrix.num_parts(p, share)):
            made.writes.append(("x", 4 * (part * p.rows + row) * p.n, waves(3 * part + row, p.n)))


def sum_of_parts(p: Linear, share: int, row: int, n: int) -> float:
    """Of what write_parts writes."""
    return _sum_of_parts(p, share, row, n)[0]


def _sum_of_parts(p: Linear, share: int, row: int, n: int) -> tuple[float, float]:
    """And the scale that errors of it are judged by."""
    parts = len(gemm_matrix.ranges_at(p, share, row, n))
    return applied(linear.after(p), [_total(parts, row, n)], [float(parts)], row, p.row_offset + n)


def _total(parts: int, row: int, n: int) -> float:
    return sum(wave(3 * part + row + n) for part in range(parts))


def _row_of_parts(p: Linear, share: int, row: int) -> list[float]:
    """The sums of a whole row. Within a tile they repeat themselves, unless an operand begins anew there."""
    made: list[float] = []
    site = linear.after(p)
    repeats = not any(map(site.wraps, site.fused.operands))
    for first in range(0, p.n, gemm_matrix.TILE):
        count = min(gemm_matrix.TILE, p.n - first)
        parts = len(gemm_matrix.ranges_at(p, share, row, first))
        period = []
        for n in range(first, first + (min(PERIOD, count) if repeats else count)):
            operands = operand_values(site, row, p.row_offset + n)
            period.append(float(evaluate(site.fused.expr, [_total(parts, row, n), *operands])))
        made += (period * (count // len(period) + 1))[:count]
    return made


def known_parts_norm(kernel: Kernel, grid: Grid) -> Known:
    """The answers of known_parts, and what its rows are normed."""
    (p, of), share = kernel.problem, kernel.constant("SHARE")
    made, site = _known_parts(p, share), add_parts_norm.normed(of)
    rows = sorted({answer.index // p.y_stride for answer in made.answers})
    write_operands(made, site, rows)
    for row in rows:
        y = _row_of_parts(p, share, row)
        shift, scale = _moments(of, sum(y), sum(v * v for v in y))
        for n in ends(p.n):
            value = (y[n] - shift) * scale
            made.expect("xq", row * p.n + n, *applied(site, [value], [max(map(abs, y)) * scale], row, n), "group")
    return made


# --- weights ---------------------------------------------------------------------------------------------------------
def known_upload(kernel: Kernel, grid: Grid) -> Known:
    """Rows 2.. of a packing of as many planes as the widest formats have, or of odd fields; whatever the grid, it is enough."""
    packing, rows, first = packing_of(*(("MXFP4", 4, 64) if BYTES in kernel.files else ("Q4_K", 4, 256))), 2, 2
    made, row_bytes = Known(), packing.row_blocks * packing.file_block_bytes
    made.words("params", 0, params(packing, first, rows, 0, 0) + (0,) * (LEAST_PARAMS - 8 - 4 * len(packing.planes)))
    staged = bytes((i * 37 + i // 256) % 256 for i in range(rows * row_bytes))
    made.writes.append(("staging", 0, staged))
    for plane in packing.planes:
        blocks = range(rows * packing.row_blocks)
        units = b"".join(staged[b * packing.file_block_bytes + plane.file_offset :][: plane.unit] for b in blocks)
        start = plane.offset + first * packing.row_blocks * plane.unit
        for i in range(0, len(units) - 3, max(4, len(units) // 16 * 4)):
            made.expect("packed", (start + i) // 4, int.from_bytes(units[i : i + 4], "little"), kind="u32")
    return made


def known_upload_nibbles(kernel: Kernel, grid: Grid) -> Known:
    """Rows 2 and 3 of a packing; each word of it by its eight codes."""
    half = 4 * kernel.constant("HALF")
    packing, rows, first = packing_of("Q4_0", 4, 64), 2, 2
    part = packing.groups("qs", 2 * half)
    made, codes = Known(), [(7 * i + i // 32) % 15 for i in range(rows * 64)]
    made.words("params", 0, params(part, first, rows, 0, 0, 1) + (0,) * (LEAST_PARAMS - 12))
    made.writes.append(("staging", 0, bytes(codes[i] | codes[i + 1] << 4 for i in range(0, len(codes), 2))))
    for word in range(rows * 2 * 4):
        block, at = codes[word * 4 // half * half * 2 :], word * 4 % half
        expected = bytes(block[at + i] + 1 | (block[at + i + half] + 1) << 4 for i in range(4))
        made.expect("packed", first * 8 + word, int.from_bytes(expected, "little"), kind="u32")
    return made


def known_upload_columns(kernel: Kernel, grid: Grid) -> Known:
    """Rows 2 and 3 of a packing, of columns 8 and 9 of the file; its codes are counted through."""
    coding = kernel.files[-1].removeprefix("lib/columns_").removesuffix(".wgsl")
    if coding.startswith("turned"):
        return _known_turned(coding)
    if coding in parts.QUARTERS:
        return _known_quarters(coding)
    is_ordered, coding = coding.endswith("_ordered"), coding.removesuffix("_ordered")
    order = [*range(63, -1, -1)] if is_ordered else [*range(64)]
    bits, per_line, rows = (8 if coding == "gptq8" else 4), parts.COLUMNS[coding], 16
    packing = packing_of("INT8_32" if bits == 8 else "INT4_32", 4, 64)

    def code(row: int, column: int) -> int:
        return 7 * row + 3 * column + column // 32

    made, line = Known(), parts.line_words(coding, rows)
    words = [0] * (64 // per_line * line)
    for column in range(64):
        for row in range(rows):
            at = column // per_line * line + (row // 8 if coding == "awq4" else row)
            place = AWQ_ORDER[row % 8] if coding == "awq4" else column % per_line
            words[at] |= (code(row, column) % (1 << bits)) << (bits * place)
    part = Part("qs", coding, table=array("I", order).tobytes() if is_ordered else b"")
    of = parts.column_params(part, packing, (2, 2, 8), (0, 0), rows, (0, 2))
    made.words("params", 0, of + (0,) * (LEAST_PARAMS - len(of)))
    made.words("staging", 0, words)
    for row in range(2):
        for word in range(2 * parts.column_words(coding)):
            group, j = divmod(word, parts.column_words(coding))
            columns = [group * 32 + 4 * j + i for i in range(4)]
            low = [code(8 + row, order[c]) % (1 << bits) for c in columns]
            high = [code(8 + row, order[c + 16]) % 16 << 4 if bits == 4 else 128 for c in columns]
            expected = bytes(a ^ b for a, b in zip(low, high, strict=True))
            made.expect(
                "packed", (2 + row) * 2 * parts.column_words(coding) + word, int.from_bytes(expected, "little"), kind="u32"
            )
    return made


def _known_quarters(coding: str) -> Known:
    """Rows 2 and 3 of a packing, of rows 7 and 8 of the file, which lie in the second and in the third quarter of 16."""
    apart, bits = (16, 4) if coding == "quarters32" else (32, 2)  # codes in a byte, and how far they are shifted
    cols = 2 * parts.QUARTERS[coding]
    packing = packing_of("INT4_32" if bits == 4 else "INT2_128", 4, cols)
    made, codes = Known(), [(3 * i + i // cols) % 256 for i in range(4 * cols)]
    of = parts.quarter_params(Part("qs", coding), packing, (2, 2, 7), (0, 0), 16)
    made.words("params", 0, of + (0,) * (LEAST_PARAMS - len(of)))
    made.writes.append(("staging", 0, bytes(codes)))
    for row in range(2):
        quarter, line = divmod(7 + row, 4)
        of_row = [code >> 2 * quarter & 3 for code in codes[cols * line :][:cols]]
        for word in range(2 * apart // 4):
            first = word // (apart // 4) * cols // 2 + word % (apart // 4) * 4
            each = [sum(of_row[c + i * apart] << bits * i for i in range(8 // bits)) for c in range(first, first + 4)]
            made.expect("packed", (2 + row) * apart // 2 + word, int.from_bytes(bytes(each), "little"), kind="u32")
    return made


def _known_turned(coding: str) -> Known:
    """Rows 2 and 3 of a packing, of columns 8 and 9 of the file; its numbers are counted through."""
    bits, rows, made = int(coding[-2:]), 16, Known()
    packing = packing_of("F32" if bits == 32 else "F16", 4, 64)

    def number(row: int, column: int) -> int:
        return 64 * row + column + 3

    words = [0] * (64 * rows * bits // 32)
    for column in range(64):
        for row in range(rows):
            at, shift = divmod((column * rows + row) * bits, 32)
            words[at] |= number(row, column) << shift
    of = parts.column_params(Part("x", coding), packing, (2, 2, 8), (0, 0), rows, (0, 2))
    made.words("params", 0, of + (0,) * (LEAST_PARAMS - len(of)))
    made.words("staging", 0, words)
    for row in range(2):
        for word in range(2 * bits):
            columns = range(word * 32 // bits, (word + 1) * 32 // bits)
            expected = sum(number(8 + row, c) << (bits * i) for i, c in enumerate(columns))
            made.expect("packed", (2 + row) * 2 * bits + word, expected, kind="u32")
    return made


def known_upload_values(kernel: Kernel, grid: Grid) -> Known:
    """Rows 2 and 3 of a packing, of rows 8 and 9 of the file: halves of groups of two blocks."""
    packing, made = packing_of("INT4_32", 4, 128), Known()
    of = parts.value_params(Part("d", "f16", steps=(1, 2, 2, 1)), packing, (2, 2, 8), (0, 0), 0, (0, 4))
    made.words("params", 0, of + (0,) * (LEAST_PARAMS - len(of)))
    made.writes.append(("staging", 0, waves(0, 20, "e")))
    to = packing.only("d").planes[0].offset // 4
    for row in range(2):
        for block in range(4):
            made.expect("packed", to + (2 + row) * 4 + block, wave(2 * (8 + row) + block // 2))
    return made


def known_upload_vector(kernel: Kernel, grid: Grid) -> Known:
    file = kernel.files[0]
    code = "e" if "widen_f16" in file else "f"
    raw = waves(4, 16, code)
    if "bf16" in file:
        raw = b"".join(raw[i + 2 : i + 4] for i in range(0, 64, 4))
    made = Known()
    made.words("params", 0, [16, 0, 1, len(raw) // 16, 1, 8, 6, 0] + [0] * (LEAST_PARAMS - 8))
    made.writes.append(("staging", 0, raw))
    for i, row in enumerate((0, 3, 1, 4, 2, 5, 6, 7)):  # of a head of 8, whose first 6 are interleaved
        for head in (0, 8):
            made.expect("packed", head + i, wave(4 + head + row))
    return made


def known_embed(kernel: Kernel, grid: Grid) -> Known:
    n, k, stride, vocab, first, rows_at = (kernel.constant(c) for c in ("N", "K", "Y_STRIDE", "VOCAB", "FIRST_ROW", "ROWS_AT"))
    made, tokens, index = Known(), [first + n - 1, first + n // 2, first][: grid[0]], kernel.problem.index
    is_counted, is_token = index == "token", index in TOKENS
    if index == "second":
        tokens = [t for t in (1, 0) if t < vocab][: grid[0]]
        tokens = [t for t in tokens if first <= t < first + n]
    words = list(tokens)
    if index == "place":
        lines_from = kernel.problem.table[1]
        words = [t - lines_from if t >= lines_from else NO_PATCH for t in tokens]
        if first + n == vocab <= 0xFFFF and len(words) < grid[0]:
            words.append(vocab)  # beyond the table
    rows = [Row(FROM_SLOT if is_token and i == 0 else t, t if index == "position" else i, SLOT) for i, t in enumerate(words)]
    made.inputs(rows, [], rows_at)
    for i, t in enumerate(words):  # flags
        made.words("inputs", rows_at + 4 * i + 3, [t << 1 if index == "second" else int(is_counted and i == 1)])
    if is_token:
        made.words("next_token", SLOT, [tokens[0]])
    weight_rows(made, kernel.format, n, k, {t - first for t in tokens})
    for row, token in enumerate(tokens):
        for i in ends(k):
            value = weight_value(kernel.format, token - first, i)
            made.expect("y", row * stride + i, *applied(kernel.problem.after, [value], [abs(value)], row, i))
        if is_counted and first == 0:
            made.words("token_counts", SLOT * vocab + token, [5])
    for i in ends(k) if len(words) > len(tokens) else ():
        made.expect("y", len(tokens) * stride + i, *applied(kernel.problem.after, [0.0], [0.0], len(tokens), i))
    if is_counted and first == 0 and len(set(tokens)) == len(tokens):
        for row, token in enumerate(tokens):
            made.expect("token_counts", SLOT * vocab + token, 6 if row == 1 else 0x80000005, kind="u32")
    return made
