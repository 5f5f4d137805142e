"""Tiny random Hugging Face folders in the formats that quantisers write, and the same values as a plain folder.

Codes, scales and zero points are drawn; a value is what the format's own formula makes of them, here in NumPy and apart from
Fanlight's reader. /formats: GPTQ, AWQ, compressed-tensors, FP8 with scales of tiles, bitsandbytes, MLX."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden.tiny_models import draw_weight, tensor_shapes, widen_bf16

SIZES = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 4}
SIZES |= {"num_key_value_heads": 2, "head_dim": 32, "rms_norm_eps": 1e-5}
CONFIG = {"model_type": "llama", "rope_theta": 10000, "max_position_embeddings": 128, "hidden_act": "silu", **SIZES}
CONFIG |= {"tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False}
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]  # row of eight whose code is nibble k
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)
Tensor = tuple[str, np.ndarray]  # dtype of safetensors, and what is stored
Made = tuple[dict[str, Tensor], np.ndarray]  # by what follows the matrix's name, and its values


@dataclass(frozen=True, slots=True)
class Scheme:
    make: Callable[..., Made]
    settings: dict[str, Any]
    key: str = "quantization_config"
    options: dict[str, Any] = field(default_factory=dict)
    has_all: bool = False  # the embedding and the head too


# --- parts of formulas -----------------------------------------------------------------------------------------------
def scales_of(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, size: float = 0.02) -> tuple[Tensor, np.ndarray]:
    """As stored, and as f32."""
    values = (size * rng.uniform(0.5, 1.5, shape)).astype(np.float32)
    if dtype == "BF16":
        halves = (values.view(np.uint32) >> 16).astype(np.uint16)
        return (dtype, halves), widen_bf16(halves)
    stored = values.astype(np.float16 if dtype == "F16" else np.float32)
    return (dtype, stored), stored.astype(np.float32)


def packed(codes: np.ndarray, bits: int) -> np.ndarray:
    """[..., n] -> u32 [..., n * bits / 32], the first the lowest"""
    codes = codes.astype(np.uint32).reshape(*codes.shape[:-1], -1, 32 // bits)
    return (codes << (bits * np.arange(32 // bits, dtype=np.uint32))).sum(axis=-1, dtype=np.uint32)


def wide(groups: np.ndarray, cols: int) -> np.ndarray:
    """[rows, groups] -> [rows, cols]"""
    return groups.repeat(cols // groups.shape[1], axis=1)


def e4m3(codes: np.ndarray) -> np.ndarray:
    exponent, mantissa = codes >> 3 & 15, (codes & 7).astype(np.float32)
    size = np.where(exponent == 0, mantissa / 512, (1 + mantissa / 8) * 2.0 ** (exponent.astype(np.float32) - 7))
    return np.where(codes > 127, -size, size).astype(np.float32)


# --- the formats -----------------------------------------------------------------------------------------------------
def gptq(
    rng: np.random.Generator,
    rows: int,
    cols: int,
    bits: int = 4,
    group: int = 32,
    version: int = 1,
    by_activations: bool = False,
) -> Made:
    """by_activations: groups are of columns anywhere, the same for all matrices of as many."""
    groups = cols // group
    codes, zeros = rng.integers(0, 1 << bits, (rows, cols)), rng.integers(0, 1 << bits, (groups, rows))
    scales, s = scales_of(rng, (groups, rows), "F16", 0.02 if bits == 4 else 0.001)
    z = (zeros + 1) % (1 << bits) if version == 1 else zeros
    of = np.random.default_rng(cols).permutation(cols) // group if by_activations else np.arange(cols) // group
    values = s.T[:, of] * (codes - z.T[:, of]).astype(np.float32)
    tensors = {
        "qweight": ("I32", packed(codes, bits).T.copy()),
        "qzeros": ("I32", packed(zeros, bits)),
        "scales": scales,
        "g_idx": ("I32", of.astype(np.int32)),
        "bias": ("F16", np.zeros(rows, np.float16)),
    }
    return tensors, values


def awq(rng: np.random.Generator, rows: int, cols: int, group: int = 32) -> Made:
    groups = cols // group
    codes, zeros = rng.integers(0, 16, (rows, cols)), rng.integers(0, 16, (groups, rows))
    scales, s = scales_of(rng, (groups, rows), "F16")

    def words(codes: np.ndarray) -> np.ndarray:
        return packed(codes.reshape(len(codes), -1, 8)[:, :, AWQ_ORDER].reshape(codes.shape), 4)

    tensors = {"qweight": ("I32", words(codes.T.copy())), "qzeros": ("I32", words(zeros)), "scales": scales}
    return tensors, wide(s.T, cols) * (codes - wide(zeros.T, cols)).astype(np.float32)


def compressed(rng: np.random.Generator, rows: int, cols: int, bits: int = 4, group: int = 32, symmetric: bool = True) -> Made:
    groups = cols // group if group else 1
    codes = rng.integers(-(1 << bits - 1), 1 << bits - 1, (rows, cols))
    zeros = np.zeros((rows, groups), np.int64) if symmetric else rng.integers(-(1 << bits - 1), 1 << bits - 1, (rows, groups))
    scales, s = scales_of(rng, (rows, groups), "BF16", 0.02 if bits == 4 else 0.001)
    half = 1 << bits - 1
    tensors = {
        "weight_packed": ("I32", packed(codes + half, bits)),
        "weight_scale": scales,
        "weight_shape": ("I64", np.array([rows, cols], np.int64)),
    }
    if not symmetric:
        tensors["weight_zero_point"] = "I32", packed((zeros + half).T.copy(), bits).T.copy()
    return tensors, wide(s, cols) * (codes - wide(zeros, cols)).astype(np.float32)


def int8(rng: np.random.Generator, rows: int, cols: int) -> Made:
    codes = rng.integers(-128, 128, (rows, cols)).astype(np.int8)
    scales, s = scales_of(rng, (rows, 1), "F32", 0.001)
    return {"weight": ("I8", codes), "weight_scale": scales}, s * codes.astype(np.float32)


def fp8(rng: np.random.Generator, rows: int, cols: int, tile: tuple[int, int] | None, kind: str, dtype: str = "F32") -> Made:
    """tile: rows and columns of a scale; None: one for all."""
    codes = rng.integers(0, 255, (rows, cols)).astype(np.uint8)
    codes[codes & 0x78 > 0x48] -= 0x40  # none too large
    codes[codes == 127] = 0
    shape = () if tile is None else (-(-rows // tile[0]), -(-cols // tile[1]))
    scales, s = scales_of(rng, shape, dtype)
    if tile is not None:
        s = s.repeat(tile[0], axis=0)[:rows].repeat(tile[1], axis=1)[:, :cols]
    return {"weight": ("F8_E4M3", codes), kind: scales, "input_scale": ("F32", np.ones((), np.float32))}, s * e4m3(codes)


def mxfp4(rng: np.random.Generator, rows: int, cols: int, names: tuple[str, str], dtype: str) -> Made:
    codes, exponents = rng.integers(0, 16, (rows, cols)), rng.integers(119, 124, (rows, cols // 32)).astype(np.uint8)
    values = E2M1[codes] * wide(np.float32(2) ** (exponents.astype(np.float32) - 127), cols)
    words = packed(codes, 4)
    return {names[0]: (dtype, words if dtype == "U32" else words.view(np.uint8)), names[1]: ("U8", exponents)}, values


def nvfp4(rng: np.random.Generator, rows: int, cols: int, names: tuple[str, str], number: float, divides: bool) -> Made:
    """names: of the codes, and of the number for all."""
    codes, scales = rng.integers(0, 16, (rows, cols)), rng.integers(8, 48, (rows, cols // 16)).astype(np.uint8)
    values = E2M1[codes] * wide(e4m3(scales), cols)
    tensors: dict[str, Tensor] = {names[0]: ("U8", packed(codes, 4).view(np.uint8)), "weight_scale": ("F8_E4M3", scales)}
    tensors |= {names[1]: ("F32", np.full((1,) if divides else (), number, np.float32))}
    return tensors, values / np.float32(number) if divides else values * np.float32(number)


def mlx(rng: np.random.Generator, rows: int, cols: int, bits: int, group: int, dtype: str) -> Made:
    codes = rng.integers(0, 1 << bits, (rows, cols))
    scales, s = scales_of(rng, (rows, cols // group), dtype, 0.02 if bits == 4 else 0.001)
    (_, stored), b = scales_of(rng, (rows, cols // group), dtype, 0.16 if bits == 4 else 0.128)
    biases = (stored ^ 0x8000 if dtype == "BF16" else -stored).astype(stored.dtype)
    tensors = {"weight": ("U32", packed(codes, bits)), "scales": scales, "biases": (dtype, biases)}
    return tensors, wide(s, cols) * codes.astype(np.float32) - wide(b, cols)


NF4 = [-1.0, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.091050036, 0.0]
NF4 += [0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0]


def nf4(rng: np.random.Generator, rows: int, cols: int, nested: bool) -> Made:
    codes, count = rng.integers(0, 16, (rows, cols)), rows * cols // 64
    table = np.array(NF4, np.float32)
    state: dict[str, Any] = {"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": [rows, cols]}
    tensors: dict[str, Tensor] = {"": ("U8", (codes[:, ::2] << 4 | codes[:, 1::2]).astype(np.uint8).reshape(-1, 1))}
    tensors["quant_map"] = "F32", table
    if nested:
        chosen, values = rng.integers(0, 256, count).astype(np.uint8), np.linspace(-1, 1, 256).astype(np.float32)
        outer = rng.uniform(0.01, 0.02, -(-count // 256)).astype(np.float32)
        state |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.05}
        tensors |= {"absmax": ("U8", chosen), "nested_absmax": ("F32", outer), "nested_quant_map": ("F32", values)}
        absmax = values[chosen] * outer.repeat(256)[:count] + np.float32(0.05)
    else:
        absmax = rng.uniform(0.02, 0.1, count).astype(np.float32)
        tensors["absmax"] = "F32", absmax
    text = json.dumps(state).encode()
    tensors["quant_state.bitsandbytes__nf4"] = "U8", np.frombuffer(text, np.uint8)
    return tensors, (table[codes].reshape(-1, 64) * absmax[:, None]).reshape(rows, cols)


def bnb8(rng: np.random.Generator, rows: int, cols: int) -> Made:
    codes = rng.integers(-127, 128, (rows, cols)).astype(np.int8)
    scales, s = scales_of(rng, (rows,), "F32", 0.1)
    values = codes.astype(np.float32) * (s * np.float32(1 / 127))[:, None]
    return {"weight": ("I8", codes), "SCB": scales, "weight_format": ("U8", np.zeros((), np.uint8))}, values


def bitnet(rng: np.random.Generator, rows: int, cols: int, divides: bool) -> Made:
    codes, (number, s) = rng.integers(0, 3, (rows, cols)), scales_of(rng, (1,), "BF16", 24.0 if divides else 0.04)
    quarters = codes.astype(np.uint8).reshape(4, -1, cols)
    made = quarters[0] | quarters[1] << 2 | quarters[2] << 4 | quarters[3] << 6
    values = (codes - 1).astype(np.float32)
    return {"weight": ("U8", made), "weight_scale": number}, values * (np.float32(1) / s if divides else s)


def _groups(bits: int, kind: str = "int", **more: Any) -> dict[str, Any]:
    weights = {"num_bits": bits, "type": kind, "symmetric": True, **more}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}}


GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True, "sym": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}
FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic"}
BNB = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
SCHEMES = {
    "gptq": Scheme(gptq, GPTQ),
    "gptq_v2": Scheme(gptq, {**GPTQ, "checkpoint_format": "gptq_v2", "group_size": 64}, options={"version": 2, "group": 64}),
    "gptq_order": Scheme(gptq, GPTQ, options={"by_activations": True}),
    "gptq8_order": Scheme(gptq, {**GPTQ, "bits": 8}, options={"bits": 8, "by_activations": True}),
    "gptq8": Scheme(gptq, {**GPTQ, "bits": 8}, options={"bits": 8}),
    "awq": Scheme(awq, AWQ),
    "compressed4": Scheme(compressed, _groups(4), options={"symmetric": False}),
    "compressed4_channel": Scheme(compressed, _groups(4), options={"group": 0}),
    "compressed8": Scheme(compressed, _groups(8), options={"bits": 8, "group": 64, "symmetric": False}),
    "compressed_int8": Scheme(int8, _groups(8)),
    "compressed_fp8": Scheme(fp8, _groups(8, "float"), options={"tile": (1, 1 << 20), "kind": "weight_scale", "dtype": "BF16"}),
    "compressed_mxfp4": Scheme(mxfp4, _groups(4, "float"), options={"names": ("weight_packed", "weight_scale"), "dtype": "U8"}),
    "fp8_tiles": Scheme(fp8, {**FP8, "weight_block_size": [48, 32]}, options={"tile": (48, 32), "kind": "weight_scale_inv"}),
    "fp8_one": Scheme(fp8, FP8, options={"tile": None, "kind": "weight_scale_inv", "dtype": "BF16"}),
    "modelopt_nvfp4": Scheme(
        nvfp4,
        {"quant_method": "modelopt", "quant_algo": "NVFP4"},
        options={"names": ("weight", "weight_scale_2"), "number": 0.375, "divides": False},
    ),
    "compressed_nvfp4": Scheme(
        nvfp4, _groups(4, "float"), options={"names": ("weight_packed", "weight_global_scale"), "number": 4.0, "divides": True}
    ),
    "modelopt_fp8": Scheme(
        fp8, {"quant_method": "modelopt", "quant_algo": "FP8"}, options={"tile": None, "kind": "weight_scale"}
    ),
    "bnb_nf4": Scheme(nf4, BNB, options={"nested": False}),
    "bnb_nf4_nested": Scheme(nf4, BNB, options={"nested": True}),
    "bnb_int8": Scheme(bnb8, {"quant_method": "bitsandbytes", "load_in_8bit": True}),
    "bitnet": Scheme(bitnet, {"quant_method": "bitnet"}, options={"divides": True}),
    "bitnet_auto": Scheme(
        bitnet,
        {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"},
        options={"divides": False},
    ),
    "mlx4": Scheme(mlx, {"bits": 4, "group_size": 64}, "quantization", {"bits": 4, "group": 64, "dtype": "BF16"}, has_all=True),
    "mlx8": Scheme(
        mlx,
        {"bits": 8, "group_size": 32, "mode": "affine"},
        "quantization",
        {"bits": 8, "group": 32, "dtype": "F16"},
        has_all=True,
    ),
    "mlx_mxfp4": Scheme(
        mxfp4,
        {"bits": 4, "group_size": 32, "mode": "mxfp4"},
        "quantization",
        {"names": ("weight", "scales"), "dtype": "U32"},
    ),
}


# --- folders ---------------------------------------------------------------------------------------------------------
def make_pair(name: str, folder: Path) -> tuple[Path, Path, dict[str, np.ndarray]]:
    """The folder, its plain twin in f32, and the values of its matrices."""
    scheme, rng = SCHEMES[name], np.random.default_rng(5)
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Tensor] = {}
    values: dict[str, np.ndarray] = {}
    for tensor, shape in tensor_shapes(CONFIG):
        stem = tensor.removesuffix(".weight")
        if len(shape) == 2 and (scheme.has_all or ".layers." in tensor):
            made, values[tensor] = scheme.make(rng, *shape, **scheme.options)
            of = tensor if "" in made else stem  # bitsandbytes' are named after the weight
            tensors |= {f"{of}.{kind}".rstrip("."): stored for kind, stored in made.items()}
        else:
            values[tensor] = draw_weight(f"quantised/{tensor}", tensor, shape)
            tensors[tensor] = "F32", values[tensor]
        plain[tensor] = "F32", values[tensor]
    write_folder(folder / name, tensors, {**CONFIG, scheme.key: scheme.settings})
    write_folder(folder / f"{name}-plain", plain, CONFIG)
    return folder / name, folder / f"{name}-plain", values


EXPERTS = {**CONFIG, "model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
EXPERTS |= {"norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": [], "rms_norm_eps": 1e-6}


def make_experts_pair(name: str, folder: Path) -> tuple[Path, Path]:
    """As make_pair, of a model with experts; MLX's are one tensor of three axes."""
    scheme, rng = SCHEMES[name], np.random.default_rng(6)
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Tensor] = {}
    layer = "model.layers.0"
    for tensor, shape in [(t, s) for t, s in tensor_shapes(CONFIG) if ".mlp." not in t]:
        tensors[tensor] = plain[tensor] = "F32", draw_weight(f"experts/{tensor}", tensor, shape)
    for tensor, shape in ((f"{layer}.self_attn.{x}_norm.weight", (32,)) for x in "qk"):
        tensors[tensor] = plain[tensor] = "F32", np.ones(shape, np.float32)
    tensors[f"{layer}.mlp.gate.weight"] = "F32", rng.normal(size=(4, 64)).astype(np.float32)
    plain[f"{layer}.mlp.gate.weight"] = tensors[f"{layer}.mlp.gate.weight"]
    for proj in ("gate_proj", "up_proj", "down_proj"):
        if scheme.make is mlx:
            made, values = scheme.make(rng, 4 * 64, 64, **scheme.options)
            stem = f"{layer}.mlp.switch_mlp.{proj}"
            tensors |= {f"{stem}.{kind}": (dtype, stored.reshape(4, 64, -1)) for kind, (dtype, stored) in made.items()}
            each = list(values.reshape(4, 64, 64))
        else:
            each = []
            for e in range(4):
                made, values = scheme.make(rng, 64, 64, **scheme.options)
                tensors |= {f"{layer}.mlp.experts.{e}.{proj}.{kind}": stored for kind, stored in made.items()}
                each.append(values)
        plain |= {f"{layer}.mlp.experts.{e}.{proj}.weight": ("F32", values) for e, values in enumerate(each)}
    write_folder(folder / name, tensors, {**EXPERTS, scheme.key: scheme.settings})
    write_folder(folder / f"{name}-plain", plain, EXPERTS)
    return folder / name, folder / f"{name}-plain"


def write_folder(folder: Path, tensors: dict[str, Tensor], config: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    header: dict[str, Any] = {}
    data = b""
    for name, (dtype, stored) in tensors.items():
        end = len(data) + stored.nbytes
        header[name] = {"dtype": dtype, "shape": stored.shape, "data_offsets": [len(data), end]}
        data += stored.tobytes()
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
