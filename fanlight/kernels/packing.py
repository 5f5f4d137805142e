"""How a weight lies on the GPU: the fields of a format's blocks, each in a plane of its own.

GGUF's blocks are 18 to 210 bytes long, so nothing in them is aligned. When a weight is uploaded, its blocks are taken apart:
all `d` together, all `qs` together, every plane starting at a multiple of 16 bytes. Only the place of bytes changes, never a
value. Rows of float formats are padded with zeros to whole groups of 32 values, quantised rows are whole blocks by their
nature."""

from dataclasses import dataclass, replace

from fanlight.arrays import Array
from fanlight.kernels.spec import ceil_div, round_up

GROUP = 32  # values that kernels take at a time


@dataclass(frozen=True, slots=True)
class Plane:
    field: str
    offset: int  # bytes from the start of the packed weight
    size: int  # bytes, without padding
    unit: int  # bytes of this field per block here
    file_offset: int  # of the field within a block of the file
    file_unit: int  # bytes of this field per block in the file (less than unit where rows are padded)


@dataclass(frozen=True, slots=True)
class Packing:
    """The layout of rows x cols values."""

    rows: int
    cols: int
    padded_cols: int  # cols rounded up to whole groups
    row_blocks: int  # blocks per row; a padded float row is one block
    file_block_bytes: int
    planes: tuple[Plane, ...]
    size: int  # bytes in all

    def only(self, field: str) -> "Packing":
        """One plane, whose bytes lie in a file by themselves."""
        plane = next(plane for plane in self.planes if plane.field == field)
        plane = replace(plane, file_offset=0)
        return replace(self, file_block_bytes=plane.unit, planes=(plane,))

    def groups(self, field: str, columns: int) -> "Packing":
        """As `only`, of codes of 4 bits, so many columns to a block."""
        part, size = self.only(field), columns // 2
        plane = replace(part.planes[0], unit=size, file_unit=size)
        return replace(part, row_blocks=self.cols // columns, file_block_bytes=size, planes=(plane,))

    def constants(self) -> dict[str, int]:
        """What the format's WGSL needs: where its planes begin, in bytes."""
        return {f"PLANE_{plane.field.upper()}": plane.offset for plane in self.planes}


def pack(fields: tuple[tuple[str, int, int], ...], block_elems: int, block_bytes: int, rows: int, cols: int) -> Packing:
    """fields: (name, offset, size in bytes) of one block in the file."""
    if block_elems == 1:  # F32, F16, BF16: a whole row counts as one block
        padded = round_up(cols, GROUP) if cols > 1 else 1
        fields, row_blocks, file_block = ((fields[0][0], 0, padded * block_bytes),), 1, cols * block_bytes
    else:
        padded, row_blocks, file_block = cols, cols // block_elems, block_bytes
    planes, offset = [], 0
    for name, start, size in sorted(fields, key=lambda f: -f[2]):
        file_unit = min(size, file_block) if block_elems == 1 else size
        total = rows * row_blocks * size
        planes.append(Plane(name, offset, total, size, start, file_unit))
        offset = round_up(offset + total, 16)
    return Packing(rows, cols, padded, row_blocks, file_block, tuple(planes), round_up(offset, 16))


def rows_per_chunk(packing: Packing, chunk_bytes: int, multiple: int) -> int:
    """Rows that one upload may take: at most chunk_bytes of the file, a multiple of `multiple` (a head), and of so many blocks
    that no u32 of a plane is written by two uploads."""
    row_bytes = packing.row_blocks * packing.file_block_bytes
    step = multiple
    while any(step * packing.row_blocks * plane.unit % 4 for plane in packing.planes):
        step *= 2
    return max(step, chunk_bytes // row_bytes // step * step)


def unpack_planes(packing: Packing, packed: Array) -> Array:
    """The weight's blocks as they lie in the file, from the packed bytes: u8 [rows * row_blocks, file_block_bytes]. (NumPy)"""
    import numpy as np

    packed = packed.view(np.uint8).reshape(-1)
    blocks = packing.rows * packing.row_blocks
    out = np.zeros((blocks, packing.file_block_bytes), np.uint8)
    for plane in packing.planes:
        values = packed[plane.offset : plane.offset + blocks * plane.unit].reshape(blocks, plane.unit)
        out[:, plane.file_offset : plane.file_offset + plane.file_unit] = values[:, : plane.file_unit]
    return out


def pack_blocks(packing: Packing, blocks: Array) -> bytes:
    """The inverse of unpack_planes: what the upload kernel makes. (NumPy; used by references and tests)"""
    import numpy as np

    blocks = np.asarray(blocks, np.uint8).reshape(packing.rows * packing.row_blocks, packing.file_block_bytes)
    out = np.zeros(packing.size, np.uint8)
    for plane in packing.planes:
        padded = np.zeros((len(blocks), plane.unit), np.uint8)
        padded[:, : plane.file_unit] = blocks[:, plane.file_offset : plane.file_offset + plane.file_unit]
        out[plane.offset : plane.offset + padded.size] = padded.reshape(-1)
    return out.tobytes()


def upload_words(packing: Packing, rows: int) -> int:
    """u32 words that an upload of so many rows writes, over all planes."""
    return sum(ceil_div(rows * packing.row_blocks * plane.unit, 4) for plane in packing.planes)
