"""Reads what MLC LLM, and so WebLLM, writes: an index of tensors (tensor-cache.json), their bytes (params_shard_0.bin, ...),
mlc-chat-config.json.  Knows no architecture: fanlight/models/mlc_config.py has what the tensors are called.

A weight of q4f16_1 or q4f32_1 is two tensors: `X.q_weight`, u32 [N, K/8], eight codes n of 4 bits to a word in the order of
the columns, and `X.q_scale` [N, K/32]; w = (n - 7) s, n up to 14. That is Q4_0 with codes q = n + 1, which has a block's first
16 columns in the lower nibbles of its bytes and the others in the upper ones: nothing is rounded. kernels/upload.py moves the
nibbles.
"""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from math import prod
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.layout import Part, TensorInfo, check_inside
from fanlight.formats.source import Source

INDEXES = ("tensor-cache.json", "ndarray-cache.json")  # the second is what older ones are called
CONFIG = "mlc-chat-config.json"
QUANTISATIONS = ("q4f16_1", "q4f32_1", "q0f16", "q0f32", "q0bf16")
CODES, SCALES = ".q_weight", ".q_scale"
BLOCK = 32  # codes to a scale
MAX_TENSORS = 1 << 16
SHARD = re.compile(r"params_shard_\d+\.bin", re.ASCII)

FORMATS = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "uint32": "U32"}
SIZES = {"F16": 2, "BF16": 2, "F32": 4, "U32": 4}
PACKED = {"F16": "Q4_0", "BF16": "Q4_0_BF16"}  # by what the scales are

# How answers are drawn, as transformers' generation_config.json has it.
SAMPLING = ("temperature", "top_p", "repetition_penalty", "frequency_penalty", "presence_penalty")
NEUTRAL = {"repetition_penalty": 1.0}


def model_files(paths: Iterable[str], sides: Set[str]) -> list[str]:
    """Of a folder's files those that make the model of MLC's in it; none if there is none. sides: names of files that any model
    may have."""
    paths = set(paths)
    index = {name for name in INDEXES if name in paths}
    if not index or CONFIG not in paths:
        return []
    return sorted(paths & ({CONFIG, min(index, key=INDEXES.index)} | sides) | {path for path in paths if SHARD.fullmatch(path)})


def complete(metadata: dict[str, Any], where: str) -> None:
    """metadata: a folder's, whose `config` is mlc-chat-config.json. Puts its parts where those of other folders are."""
    given = metadata["config"]
    if given.get("quantization") not in QUANTISATIONS:
        raise UnsupportedModel(
            f"the quantisation {given.get('quantization')!r} of MLC is not read; these are: {', '.join(QUANTISATIONS)}",
            where=where,
            hint="a GGUF file of the same model",
        )
    config, template = given.get("model_config"), given.get("conv_template")
    if not isinstance(config, dict) or not isinstance(given.get("model_type"), str):
        raise FormatError("expected model_type, and model_config with the sizes", where=where)
    template = template if isinstance(template, dict) else {}
    ends = [i for found in (given.get("eos_token_id"), template.get("stop_token_ids")) for i in _ids(found)]
    sampling = {name: given[name] for name in SAMPLING if given.get(name) is not None and given[name] != NEUTRAL.get(name)}
    metadata["config"] = {**config, "model_type": given["model_type"]}
    metadata["generation_config"] = {**sampling, "eos_token_id": ends}
    metadata["conv_template"] = template


def _ids(value: Any) -> list[int]:
    return [i for i in (value if isinstance(value, list) else [value]) if type(i) is int]


def read_index(
    index: Mapping[str, Any], places: Mapping[str, int], sources: Sequence[Source], where: str
) -> dict[str, TensorInfo]:
    """The tensors, codes and scales as one. places: of the files' names among the sources."""
    shards = index.get("records")
    if not isinstance(shards, list) or not all(isinstance(s, dict) and isinstance(s.get("records"), list) for s in shards):
        raise FormatError("records must be a list of shards, each with its records", where=where)
    parts: dict[str, TensorInfo] = {}
    for shard in shards:
        name = shard.get("dataPath")
        if not isinstance(name, str) or name not in places:
            raise FormatError(
                f"the shard {name!r:.80} is missing", where=where, hint="put all files of the model into one folder"
            )
        source = places[name]
        found = [_tensor(record, source, sources[source].name) for record in shard["records"]]
        check_inside(found, 0, sources[source].size, sources[source].name)
        for tensor in found:
            if tensor.name in parts:
                raise FormatError(f"tensor {tensor.name!r} is there twice", where=where)
            parts[tensor.name] = tensor
    if len(parts) > MAX_TENSORS:
        raise FormatError(f"there are {len(parts)} tensors; at most {MAX_TENSORS}", where=where)
    return _joined(parts, where)


def _tensor(record: Any, source: int, where: str) -> TensorInfo:
    record = record if isinstance(record, dict) else {}
    name, shape, dtype = (record.get(key) for key in ("name", "shape", "dtype"))
    offset, size = record.get("byteOffset"), record.get("nbytes")
    is_counts = isinstance(shape, list) and all(type(n) is int and 0 < n < 1 << 40 for n in shape)
    if not (isinstance(name, str) and is_counts and type(offset) is int and type(size) is int and offset >= 0):
        raise FormatError(f"a tensor must have name, shape, byteOffset and nbytes, got {record!r:.120}", where=where)
    format = FORMATS.get(str(dtype))
    if format is None:
        raise FormatError(f"tensor {name!r} has the dtype {dtype!r}; known are {', '.join(FORMATS)}", where=where)
    if format == "F32" and record.get("format") == "f32-to-bf16":
        format = "BF16"
    if size != prod(shape) * SIZES[format]:
        expected = prod(shape) * SIZES[format]
        raise FormatError(f"tensor {name!r}: {format} {shape} takes {expected} bytes, nbytes is {size}", where=where)
    return TensorInfo(name, format, tuple(shape), source, offset, size)


def _place(info: TensorInfo) -> tuple[int, int, int]:
    return info.source, info.offset, info.num_bytes


def _joined(parts: Mapping[str, TensorInfo], where: str) -> dict[str, TensorInfo]:
    made: dict[str, TensorInfo] = {}
    for name, part in parts.items():
        if name.endswith(SCALES):
            continue
        if not name.endswith(CODES):
            made[name] = part
            continue
        stem = name.removesuffix(CODES)
        scales = parts.get(stem + SCALES)
        rows, words = part.shape if len(part.shape) == 2 else (0, 0)
        blocks = words * 8 // BLOCK
        if (
            scales is None
            or part.format != "U32"
            or words * 8 % BLOCK
            or scales.shape != (rows, blocks)
            or scales.format not in PACKED
        ):
            raise FormatError(
                f"{name} is {part.format} {list(part.shape)} and its scales {scales and [scales.format, *scales.shape]};"
                f" expected u32 [N, K/8], and f16 or bf16 [N, K/{BLOCK}]",
                where=where,
            )
        stem = f"{stem}.weight"
        fields = Part("qs", "nibbles", *_place(part), add=1), Part("d", "bytes", *_place(scales))
        made[stem] = TensorInfo(
            stem, PACKED[scales.format], (rows, words * 8), *_place(part), parts=fields, first=0, file_rows=rows
        )
    for name in parts:
        if name.endswith(SCALES) and name.removesuffix(SCALES) + CODES not in parts:
            raise FormatError(f"{name} has no {CODES.removeprefix('.')}", where=where)
    return made
