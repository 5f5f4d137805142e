"""Quantised Hugging Face folders: several tensors that make a matrix become one, `X.weight`, as config.json says.

Each matrix keeps its codes, and has scales and zero points as f32, one to a block (quant.py: INT4, INT8, AFFINE, E4M3, MXFP4);
where the fields lie is in its `parts`. What is written here of a format are its tensors and where their elements stand:
    GPTQ                https://github.com/AutoGPTQ/AutoGPTQ
    AWQ                 https://github.com/casper-hansen/AutoAWQ
    compressed-tensors  https://github.com/vllm-project/compressed-tensors
    FP8                 https://arxiv.org/abs/2412.19437, section 3.3
    bitsandbytes        https://github.com/bitsandbytes-foundation/bitsandbytes
    BitNet              https://arxiv.org/abs/2504.12285
    MXFP4               https://huggingface.co/openai/gpt-oss-20b, whose experts are three-dimensional
    MLX                 https://ml-explore.github.io/mlx"""

import json
import struct
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.folder_given import HINT, NUMBERS, Given, Settings, constant, part
from fanlight.formats.layout import Part, TensorInfo
from fanlight.formats.quant import NF4_VALUES
from fanlight.formats.source import Source

KEYS = ("quantization_config", "compression_config", "quantization")  # of config.json; the last is MLX's
NOT_WEIGHTS = (
    ".input_global_scale",
    ".input_scale",
    ".output_scale",
    ".activation_scale",
    ".k_scale",
    ".v_scale",
    ".weight_shape",
    ".input_zero_point",
)
FP8 = "F8_E4M3"
OF_ALL = {"weight_scale_2": "tensor_scale", "weight_global_scale": "tensor_divisor"}  # numbers for all of a matrix
PLUS_ONE = ("qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe")  # whose norms MLX stores with 1 added
MOST_ORDERED = 1 << 15  # columns that may be in an order of their own


