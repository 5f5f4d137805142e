"""Writes GGUF version 3: models that are quantised here (quantize.py), random weights, the built-in model, files for tests.
Encodes no weights."""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from fanlight.formats.gguf import ARRAY, DEFAULT_ALIGNMENT, MAGIC, NUMBERS, STRING
from fanlight.formats.quant import TYPES_BY_ID

U32, I32, F32, BOOL = 4, 5, 6, 7
IDS = {t.name: i for i, t in TYPES_BY_ID.items()}


@dataclass(frozen=True, slots=True)
class TensorData:
    """A tensor to write: encoded bytes, or a function that makes them when their turn comes (so one is in memory at a time)."""

    name: str
    format: str  # 'F32', 'Q8_0', ...
    shape: tuple[int, ...]  # outermost first, as in PyTorch
    data: bytes | Callable[[], bytes]

    @property
    def num_bytes(self) -> int:
        return TYPES_BY_ID[IDS[self.format]].num_bytes(prod(self.shape))


def write_gguf(path: str | Path, metadata: Mapping[str, Any], tensors: Iterable[TensorData]) -> None:
    """Integers are written as u32 if they fit, else i32 (in lists the other way round, as llama.cpp wants it); floats as
    f32; bytes as they are: a type and a value, as gguf.read_encoded has them."""
    tensors = tuple(tensors)
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int):
        raise ValueError(f"general.alignment must be a number here, got {alignment!r:.40}")
    head = [MAGIC, struct.pack("<IQQ", 3, len(tensors), len(metadata))]
    for key, value in metadata.items():
        head += [encode_string(key), *encode_value(key, value)]
    offset = 0
    for t in tensors:
        head += [encode_string(t.name), struct.pack(f"<I{len(t.shape)}Q", len(t.shape), *reversed(t.shape))]
        head.append(struct.pack("<IQ", IDS[t.format], offset))
        offset += -(-t.num_bytes // alignment) * alignment
    with open(path, "wb") as file:
        file.write(b"".join(head))
        file.write(bytes(-file.tell() % alignment))
        for t in tensors:
            data = t.data() if callable(t.data) else t.data
            if len(data) != t.num_bytes:
                raise ValueError(f"{t.name}: {t.format} {t.shape} takes {t.num_bytes} bytes, got {len(data)}")
            file.write(data)
            file.write(bytes(-file.tell() % alignment))


def encode_string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def encode_value(key: str, value: Any) -> list[bytes]:
    if isinstance(value, bytes):
        return [value]
    if isinstance(value, str):
        return [struct.pack("<I", STRING), encode_string(value)]
    if isinstance(value, Sequence):
        type_id = STRING if value and isinstance(value[0], str) else number_type(key, value, (I32, U32))
        start = struct.pack("<IIQ", ARRAY, type_id, len(value))
        body = map(encode_string, value) if type_id == STRING else [struct.pack(f"<{len(value)}{NUMBERS[type_id]}", *value)]
        return [start, *body]
    type_id = number_type(key, [value], (U32, I32))
    return [struct.pack("<I" + NUMBERS[type_id], type_id, value)]


def number_type(key: str, values: Sequence[Any], integers: tuple[int, int]) -> int:
    kinds = {type(v) for v in values}
    if kinds == {bool}:
        return BOOL
    if float in kinds and kinds <= {int, float}:
        return F32
    ranges = {U32: range(0, 1 << 32), I32: range(-(1 << 31), 1 << 31)}
    for type_id in integers:
        if kinds <= {int} and all(v in ranges[type_id] for v in values):
            return type_id
    raise ValueError(f"{key}: cannot be written: {values[:3]!r}")
