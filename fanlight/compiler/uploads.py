"""How a model's files become packed weights: a list of chunks, each with the launch that puts it in its place
(kernels/upload.py)."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from fanlight.compiler.graph import Piece, Weight
from fanlight.compiler.program import BufferSpec, Launch, Limits, Slice, Upload
from fanlight.formats.layout import Part
from fanlight.formats.parts import NESTED
from fanlight.formats.quant import QUANT_TYPES
from fanlight.kernels import parts, upload
from fanlight.kernels.linear import packing_of
from fanlight.kernels.packing import Packing, rows_per_chunk
from fanlight.kernels.spec import Kernel, round_up

CHUNK_BYTES = 4 << 20
LARGEST_BUFFER = 1 << 30  # of weights
PARAMS = "upload_params"


def place_weights(weights: Iterable[Weight], limits: Limits) -> dict[Weight, Slice]:
    """Where each packed weight lies: one after the other in as few buffers as the adapter allows. Many small buffers would
    scatter over a GPU's pages and take longer to make."""
    largest = min(limits.max_buffer_size, LARGEST_BUFFER)
    align = max(256, limits.min_storage_buffer_offset_alignment)
    places: dict[Weight, Slice] = {}
    buffer, end = 0, 0
    for weight in weights:
        size = round_up(packing_of(weight.format, weight.rows, weight.cols).size, 16)
        if end and end + size > largest:
            buffer, end = buffer + 1, 0
        places[weight] = Slice(f"weights.{buffer}", end, size)
        end = round_up(end + size, align)
    return places


def weight_buffers(places: Iterable[Slice]) -> list[BufferSpec]:
    ends: dict[str, int] = {}
    for place in places:
        ends[place.buffer] = max(ends.get(place.buffer, 0), place.offset + place.size)
    return [BufferSpec(name, round_up(end, 256), "weight") for name, end in ends.items()]


def uploads_of(weight: Weight, place: Slice, limits: Limits) -> Iterator[tuple[Upload, Kernel]]:
    """The chunks of one weight, in file order; `_Emitter` names the launch's kernel."""
    chunk = min(CHUNK_BYTES, limits.largest_buffer)
    first = 0
    for piece in weight.pieces:
        made = _vector(weight, place, piece, first) if weight.cols == 1 else _matrix(weight, place, piece, first, chunk)
        yield from made
        first += piece.rows


def _matrix(weight: Weight, place: Slice, piece: Piece, first: int, chunk: int) -> Iterator[tuple[Upload, Kernel]]:
    packing = packing_of(weight.format, weight.rows, weight.cols)
    if not piece.parts:
        yield from _rows(weight, place, piece, first, chunk, (piece.source, piece.offset), packing, upload.make(packing))
    for part in piece.parts:
        assert piece.step == 1 or part.coding in ("nibbles", "bytes", *parts.COLUMNS), f"{weight.name}: {part.coding} in steps"
        at = part.source, part.offset
        if part.coding in parts.NIBBLES:
            columns = parts.NIBBLES[part.coding]
            groups, kernel = packing.groups(part.field, columns), upload.make_nibbles(columns)
            yield from _rows(weight, place, piece, first, chunk, at, groups, kernel, part.add)
        elif part.coding == "bytes":
            only = packing.only(part.field)
            yield from _rows(weight, place, piece, first, chunk, at, only, upload.make(only), part.add)
        elif part.coding in parts.COLUMNS:
            yield from _columns(weight, place, piece, first, chunk, part)
        elif part.coding in parts.QUARTERS:
            yield _quarters(weight, place, piece, first, part)
        else:
            yield from _values(weight, place, piece, first, chunk, part)


