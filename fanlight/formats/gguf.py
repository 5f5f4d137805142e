"""Reads GGUF, versions 2 and 3, one file or the parts of a split one.  Knows no architecture: keys and names stay as in the
file. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

The parser works on the first bytes of the file; where they do not suffice it raises `Short`, `read_header` reads on and parses
that one item again. A file is untrusted: every count and length is compared with the file's size before it is used, so what is
allocated is bounded by what is really there.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fanlight.errors import FormatError
from fanlight.formats.layout import TensorInfo, check_inside
from fanlight.formats.quant import BITNET_TYPES, REMOVED_TYPES, TYPES_BY_ID
from fanlight.formats.source import Source, file_name, start_in_words

T = TypeVar("T")

MAGIC = b"GGUF"
FIRST_READ_BYTES = 2 << 20
READ_BYTES = 4 << 20
MAX_HEADER_BYTES = 256 << 20  # the largest known vocabularies need 20 MB
NOT_UTF8 = "backslashreplace"  # published files have such bytes in descriptions and tokens: they stay visible, and apart
MAX_ARRAY_ELEMS = 8 << 20  # of all arrays together
MAX_ARRAY_DEPTH = 4
MAX_PAIRS = 1 << 16
MAX_TENSORS = 1 << 17
MAX_DIMS = 4
MAX_ALIGNMENT = 1 << 20
DEFAULT_ALIGNMENT = 32

TRUNCATED = "the file is truncated or broken: download it again"

STRING, ARRAY, BOOL = 8, 9, 7
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}  # type -> struct code
SIZES = {type_id: struct.calcsize("<" + code) for type_id, code in NUMBERS.items()}
LEAST_BYTES = SIZES | {STRING: 8, ARRAY: 12}  # of one value
LEAST_PAIR_BYTES, LEAST_TENSOR_BYTES = 8 + 4 + 1, 8 + 4 + 4 + 8

unpack_u32 = struct.Struct("<I").unpack_from
unpack_u64 = struct.Struct("<Q").unpack_from


class Short(Exception):
    """The parser needs the bytes up to `end`."""

    def __init__(self, end: int):
        self.end = end


class Cursor:
    """The first bytes of a file and a position in them."""

    __slots__ = ("buffer", "file_size", "name", "num_elems", "position", "unfinished")

    def __init__(self, name: str, file_size: int):
        self.name, self.file_size = name, file_size
        self.buffer, self.position, self.num_elems = b"", 0, 0
        self.unfinished: dict[int, tuple[list[str], int]] = {}  # arrays of strings, by their offset: what is there, and its end

    def error(self, message: str, offset: int | None = None, hint: str = "") -> FormatError:
        return FormatError(f"byte {self.position if offset is None else offset}: {message}", where=self.name, hint=hint)

    def take(self, size: int) -> int:
        """Move over `size` bytes; the offset of the first."""
        start, end = self.position, self.position + size
        if end > len(self.buffer):
            raise Short(end)
        self.position = end
        return start

    def u32(self) -> int:
        return unpack_u32(self.buffer, self.take(4))[0]

    def u64(self) -> int:
        return unpack_u64(self.buffer, self.take(8))[0]

    def string(self) -> str:
        size = self.u64()
        start = self.take(size)
        return self.buffer[start : start + size].decode(errors=NOT_UTF8)

    def count(self, what: str, least_bytes: int, most: int) -> int:
        """A number of things that take at least `least_bytes` bytes each: at most `most`, and room for them in the file."""
        offset = self.position
        count = self.u64()
        if self.position + count * least_bytes > self.file_size:
            message = f"{count} {what} cannot be in a file of {self.file_size} bytes"
            raise self.error(message, offset, TRUNCATED)
        if count > most:
            raise self.error(f"{count} {what}; at most {most} are allowed", offset)
        return count


# --- values ----------------------------------------------------------------------------------------------------------
def parse_value(cursor: Cursor, type_id: int, depth: int = 0) -> Any:
    if type_id == STRING:
        return cursor.string()
    if type_id == ARRAY:
        return parse_array(cursor, depth)
    if type_id not in NUMBERS:
        raise cursor.error(f"value type {type_id} is unknown; 0 to 12 are defined", cursor.position - 4)
    return parse_numbers(cursor, type_id, 1)[0]


def parse_array(cursor: Cursor, depth: int) -> list[Any]:
    offset = cursor.position
    type_id = cursor.u32()
    if type_id not in LEAST_BYTES:
        raise cursor.error(f"array of type {type_id} is unknown; 0 to 12 are defined", offset)
    if depth >= MAX_ARRAY_DEPTH:
        raise cursor.error(f"arrays are nested more than {MAX_ARRAY_DEPTH} deep", offset)
    count = cursor.count("array elements", LEAST_BYTES[type_id], MAX_ARRAY_ELEMS)
    cursor.num_elems += count
    if cursor.num_elems > MAX_ARRAY_ELEMS:
        raise cursor.error(f"the metadata's arrays have more than {MAX_ARRAY_ELEMS} elements", offset)
    if type_id == STRING:
        return parse_strings(cursor, count)
    if type_id == ARRAY:
        return [parse_array(cursor, depth + 1) for _ in range(count)]
    return list(parse_numbers(cursor, type_id, count))


def parse_numbers(cursor: Cursor, type_id: int, count: int) -> tuple[Any, ...]:
    start = cursor.take(count * SIZES[type_id])
    if type_id == BOOL and cursor.buffer[start : cursor.position].strip(b"\0\1"):
        bad = next(i for i in range(start, cursor.position) if cursor.buffer[i] > 1)
        raise cursor.error(f"a bool is 0 or 1, got {cursor.buffer[bad]}", bad)
    return struct.unpack_from(f"<{count}{NUMBERS[type_id]}", cursor.buffer, start)


def parse_strings(cursor: Cursor, count: int) -> list[str]:
    """A vocabulary has some 10^5 strings, so this loop is the cost of opening a file. A string that ends behind the buffer is
    noticed at the next length, which then cannot be read, or after the loop; those before it are kept for the next try."""
    buffer, first = cursor.buffer, cursor.position
    strings, end = cursor.unfinished.pop(first, ([], first))
    append = strings.append
    start, needed = end, 0
    while len(strings) < count and not needed:
        try:
            for _ in range(count - len(strings)):
                (size,) = unpack_u64(buffer, end)
                start = end + 8
                end = start + size
                append(buffer[start:end].decode())
        except (struct.error, OverflowError):
            needed = end + 8
        except UnicodeDecodeError:  # no text, or cut in the middle of a character
            append(buffer[start:end].decode(errors=NOT_UTF8))
            needed = end if end > len(buffer) else 0
    needed = needed or end
    if needed > len(buffer):
        if end > len(buffer):
            strings.pop()
            end = start - 8
        cursor.unfinished[first] = strings, end
        raise Short(needed)
    cursor.position = end
    return strings


# --- header ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Header:
    """What one file says of itself."""

    version: int
    metadata: dict[str, Any]
    tensors: tuple[TensorInfo, ...]


def parse_start(cursor: Cursor) -> tuple[int, int, int]:
    """Version, number of tensors, number of key-value pairs."""
    start = cursor.take(4)
    if cursor.buffer[start : start + 4] != MAGIC:
        raise cursor.error(f"not a GGUF file: it starts with {start_in_words(cursor.buffer[:4])}, not 'GGUF'", start)
    version = cursor.u32()
    if version and not version & 0xFFFF:
        raise cursor.error(
            "a big-endian GGUF file; Fanlight reads little-endian ones", 4, "convert the model again without --bigendian"
        )
    if version not in (2, 3):
        raise cursor.error(f"GGUF version {version}; Fanlight reads 2 and 3", 4, "convert the model again, or update Fanlight")
    num_tensors = cursor.count("tensors", LEAST_TENSOR_BYTES, MAX_TENSORS)
    return version, num_tensors, cursor.count("key-value pairs", LEAST_PAIR_BYTES, MAX_PAIRS)


def parse_pair(cursor: Cursor) -> tuple[str, int, Any]:
    key = cursor.string()
    type_id = cursor.u32()
    return key, type_id, parse_value(cursor, type_id)


def parse_tensor(cursor: Cursor) -> tuple[str, str, tuple[int, ...], int, int]:
    """Name, format, shape, offset in the data, bytes."""
    offset = cursor.position
    name = cursor.string()
    num_dims = cursor.u32()
    if num_dims > MAX_DIMS:
        raise cursor.error(f"tensor {name!r} has {num_dims} dimensions; {MAX_DIMS} are allowed", offset)
    dims = [cursor.u64() for _ in range(num_dims)]  # innermost first
    type_id, data_offset = cursor.u32(), cursor.u64()
    if type_id not in TYPES_BY_ID:
        known = f"{REMOVED_TYPES[type_id]}, which was removed from GGML" if type_id in REMOVED_TYPES else "unknown"
        known += f", or {BITNET_TYPES[type_id]}, which bitnet.cpp alone reads" if type_id in BITNET_TYPES else ""
        raise cursor.error(f"tensor {name!r} has weight format {type_id}, {known}", offset, "convert the model again")
    t = TYPES_BY_ID[type_id]
    num_elems = 1
    for dim in dims:
        num_elems *= dim
    if num_elems == 0 or (dims[0] if dims else 1) % t.block_elems:
        raise cursor.error(
            f"tensor {name!r} has dimensions {dims}: impossible for {t.name} in blocks of {t.block_elems}", offset
        )
    return name, t.name, tuple(reversed(dims)), data_offset, t.num_bytes(num_elems)


async def read_header(source: Source, index: int = 0) -> Header:
    """Metadata and tensors of one file, which is number `index` of its checkpoint's sources."""
    cursor = Cursor(source.name, source.size)
    version, num_tensors, num_pairs = await parse(source, cursor, parse_start)
    metadata: dict[str, Any] = {}
    alignment = DEFAULT_ALIGNMENT
    for _ in range(num_pairs):
        offset = cursor.position
        key, type_id, value = await parse(source, cursor, parse_pair)
        if key in metadata:
            raise cursor.error(f"key {key!r} is there twice", offset)
        if key == "general.alignment":
            if NUMBERS.get(type_id) != "I" or value & (value - 1) or not 1 <= value <= MAX_ALIGNMENT:
                raise cursor.error(f"general.alignment must be a u32 power of two up to {MAX_ALIGNMENT}, got {value!r}", offset)
            alignment = value
        metadata[key] = value
    entries = [await parse(source, cursor, parse_tensor) for _ in range(num_tensors)]
    data_start = -(-cursor.position // alignment) * alignment
    for name, _, _, offset, _ in entries:
        if offset % alignment:
            raise FormatError(f"tensor {name!r} is at {offset}, no multiple of the alignment {alignment}", where=source.name)
    tensors = tuple(TensorInfo(name, fmt, shape, index, data_start + at, size) for name, fmt, shape, at, size in entries)
    check_inside(tensors, data_start, source.size, source.name)
    return Header(version, metadata, tensors)


async def read_encoded(source: Source) -> dict[str, bytes]:
    """Each key's type and value, byte for byte: for who writes them again."""

    def pair(cursor: Cursor) -> tuple[str, bytes]:
        key, at = cursor.string(), cursor.position
        parse_value(cursor, cursor.u32())
        return key, cursor.buffer[at : cursor.position]

    cursor = Cursor(source.name, source.size)
    _, _, num_pairs = await parse(source, cursor, parse_start)
    return dict([await parse(source, cursor, pair) for _ in range(num_pairs)])


async def read_general(source: Source) -> dict[str, Any]:
    """What one file says first of itself, up to the first key of another kind: what kind of file it is. Cheap."""
    cursor = Cursor(source.name, source.size)
    _, _, num_pairs = await parse(source, cursor, parse_start)
    found: dict[str, Any] = {}
    for _ in range(num_pairs):
        key, _, value = await parse(source, cursor, parse_pair)
        if not key.startswith(("general.", "adapter.")):
            break
        found[key] = value
    return found


async def parse(source: Source, cursor: Cursor, item: Callable[[Cursor], T]) -> T:
    """One item of the header; reads on, twice as far each time, until the item is there."""
    start, num_elems = cursor.position, cursor.num_elems
    while True:
        try:
            return item(cursor)
        except Short as short:
            end = short.end
        if end > source.size:
            message = f"the file ends at byte {source.size}, but what starts here needs the bytes up to {end}"
            raise cursor.error(message, start, TRUNCATED)
        if end > MAX_HEADER_BYTES:
            raise cursor.error(f"the header is longer than {MAX_HEADER_BYTES} bytes", start)
        have = len(cursor.buffer)
        want = min(source.size, MAX_HEADER_BYTES, max(end, 2 * have, FIRST_READ_BYTES))
        pieces = [await source.read(at, min(READ_BYTES, want - at)) for at in range(have, want, READ_BYTES)]
        cursor.buffer = b"".join((cursor.buffer, *pieces))
        cursor.position, cursor.num_elems = start, num_elems


# --- files -----------------------------------------------------------------------------------------------------------
ARCHITECTURE, TOWER = "general.architecture", "clip"


async def read_gguf(sources: Sequence[Source]) -> tuple[dict[str, Any], dict[str, TensorInfo]]:
    """Metadata (of the first part) and tensors (of all parts, in order) of one model; the parts may come in any order. A vision
    encoder's file beside it (mmproj) adds its own."""
    parts = [(await read_header(source, index), source) for index, source in enumerate(sources)]
    towers = [part for part in parts if part[0].metadata.get(ARCHITECTURE) == TOWER]
    if len(towers) > 1 or len(towers) == len(parts):
        what = "an encoder of sound" if towers[-1][0].metadata.get("clip.has_audio_encoder") else "a vision encoder"
        message = f"is {what}, which goes beside a language model's file, one to a model"
        raise FormatError(message, where=towers[-1][1].name, hint="give both files together: model.gguf and mmproj.gguf")
    parts = [part for part in parts if part[0].metadata.get(ARCHITECTURE) != TOWER]
    parts.sort(key=lambda part: split_number(*part))
    check_parts(parts)
    tensors: dict[str, TensorInfo] = {}
    for header, source in parts:
        for tensor in header.tensors:
            if tensor.name in tensors:
                raise FormatError(f"tensor {tensor.name!r} is there twice", where=source.name)
            tensors[tensor.name] = tensor
    first, source = parts[0]
    expected = first.metadata.get("split.tensors.count", len(tensors))
    if expected != len(tensors):
        raise FormatError(f"the parts have {len(tensors)} tensors in all; the first says {expected!r}", where=source.name)
    metadata = first.metadata
    for header, source in towers:
        metadata = metadata | {key: value for key, value in header.metadata.items() if key.startswith(f"{TOWER}.")}
        for tensor in header.tensors:
            if tensor.name in tensors:
                raise FormatError(f"tensor {tensor.name!r} is in the language model's file too", where=source.name)
            tensors[tensor.name] = tensor
    return metadata, tensors


def split_number(header: Header, source: Source) -> int:
    number = header.metadata.get("split.no", 0)
    if type(number) is not int:
        raise FormatError(f"split.no must be a number, got {number!r}", where=source.name)
    return number


def check_parts(parts: list[tuple[Header, Source]]) -> None:
    """As many parts as each says, and each once."""
    for number, (header, source) in enumerate(parts):
        count = header.metadata.get("split.count", 0) or 1  # 0 is what an unsplit file may say
        if type(count) is not int or count != len(parts):
            message = f"a part of a model in {count!r} files; {len(parts)} of them were given"
            raise FormatError(message, where=source.name, hint="keep all parts in one folder, or choose all of them")
        if split_number(header, source) != number:
            names = ", ".join(sorted(file_name(s) for _, s in parts))
            raise FormatError(f"part {number + 1} of {count} is missing among {names}", where=source.name)
