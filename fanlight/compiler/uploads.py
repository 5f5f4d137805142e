"""How a model's files become packed weights: a list of chunks, each with the launch that puts it in its place
(kernels/upload.py)."""

from collections.abc import Iterator
from dataclasses import replace

from fanlight.compiler.graph import Piece, Weight
from fanlight.compiler.program import BufferSpec, Launch, Limits, Slice, Upload
from fanlight.formats.quant import QUANT_TYPES
from fanlight.kernels import upload
from fanlight.kernels.linear import packing_of
from fanlight.kernels.packing import Packing, rows_per_chunk
from fanlight.kernels.spec import Kernel, round_up

CHUNK_BYTES = 16 << 20
PARAMS = BufferSpec("upload_params", 4 * upload.MAX_PARAMS, "staging")


def buffer_name(weight: Weight) -> str:
    return f"weight.{weight.name}"


def buffer_size(weight: Weight) -> int:
    return round_up(packing_of(weight.format, weight.rows, weight.cols).size, 256)


def uploads_of(weight: Weight, limits: Limits) -> Iterator[tuple[Upload, Kernel]]:
    """The chunks of one weight, in file order; `_Emitter` names the launch's kernel."""
    packing = packing_of(weight.format, weight.rows, weight.cols)
    chunk = min(CHUNK_BYTES, limits.max_storage_buffer_binding_size, limits.max_buffer_size)
    first = 0
    for piece in weight.pieces:
        made = _vector(weight, piece, first) if weight.cols == 1 else _matrix(weight, packing, piece, first, chunk)
        yield from made
        first += piece.rows


def _matrix(weight: Weight, packing: Packing, piece: Piece, first: int, chunk: int) -> Iterator[tuple[Upload, Kernel]]:
    row_bytes = packing.row_blocks * packing.file_block_bytes
    step = rows_per_chunk(packing, chunk, piece.interleave or 1)
    kernel = upload.make()
    for start in range(0, piece.rows, step):
        rows = min(step, piece.rows - start)
        params = upload.params(packing, first + start, rows, piece.interleave)
        launch = _launch(weight, rows * row_bytes, upload.grid(packing, rows))
        yield Upload(piece.source, piece.offset + start * row_bytes, rows * row_bytes, params, launch), kernel


def _vector(weight: Weight, piece: Piece, first: int) -> Iterator[tuple[Upload, Kernel]]:
    packing = replace(packing_of(weight.format, weight.rows, 1), file_block_bytes=QUANT_TYPES[piece.format].block_bytes)
    size = piece.rows * packing.file_block_bytes
    params = upload.params(packing, first, piece.rows, piece.interleave)
    launch = _launch(weight, size, (-(-piece.rows // upload.WORKGROUP), 1, 1))
    yield Upload(piece.source, piece.offset, size, params, launch), upload.make_vector(piece.format)


def _launch(weight: Weight, size: int, grid: tuple[int, int, int]) -> Launch:
    bindings = (
        Slice("staging", 0, round_up(size, 4)),
        Slice(PARAMS.name, 0, PARAMS.size),
        Slice(buffer_name(weight), 0, buffer_size(weight)),
    )
    return Launch("", bindings, grid, weight.name)
