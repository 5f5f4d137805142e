"""Blocks of a quantised tensor whose fields lie apart: what kernels/parts.py does on the GPU, in NumPy.  For references and
tools."""

from collections.abc import Callable
from math import prod

from fanlight.arrays import Array
from fanlight.formats.bits import bf16
from fanlight.formats.layout import Part, TensorInfo
from fanlight.formats.quant import QUANT_TYPES

NESTED = 256  # codes to a scale of scales
AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)  # the nibble of a word that has row j of eight


def blocks_of(info: TensorInfo, read: Callable[[Part], bytes]) -> Array:
    """u8 [rows * blocks, block_bytes] of info's format. read: the bytes of a part's tensor."""
    import numpy as np

    quant, cols, count = QUANT_TYPES[info.format], info.shape[-1], prod(info.shape[:-1])
    blocks = np.zeros((count, cols // quant.block_elems, quant.block_bytes), np.uint8)
    for part in info.parts:
        field, data = quant.field(part.field), np.frombuffer(read(part), np.uint8)
        rows = plane_of(part, data, info.file_rows, cols, cols // quant.block_elems)[info.first : info.first + count]
        blocks[:, :, field.offset : field.offset + field.size] = rows.reshape(*blocks.shape[:2], field.size)
    return blocks.reshape(-1, quant.block_bytes)


def plane_of(part: Part, data: Array, rows: int, cols: int, blocks: int) -> Array:
    """u8 [rows, bytes of a row]: one field of all blocks of the file."""
    import numpy as np

    if part.coding == "bytes":
        return data.reshape(rows, -1) ^ np.uint8(part.add)
    if part.coding.startswith("nibbles"):
        codes = np.stack([data & 15, data >> 4], axis=1).reshape(rows, -1) + np.uint8(part.add)
        return _joined(codes, 8 if part.coding == "nibbles16" else 16)
    if part.coding.startswith("quarters"):
        codes = data.reshape(rows // 4, cols)
        codes = np.concatenate([codes >> shift & 3 for shift in range(0, 8, 2)])
        return _joined(codes) if part.coding == "quarters32" else _joined_fours(codes)
    words = data.view("<u4") if part.coding not in ("f16", "bf16", "nested") else data
    if part.coding in ("turned32", "turned16"):
        numbers_of = data.view("<u4" if part.coding == "turned32" else "<u2").reshape(cols, rows)
        return np.ascontiguousarray(numbers_of.T).view(np.uint8).reshape(rows, -1)
    if part.coding == "gptq8":
        codes = _fields(words.reshape(cols // 4, rows), 8).transpose(1, 0, 2).reshape(rows, cols)
        return _ordered(codes, part).astype(np.uint8) ^ np.uint8(128)
    if part.coding == "gptq4":
        codes = _fields(words.reshape(cols // 8, rows), 4).transpose(1, 0, 2).reshape(rows, cols)
        return _joined(_ordered(codes, part))
    if part.coding == "awq4":
        codes = _fields(words.reshape(cols, rows // 8), 4)[:, :, list(AWQ_ORDER)]
        return _joined(codes.reshape(cols, rows).T)
    return numbers(part, words, np.arange(rows), np.arange(blocks)).view(np.uint8).reshape(rows, -1)


def _fields(words: Array, bits: int) -> Array:
    """[..., n] -> [..., n, 32 / bits], the lowest first"""
    import numpy as np

    return words[..., None] >> np.arange(0, 32, bits, dtype=np.uint32) & np.uint32((1 << bits) - 1)


def _ordered(codes: Array, part: Part) -> Array:
    import numpy as np

    return codes[:, np.frombuffer(part.table, np.uint32)] if part.table else codes


def _joined(codes: Array, half: int = 16) -> Array:
    """[rows, cols] of 4 bits -> u8 [rows, cols / 2]: of each 32 the first 16 below the others, or of fewer"""
    import numpy as np

    codes = np.ascontiguousarray(codes, np.uint8).reshape(len(codes), -1, 2, half)
    return (codes[:, :, 0] | (codes[:, :, 1] << 4)).reshape(len(codes), -1)


def _joined_fours(codes: Array) -> Array:
    """[rows, cols] of 2 bits -> u8 [rows, cols / 4]: of each 128 those that are 32 apart, the first lowest"""
    fours = codes.reshape(len(codes), -1, 4, 32)
    return (fours[:, :, 0] | fours[:, :, 1] << 2 | fours[:, :, 2] << 4 | fours[:, :, 3] << 6).reshape(len(codes), -1)


def numbers(part: Part, words: Array, rows: Array, blocks: Array, staged: int = 0) -> Array:
    """f32 [R, B] of some rows and blocks. words: u32, or bytes of numbers of 16 bits, from element `staged` on."""
    import numpy as np

    if part.coding == "constant":
        return np.full((len(rows), len(blocks)), part.add, np.float32)
    if part.coding == "nested":
        at = rows[:, None] * part.steps[1] + blocks
        table, codes = np.frombuffer(part.table, np.float32), words.view(np.uint8)[at - staged]
        return table[codes] * table[257 + at // NESTED] + table[256]
    row_div, row_step, block_div, block_step = part.steps
    at = (rows // row_div * row_step)[:, None] + blocks // block_div * block_step - staged
    if part.coding in ("f32", "f16", "bf16"):
        kinds = {"f16": "<f2", "f32": "<f4"}
        floats = bf16(words) if part.coding == "bf16" else words.view(kinds[part.coding]).astype(np.float32)
        values, times = floats[at], np.float32(part.times)
        return np.ascontiguousarray(times / values if part.divides else values * times)
    bits = 8 if part.coding == "bits8" else 4
    place = rows % (32 // bits)
    place = np.array(AWQ_ORDER)[place] if part.coding == "awq" else place
    codes = words[at] >> (place * bits).astype(np.uint32)[:, None] & np.uint32((1 << bits) - 1)
    return (codes + np.uint32(part.add) & np.uint32(part.mask)).astype(np.float32) - np.float32(part.less)
