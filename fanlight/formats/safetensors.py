"""Reads the headers of safetensors files and the index of a sharded model.  Knows no architecture and no tokenizer.
https://github.com/huggingface/safetensors#format

As strict as the reference reader: the tensors fill the data without gap or overlap.
"""

import json
import struct
from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import Any

from fanlight.errors import FormatError
from fanlight.formats.layout import TensorInfo, check_inside
from fanlight.formats.source import Source

INDEX_NAME = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000  # the reference reader's bound
MAX_DIMS = 8
TRUNCATED = "the file is truncated or broken: download it again"

# dtype -> bits. Those that quant.QUANT_TYPES does not have can be listed, not run.
DTYPE_BITS = {
    **{"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8},
    **{
        "I16": 16,
        "U16": 16,
        "F16": 16,
        "BF16": 16,
        "I32": 32,
        "U32": 32,
        "F32": 32,
        "C64": 64,
        "F64": 64,
        "I64": 64,
        "U64": 64,
    },
    **{"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6},
}


def parse_json(data: bytes, where: str) -> Any:
    """JSON of a file that nobody vouches for: a key that is there twice, or absurd nesting, is an error too."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
            raise ValueError(f"key {twice!r} is there twice")
        return result

    try:
        return json.loads(data.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not valid JSON: {error}", where=where, hint=TRUNCATED) from error


def parse_object(data: bytes, where: str) -> dict[str, Any]:
    value = parse_json(data, where)
    if not isinstance(value, dict):
        raise FormatError(f"a JSON object was expected, got {type(value).__name__}", where=where)
    return value


async def read_header(source: Source, index: int = 0) -> dict[str, TensorInfo]:
    """The tensors of one file, which is number `index` of its checkpoint's sources."""
    if source.size < 8:
        raise FormatError(f"a safetensors file has at least 8 bytes, this one {source.size}", where=source.name, hint=TRUNCATED)
    (size,) = struct.unpack("<Q", await source.read(0, 8))
    if size > min(source.size - 8, MAX_HEADER_BYTES):
        message = f"the header should have {size} bytes; the file has {source.size}, and at most {MAX_HEADER_BYTES} are allowed"
        raise FormatError(message, where=source.name, hint=TRUNCATED)
    data = await source.read(8, size)
    if not data.startswith(b"{"):
        raise FormatError(f"not a safetensors file: the header starts with {data[:4]!r}, not b'{{'", where=source.name)
    header = parse_object(data, source.name)
    check_notes(header.pop("__metadata__", None), source.name)
    start = 8 + size
    tensors = {name: parse_tensor(name, entry, index, start, source.name) for name, entry in header.items()}
    check_inside(tensors.values(), start, source.size, source.name)
    total = sum(t.num_bytes for t in tensors.values())
    if total != source.size - start:  # none overlap and all are inside, so equal sums mean no gap
        message = f"the tensors take {total} bytes, but the file holds {source.size - start} of data"
        raise FormatError(message, where=source.name, hint=TRUNCATED)
    return tensors


def check_notes(notes: Any, where: str) -> None:
    if notes is not None and not (isinstance(notes, dict) and all(isinstance(v, str) for v in notes.values())):
        raise FormatError("__metadata__ must map names to texts", where=where)


def parse_tensor(name: str, entry: Any, index: int, start: int, where: str) -> TensorInfo:
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= set(entry):
        raise FormatError(f"tensor {name!r} must have dtype, shape and data_offsets", where=where)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        raise FormatError(f"tensor {name!r} has the dtype {dtype!r}, which is unknown", where=where)
    if not is_counts(shape) or len(shape) > MAX_DIMS or not is_counts(offsets) or len(offsets) != 2:
        raise FormatError(f"tensor {name!r} has shape {shape!r:.60} and data_offsets {offsets!r:.60}", where=where)
    bits = prod(shape) * DTYPE_BITS[dtype]
    if bits % 8 or bits // 8 != offsets[1] - offsets[0]:
        message = f"tensor {name!r}: {dtype} {shape} takes {bits / 8:g} bytes, data_offsets {offsets} have room for "
        raise FormatError(message + f"{offsets[1] - offsets[0]}", where=where)
    return TensorInfo(name, dtype, tuple(shape), index, start + offsets[0], bits // 8)


def is_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 1 << 63 for v in value)


def parse_index(data: bytes, where: str) -> dict[str, str]:
    """Tensor name -> file name of the shard that holds it."""
    weight_map = parse_object(data, where).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise FormatError("weight_map must map tensors to files", where=where)
    for shard in weight_map.values():
        # A name is a file of the same folder: nothing that could lead out of it.
        if not isinstance(shard, str) or not shard.endswith(".safetensors") or set(shard) & set("/\\\0:"):
            raise FormatError(f"weight_map names {shard!r}, which is no safetensors file of this folder", where=where)
    return weight_map


def check_index(weight_map: Mapping[str, str], shards: Mapping[str, Mapping[str, TensorInfo]], where: str) -> None:
    """Every tensor of the index is in the shard that it names. shards: file name -> its tensors."""
    for shard in sorted(set(weight_map.values()) - set(shards)):
        raise FormatError(f"the shard {shard} is missing", where=where, hint="put all files of the model into one folder")
    for name, shard in weight_map.items():
        if name not in shards[shard]:
            raise FormatError(f"tensor {name!r} should be in {shard}, and is not", where=where, hint=TRUNCATED)