# --- the formats -----------------------------------------------------------------------------------------------------
def gptq(given: Given) -> TensorInfo:
    """w = s (q - z): codes along the columns, zero points along the rows, one less than they are before version 2."""
    bits, per = _bits(given), 32 // _bits(given)
    codes = given.matrix("qweight", "I32")
    rows, cols = codes.shape[1], codes.shape[0] * per
    group = _group(given, cols)
    groups = -(-cols // group)
    scales = given.tensor("scales", tuple(NUMBERS), (groups, rows))
    zeros = given.tensor("qzeros", ("I32",), (groups, rows // per))
    is_second = given.settings.get("checkpoint_format") == "gptq_v2"

    def parts(each: int) -> tuple[Part, ...]:
        z = part("z", f"bits{bits}", zeros, (per, 1, each, rows // per), 0 if is_second else 1)
        return (
            part("qs", f"gptq{bits}", codes),
            part("d", NUMBERS[scales.format], scales, (1, 1, each, rows)),
            replace(z, mask=(1 << bits) - 1, less=128 if bits == 8 else 0),
        )

    return given.made(f"INT{bits}", rows, cols, group, parts)


def awq(given: Given) -> TensorInfo:
    """w = s (q - z): codes and zero points along the rows, eight to a word in an order of their own."""
    version = str(given.settings.get("version", "gemm")).lower()
    if version != "gemm" or given.settings.get("bits", given.settings.get("w_bit")) != 4:
        raise given.refuse(f"AWQ in version {version!r} is not read, only 'gemm' of 4 bits")
    codes = given.matrix("qweight", "I32")
    rows, cols = codes.shape[1] * 8, codes.shape[0]
    group = _group(given, cols, "q_group_size")
    groups = -(-cols // group)
    scales = given.tensor("scales", tuple(NUMBERS), (groups, rows))
    zeros = given.tensor("qzeros", ("I32",), (groups, rows // 8))

    def parts(each: int) -> tuple[Part, ...]:
        return (
            part("qs", "awq4", codes),
            part("d", NUMBERS[scales.format], scales, (1, 1, each, rows)),
            part("z", "awq", zeros, (8, 1, each, rows // 8)),
        )

    return given.made("INT4", rows, cols, group, parts)


def compressed(given: Given) -> TensorInfo:
    if given.has("weight_g_idx"):
        raise given.refuse("compressed-tensors in the order of activations are not read")
    if not given.has("weight_packed"):
        return _compressed_int8(given) if given.format("weight") == "I8" else fp8(given)
    if given.format("weight_packed") == "U8":
        return nvfp4(given, "weight_packed") if given.has("weight_global_scale") else _compressed_mxfp4(given)
    bits = _compressed_bits(given)
    codes = given.matrix("weight_packed", "I32")
    rows, cols = codes.shape[0], codes.shape[1] * 32 // bits
    scales = given.matrix("weight_scale", *NUMBERS)
    groups = scales.shape[1]
    given.tensor("weight_scale", tuple(NUMBERS), (rows, groups))
    per, is_int8 = 32 // bits, bits == 8
    zeros = given.tensor("weight_zero_point", ("I32",), (-(-rows // per), groups)) if given.has("weight_zero_point") else None

    def parts(each: int) -> tuple[Part, ...]:
        where, less = (per, groups, each, 1), 128 if is_int8 else 0
        return (
            part("qs", "bytes", codes, add=0x80) if is_int8 else part("qs", "nibbles", codes),
            part("d", NUMBERS[scales.format], scales, (1, groups, each, 1)),
            replace(part("z", f"bits{bits}", zeros, where), less=less) if zeros else constant("z", 0 if is_int8 else 8),
        )

    return given.made(f"INT{bits}", rows, cols, cols // groups if cols % groups == 0 else 0, parts)


def _compressed_int8(given: Given) -> TensorInfo:
    """w = s q, a scale to a row, or one."""
    codes = given.matrix("weight", "I8")
    if given.has("weight_zero_point"):
        raise given.refuse("int8 with zero points is not read")
    rows, cols = codes.shape
    scale = given.tensor("weight_scale", tuple(NUMBERS), (), (1,), (rows, 1))
    steps = (1, 1, 1, 0) if scale.shape == (rows, 1) else (1, 0, 1, 0)
    parts = part("qs", "bytes", codes), part("d", NUMBERS[scale.format], scale, steps), constant("z", 0)
    return given.made("INT8", rows, cols, cols, lambda each: parts)


def _compressed_mxfp4(given: Given) -> TensorInfo:
    """A scale of eight bits of exponent to 32."""
    codes = given.matrix("weight_packed", "U8")
    rows, cols = codes.shape[0], codes.shape[1] * 2
    if given.format("weight_scale") != "U8" or cols % 32:
        raise given.refuse("of the formats of four bits of float only MXFP4 and NVFP4 are read")
    scales = given.tensor("weight_scale", ("U8",), (rows, cols // 32))
    return given.named("MXFP4", rows, cols, (part("qs", "nibbles", codes), part("e", "bytes", scales)))


def nvfp4(given: Given, kind: str) -> TensorInfo:
    """A scale of E4M3 to 16, and a number for all, which products are multiplied with or divided by."""
    codes = given.matrix(kind, "U8")
    rows, cols = codes.shape[0], codes.shape[1] * 2
    if cols % 64:
        raise given.refuse(f"NVFP4 in rows of {cols} is not read, only of multiples of 64")
    scales = given.tensor("weight_scale", (FP8,), (rows, cols // 16))
    return given.named("NVFP4", rows, cols, (part("qs", "nibbles16", codes), part("scales", "bytes", scales)))


def fp8(given: Given) -> TensorInfo:
    """w = s q, a scale to a tile of the matrix, a row, or all."""
    if given.format("weight") == "U8" and given.has("weight_scale_2"):
        return nvfp4(given, "weight")
    codes = given.matrix("weight", FP8)
    rows, cols = codes.shape
    kind = "weight_scale_inv" if given.has("weight_scale_inv") else "weight_scale"
    tile = _tile(given)
    tiles = (-(-rows // tile[0]), -(-cols // tile[1]))
    scale = given.tensor(kind, tuple(NUMBERS), (), (1,), (1, 1), (rows, 1), tiles)
    if scale.shape == tiles and tiles != (1, 1):
        group, steps = tile[1], (tile[0], tiles[1])
    else:
        group, steps = cols, (1, 1) if scale.shape == (rows, 1) else (1, 0)

    def parts(each: int) -> tuple[Part, ...]:
        where = (*steps, each, 1 if group != cols else 0)
        return part("qs", "bytes", codes), part("d", NUMBERS[scale.format], scale, where)

    return given.made("E4M3", rows, cols, group, parts)


def mlx(given: Given) -> TensorInfo:
    """w = s q + b; in the mode mxfp4 a scale of eight bits of exponent to 32. Experts' are one tensor of three axes."""
    own = given.settings.get(given.stem)
    settings = {**given.settings, **own} if isinstance(own, dict) else given.settings
    mode, group = settings.get("mode", "affine"), settings.get("group_size")
    bits: Any = settings.get("bits")
    codes = given.tensor("weight", ("U32",))
    if len(codes.shape) not in (2, 3) or (mode, bits) not in (("affine", 4), ("affine", 8), ("mxfp4", 4)):
        raise given.refuse(f"MLX's mode {mode!r} of {bits} bits is not read; affine of 4 and 8 bits is, and mxfp4")
    if type(group) is not int or group <= 0:
        raise given.refuse(f"MLX's group_size is {group!r}, expected a number of columns")
    rows, cols = prod(codes.shape[:-1]), codes.shape[-1] * 32 // bits
    shape = (*codes.shape[:-1], cols // group)
    if mode == "mxfp4":
        e = given.tensor("scales", ("U8",), shape)
        made = given.named("MXFP4", rows, cols, (part("qs", "nibbles", codes), part("e", "bytes", e)))
    else:
        scales, biases = (given.tensor(kind, tuple(NUMBERS), shape) for kind in ("scales", "biases"))
        made = given.made(f"AFFINE{bits}", rows, cols, group, partial(_affine, bits, codes, scales, biases))
    return replace(made, name=made.name.replace(".switch_mlp.", ".experts."), shape=(*codes.shape[:-1], cols))


def _affine(bits: int, codes: TensorInfo, scales: TensorInfo, biases: TensorInfo, each: int) -> tuple[Part, ...]:
    where = (1, scales.shape[-1], each, 1)
    return (
        part("qs", "nibbles", codes) if bits == 4 else part("qs", "bytes", codes, add=0x80),
        part("d", NUMBERS[scales.format], scales, where),
        part("m", NUMBERS[biases.format], biases, where),
    )


def bitnet(given: Given) -> TensorInfo:
    """w = s (q - 1), or (q - 1) / s: of a byte the codes are those of a row of each quarter."""
    codes, scale = given.matrix("weight", "U8"), given.tensor("weight_scale", tuple(NUMBERS), (), (1,))
    rows, cols = 4 * codes.shape[0], codes.shape[1]
    d = replace(part("d", NUMBERS[scale.format], scale), divides=given.settings.get("linear_class") != "autobitlinear")
    if cols % 128 == 0:
        made = given.named("INT2_128", rows, cols, (part("qs", "quarters128", codes), d))
    else:
        parts = part("qs", "quarters32", codes), d, constant("z", 1)
        made = given.made("INT4", rows, cols, cols, lambda each: parts)
    return replace(made, rounds=True)


def bnb_int8(given: Given) -> TensorInfo:
    """w = q S / 127, a scale to a row."""
    codes = given.matrix("weight", "I8")
    rows, cols = codes.shape
    scales = given.tensor("SCB", ("F32",), (rows,))
    d = replace(part("d", "f32", scales, (1, 1, 1, 0)), times=1 / 127)
    return given.made("INT8", rows, cols, cols, lambda each: (part("qs", "bytes", codes), d, constant("z", 0)))


def bnb_nf4(given: Given, state: Settings, small: Mapping[str, bytes]) -> TensorInfo:
    """w = a T[q], a scale to 64 neighbours in a row; scales may be codes themselves, 256 to a scale. small: tensors' bytes."""
    found = state.get("shape")
    shape = found if isinstance(found, list) else []
    is_matrix = len(shape) == 2 and all(type(n) is int and n > 0 for n in shape)
    if state.get("quant_type") != "nf4" or state.get("blocksize") != 64 or not is_matrix or shape[1] % 64:
        raise given.refuse(
            f"bitsandbytes' {state.get('quant_type')!r} of {shape}, {state.get('blocksize')} to a scale, is not read"
        )
    rows, cols = shape
    count = rows * cols // 64
    codes = given.tensor("", ("U8",), (rows * cols // 2, 1))
    if [*array("f", small["quant_map"])] != [*array("f", NF4_VALUES)]:
        raise given.refuse("the sixteen values of quant_map are not NF4's")
    where = (1, cols // 64, 1, 1)
    if "nested_absmax" not in small:
        scales = part("d", "f32", given.tensor("absmax", ("F32",), (count,)), where)
    else:
        given.tensor("nested_absmax", ("F32",), (-(-count // 256),))
        given.tensor("nested_quant_map", ("F32",), (256,))
        if state.get("nested_blocksize") != 256 or type(state.get("nested_offset")) is not float:
            raise given.refuse("bitsandbytes' scales of scales are read in groups of 256, with nested_offset")
        table = small["nested_quant_map"] + struct.pack("<f", state["nested_offset"]) + small["nested_absmax"]
        scales = replace(part("d", "nested", given.tensor("absmax", ("U8",), (count,)), where), table=table)
    return replace(given.named("NF4", rows, cols, (part("qs", "bytes", codes), scales)), name=given.stem)


# --- settings --------------------------------------------------------------------------------------------------------
def _bits(given: Given) -> int:
    bits = given.settings.get("bits")
    if bits not in (4, 8):
        raise given.refuse(f"GPTQ of {bits} bits is not read, only of 4 and 8")
    if given.settings.get("checkpoint_format", "gptq") not in ("gptq", "gptq_v2"):
        raise given.refuse(
            f"GPTQ's checkpoint_format {given.settings['checkpoint_format']!r} is not read; gptq and gptq_v2 are"
        )
    return int(bits)


def _group(given: Given, cols: int, other: str = "") -> int:
    group = given.settings.get("group_size", given.settings.get(other))
    if group == -1:
        return cols
    if type(group) is not int or group <= 0:
        raise given.refuse(f"group_size is {group!r}, expected a number of columns, or -1 for all")
    return group


def _compressed_bits(given: Given) -> int:
    groups = given.settings.get("config_groups")
    weights = [g.get("weights") for g in groups.values() if isinstance(g, dict)] if isinstance(groups, dict) else []
    bits = [w.get("num_bits") for w in weights if isinstance(w, dict)]
    for one in (4, 8):
        if bits and set(bits) == {one}:
            return one
    raise given.refuse(f"compressed-tensors of {sorted(map(str, bits))} bits are not read, only of 4 or of 8")


def _tile(given: Given) -> tuple[int, int]:
    found = given.settings.get("weight_block_size")
    groups = given.settings.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        found = found or (group.get("weights") or {}).get("block_structure")
    if found is None:
        return (1 << 40, 1 << 40)
    if not (isinstance(found, list) and len(found) == 2 and all(type(n) is int and n > 0 for n in found)):
        raise given.refuse(f"weight_block_size is {found!r}, expected two numbers")
    return (found[0], found[1])


# --- all of a folder -------------------------------------------------------------------------------------------------
# What marks a matrix, the other tensors it may have, and how they are read.
READERS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[Given], TensorInfo]]] = {
    "gptq": (("qweight",), ("qzeros", "scales", "g_idx"), gptq),
    "awq": (("qweight",), ("qzeros", "scales"), awq),
    "compressed-tensors": (
        ("weight_packed", "weight_scale"),
        ("weight", "weight_zero_point", "weight_g_idx", "weight_global_scale"),
        compressed,
    ),
    "fp8": (("weight_scale_inv", "weight_scale"), ("weight",), fp8),
    "modelopt": (("weight_scale",), ("weight", "weight_scale_2"), fp8),
    "bitsandbytes": (("SCB",), ("weight", "weight_format"), bnb_int8),
    "mlx": (("scales",), ("weight", "biases"), mlx),
    "bitnet": (("weight_scale",), ("weight",), bitnet),
}


def method_of(config: Settings, where: str) -> tuple[str, Settings] | None:
    """The key of READERS and the settings of a folder that is quantised. Raises UnsupportedModel for others' methods."""
    found = next((config[key] for key in KEYS if isinstance(config.get(key), dict)), None)
    if found is None:
        return None
    method = found.get("quant_method")
    if method is None and ("bits" in found or "mode" in found):
        if config.get("model_type") in PLUS_ONE:
            message = f"MLX's files of {config['model_type']} are not read: their norms are stored otherwise"
            raise UnsupportedModel(message, where=where, hint=HINT)
        return "mlx", found
    if method not in (*READERS, "mxfp4"):
        message = f"weights quantised by {method!r} are not read; these are: {', '.join(READERS)}, mxfp4"
        raise UnsupportedModel(message, where=where, hint=HINT)
    if method == "bitnet":
        _check_bitnet(found, where)
    return method, found


def _check_bitnet(settings: Settings, where: str) -> None:
    known: dict[str, tuple[str | bool, ...]] = {
        "linear_class": ("bitlinear", "autobitlinear"),
        "quantization_mode": ("offline",),  # online: weights are rounded by the mean of their sizes, which nothing here takes
        "use_rms_norm": (False,),
    }
    for key, values in known.items():
        if settings.get(key, values[0]) not in values:
            message = f"BitNet's {key} {settings[key]!r} is not read; {' and '.join(map(str, dict.fromkeys(values)))} are"
            raise UnsupportedModel(message, where=where, hint="a folder of the same model with packed weights")


def joined(tensors: Mapping[str, TensorInfo], method: str, settings: Settings, where: str) -> dict[str, TensorInfo]:
    """The tensors of a folder, those of each quantised matrix as one."""
    if method == "mxfp4":
        return _of_experts(tensors, where)
    marks, others, read = READERS[method]
    groups: dict[str, dict[str, TensorInfo]] = {}
    for name in tensors:
        stem, _, kind = name.rpartition(".")
        if kind in marks:
            groups[stem] = {k: tensors[f"{stem}.{k}"] for k in (*marks, *others) if f"{stem}.{k}" in tensors}
    taken = {info.name for group in groups.values() for info in group.values()}
    kept = {n: info for n, info in tensors.items() if n not in taken and not n.endswith(NOT_WEIGHTS)}
    made = [read(Given(stem, group, settings, where)) for stem, group in groups.items()]
    for stem, group in groups.items():
        for kind in OF_ALL.keys() & group:
            Given(stem, group, settings, where).tensor(kind, ("F32",), (), (1,))
            name = f"{stem}.{OF_ALL[kind]}"
            kept[name] = replace(group[kind], name=name)
    return kept | {info.name: info for info in made}


BLOCKS, SCALES = "_blocks", "_scales"


def _of_experts(tensors: Mapping[str, TensorInfo], where: str) -> dict[str, TensorInfo]:
    """gpt-oss': `X_blocks` u8 [E, O, I/32, 16] and `X_scales` u8 [E, O, I/32] are X.weight [E, O, I] in MXFP4."""
    made = {n: info for n, info in tensors.items() if not n.endswith((BLOCKS, SCALES))}
    for name, codes in tensors.items():
        if not name.endswith(BLOCKS):
            continue
        stem = name.removesuffix(BLOCKS)
        if codes.format != "U8" or len(codes.shape) != 4 or codes.shape[3] != 16:
            raise FormatError(f"{name} is {codes.format} {list(codes.shape)}, expected U8 [E, O, I/32, 16]", where=where)
        scales = {SCALES: tensors[stem + SCALES]} if stem + SCALES in tensors else {}
        e = Given(stem, scales, {}, where).tensor(SCALES, ("U8",), codes.shape[:3])
        (experts, rows, groups, _), parts = codes.shape, (part("qs", "nibbles", codes), part("e", "bytes", e))
        matrix = Given(stem, {}, {}, where).named("MXFP4", experts * rows, groups * 32, parts)
        made[matrix.name] = replace(matrix, shape=(experts, rows, groups * 32))
    return made


async def read(
    tensors: Mapping[str, TensorInfo], method: str, settings: Settings, where: str, sources: Sequence[Source]
) -> dict[str, TensorInfo]:
    """`joined`, and what only the tensors themselves say."""
    made = joined(tensors, method, settings, where)
    if method == "bitsandbytes":
        made = await _read_nf4(made, settings, where, sources)
    for name, info in tensors.items():
        stem, _, kind = name.rpartition(".")
        if method == "gptq" and kind == "g_idx" and (settings.get("desc_act") or settings.get("static_groups")):
            cols = made[f"{stem}.weight"].shape[1]
            group = _group(Given(stem, {}, settings, where), cols)
            Given(stem, {kind: info}, settings, where).tensor(kind, ("I32",), (cols,))
            groups = array("i", await _bytes_of(info, sources))
            made[f"{stem}.weight"] = _in_groups(made[f"{stem}.weight"], groups.tolist(), group, where)
        if method == "gptq" and kind == "bias" and f"{stem}.qweight" in tensors:
            data = await _bytes_of(info, sources)
            if not data.strip(b"\0"):
                del made[name]  # as its writers give to every matrix, whatever the model
    return made


def _in_groups(info: TensorInfo, groups: list[int], group: int, where: str) -> TensorInfo:
    """groups: of each column. The matrix with the columns of a group side by side."""
    cols = info.shape[1]
    order = sorted(range(cols), key=lambda i: groups[i]) if len(groups) == cols else []
    if [groups[i] for i in order] != [i // group for i in range(cols)] or cols > MOST_ORDERED:
        raise UnsupportedModel(f"{info.name}: its columns do not make groups of {group}", where=where, hint=HINT)
    if order == [*range(cols)]:
        return info
    table = array("I", order).tobytes()
    parts = tuple(replace(p, table=table) if p.coding.startswith("gptq") else p for p in info.parts)
    return replace(info, order=tuple(order), parts=parts)


SMALL = ("quant_map", "nested_absmax", "nested_quant_map")  # tensors whose bytes are read at once
STATE = "quant_state.bitsandbytes__"


async def _read_nf4(
    tensors: Mapping[str, TensorInfo], settings: Settings, where: str, sources: Sequence[Source]
) -> dict[str, TensorInfo]:
    made = dict(tensors)
    for state_name in [name for name in tensors if f".{STATE}" in name]:
        stem = state_name.partition(f".{STATE}")[0]
        given = {kind: tensors[f"{stem}.{kind}"] for kind in ("absmax", *SMALL) if f"{stem}.{kind}" in tensors}
        of = Given(stem, {**given, "": tensors[stem]} if stem in tensors else given, settings, where)
        of.tensor("absmax", ("F32", "U8"))
        of.tensor("quant_map", ("F32",), (16,))
        small = {kind: await _bytes_of(info, sources) for kind, info in given.items() if kind in SMALL}
        try:
            state = json.loads(await _bytes_of(tensors[state_name], sources))
        except ValueError as error:
            raise FormatError(f"{state_name} is not JSON: {error}", where=where) from error
        for name in (state_name, *(f"{stem}.{kind}" for kind in given)):
            del made[name]
        made[stem] = bnb_nf4(of, state if isinstance(state, dict) else {}, small)
    return made


async def _bytes_of(info: TensorInfo, sources: Sequence[Source]) -> bytes:
    return await sources[info.source].read(info.offset, info.num_bytes)