def _rows(
    weight: Weight,
    place: Slice,
    piece: Piece,
    first: int,
    chunk: int,
    at: tuple[int, int],
    packing: Packing,
    kernel: Kernel,
    add: int = 0,
) -> Iterator[tuple[Upload, Kernel]]:
    """Of planes that a file has row after row. at: file, and the offset of its first row."""
    row_bytes = packing.row_blocks * packing.file_block_bytes
    step = rows_per_chunk(packing, chunk // piece.step, piece.head_dim or 1)
    for start in range(0, piece.rows, step):
        rows = min(step, piece.rows - start)
        params = upload.params(packing, first + start, rows, *_order(piece), add)
        size = ((rows - 1) * piece.step + 1) * row_bytes
        launch = _launch(weight.name, place, size, upload.grid(packing, rows), params)
        offset = at[1] + (piece.first + start * piece.step) * row_bytes
        yield Upload(at[0], offset, size, params, launch), kernel


def _order(piece: Piece) -> tuple[int, int]:
    """head_dim and rotary rows, for kernels that move rows; where no head is turned, 0 and the step."""
    return (piece.head_dim, piece.rotary) if piece.head_dim else (0, piece.step)


def _columns(weight: Weight, place: Slice, piece: Piece, first: int, chunk: int, part: Part) -> Iterator[tuple[Upload, Kernel]]:
    """Of codes that a file has transposed: some groups of columns of all rows at a time."""
    packing, kernel = packing_of(weight.format, weight.rows, weight.cols), parts.make_columns(part)
    rows, head = (piece.rows, first, piece.first), _order(piece)
    group_bytes = 4 * parts.line_words(part.coding, piece.file_rows) * 32 // parts.COLUMNS[part.coding]
    all_groups, step = weight.cols // 32, max(1, chunk // group_bytes)
    if part.table:
        step = all_groups  # whose columns may be anywhere in the file's
    for group in range(0, all_groups, step):
        count = min(step, all_groups - group)
        params = parts.column_params(part, packing, rows, head, piece.file_rows, (group, count))
        size = count * group_bytes
        launch = _launch(weight.name, place, size, parts.grid(piece.rows * count * parts.column_words(part.coding)), params)
        yield Upload(part.source, part.offset + group * group_bytes, size, params, launch), kernel


def _quarters(weight: Weight, place: Slice, piece: Piece, first: int, part: Part) -> tuple[Upload, Kernel]:
    """Of codes of which rows far apart share a byte: all at once."""
    packing, rows = packing_of(weight.format, weight.rows, weight.cols), (piece.rows, first, piece.first)
    params = parts.quarter_params(part, packing, rows, (piece.head_dim, piece.rotary), piece.file_rows)
    grid = parts.grid(piece.rows * weight.cols // parts.QUARTERS[part.coding] * parts.column_words(part.coding))
    launch = _launch(weight.name, place, part.num_bytes, grid, params)
    return Upload(part.source, part.offset, part.num_bytes, params, launch), parts.make_columns(part)


def _values(weight: Weight, place: Slice, piece: Piece, first: int, chunk: int, part: Part) -> Iterator[tuple[Upload, Kernel]]:
    """Of numbers: all, or some lines of the file at a time, each of which belongs to some rows or to some blocks."""
    packing, kernel = packing_of(weight.format, weight.rows, weight.cols), parts.make_values()
    head = (piece.head_dim, piece.rotary)
    row_div, row_step, block_div, block_step = part.steps
    size_of = parts.VALUE_BYTES.get(part.coding, 4)
    if part.coding == "nested":
        chunk = min(chunk, (parts.MOST_NESTED - 2) * NESTED)
    whole = part.num_bytes <= chunk
    by_rows = not whole and row_step >= block_step
    row_size = max(row_div, piece.head_dim or 1)
    lines = max(1, chunk // (size_of * max(row_step, block_step, 1)))
    rows_step = lines * row_div // row_size * row_size or row_size if by_rows else piece.rows
    blocks_step = packing.row_blocks if whole or by_rows else lines * block_div
    for start in range(0, piece.rows, rows_step):
        count = min(rows_step, piece.rows - start)
        for block in range(0, packing.row_blocks, blocks_step):
            blocks = min(blocks_step, packing.row_blocks - block)
            low, high = 0, part.num_bytes // size_of
            if by_rows:
                low, high = (piece.first + start) // row_div * row_step, -(-(piece.first + start + count) // row_div) * row_step
            elif not whole:
                low, high = block // block_div * block_step, -(-(block + blocks) // block_div) * block_step
            low, high = low // 4 * 4, min(high, part.num_bytes // size_of)
            at = (count, first + start, piece.first + start)
            params = parts.value_params(part, packing, at, head, low, (block, blocks))
            size = (high - low) * size_of
            launch = _launch(weight.name, place, size, parts.grid(count * blocks), params)
            yield Upload(part.source, part.offset + low * size_of, size, params, launch), kernel


def _vector(weight: Weight, place: Slice, piece: Piece, first: int) -> Iterator[tuple[Upload, Kernel]]:
    packing = replace(packing_of(weight.format, weight.rows, 1), file_block_bytes=QUANT_TYPES[piece.format].block_bytes)
    size = ((piece.rows - 1) * piece.step + 1) * packing.file_block_bytes
    params = upload.params(packing, first, piece.rows, *_order(piece))
    launch = _launch(weight.name, place, size, (-(-piece.rows // upload.WORKGROUP), 1, 1), params)
    yield Upload(piece.source, piece.offset, size, params, launch), upload.make_vector(piece.format)


def params_buffer(uploads: Iterable[Upload]) -> BufferSpec:
    """As large as the largest that is written to it."""
    return BufferSpec(PARAMS, max((_params_size(u.params) for u in uploads), default=_params_size(())), "staging")


def _params_size(params: tuple[int, ...]) -> int:
    return round_up(4 * max(len(params), upload.LEAST_PARAMS), 256)


def _launch(name: str, place: Slice, size: int, grid: tuple[int, int, int], params: tuple[int, ...]) -> Launch:
    bindings = (
        Slice("staging", 0, round_up(size, 4)),
        Slice(PARAMS, 0, _params_size(params)),
        place,
    )
    return Launch("", bindings, grid, name)
