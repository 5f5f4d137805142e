"""How a model's files become packed weights: a list of chunks, each with the launch that puts it in its place
(kernels/upload.py)."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from fanlight.compiler.graph import Piece, Weight
from fanlight.compiler.program import BufferSpec, Launch, Limits, Slice, Upload
from fanlight.formats.quant import QUANT_TYPES
from fanlight.kernels import upload
from fanlight.kernels.linear import packing_of
from fanlight.kernels.packing import Packing, rows_per_chunk
from fanlight.kernels.spec import Kernel, round_up

CHUNK_BYTES = 4 << 20
LARGEST_BUFFER = 1 << 30  # of weights
PARAMS = BufferSpec("upload_params", 4 * upload.MAX_PARAMS, "staging")


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
    for source, offset, part, kernel in _parts(piece, packing):
        row_bytes = part.row_blocks * part.file_block_bytes
        step = rows_per_chunk(packing, chunk, piece.head_dim or 1)
        for start in range(0, piece.rows, step):
            rows = min(step, piece.rows - start)
            params = upload.params(part, first + start, rows, piece.head_dim, piece.rotary)
            launch = _launch(weight.name, place, rows * row_bytes, upload.grid(part, rows))
            yield Upload(source, offset + start * row_bytes, rows * row_bytes, params, launch), kernel


def _parts(piece: Piece, packing: Packing) -> Iterator[tuple[int, int, Packing, Kernel]]:
    """Where the planes of a piece's rows are: file, offset, what of the packing lies there, the kernel that moves it."""
    if piece.scales is None:
        yield piece.source, piece.offset, packing, upload.make(packing)
    else:
        yield piece.source, piece.offset, packing.only("qs"), upload.make_nibbles()
        yield *piece.scales, packing.only("d"), upload.make()


def _vector(weight: Weight, place: Slice, piece: Piece, first: int) -> Iterator[tuple[Upload, Kernel]]:
    packing = replace(packing_of(weight.format, weight.rows, 1), file_block_bytes=QUANT_TYPES[piece.format].block_bytes)
    size = piece.rows * packing.file_block_bytes
    params = upload.params(packing, first, piece.rows, piece.head_dim, piece.rotary)
    launch = _launch(weight.name, place, size, (-(-piece.rows // upload.WORKGROUP), 1, 1))
    yield Upload(piece.source, piece.offset, size, params, launch), upload.make_vector(piece.format)


def _launch(name: str, place: Slice, size: int, grid: tuple[int, int, int]) -> Launch:
    bindings = (
        Slice("staging", 0, round_up(size, 4)),
        Slice(PARAMS.name, 0, PARAMS.size),
        place,
    )
    return Launch("", bindings, grid, name)
