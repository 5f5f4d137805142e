"""Random models as GGUF: valid blocks, valid scales, a tokenizer; a gigabyte in seconds.  Needs NumPy.

Types of tensors follow llama.cpp's own choice: a 4-bit file has a Q6_K head, and Q4_K_M has Q6_K in part of `v` and `down`."""

from collections.abc import Callable, Iterator
from functools import cache
from math import sqrt
from pathlib import Path

import numpy as np

from bench.shapes import NORM_EPS, ROPE_THETA, SHAPES, TRAINED_CONTEXT, Shape
from bench.vocabulary import CHAT_TEMPLATE, make_vocabulary
from fanlight.formats.footprint import has_more_bits
from fanlight.formats.gguf_writer import IDS, TensorData, write_gguf
from fanlight.formats.quant import TYPES_BY_ID

FORMATS = {"Q4_0": 2, "Q8_0": 7, "Q4_K_M": 15, "F16": 1}  # GGUF's general.file_type
NAMES = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}
EXPERTS = ("gate", "up", "down")  # what each expert has, where there are any
POOL_BYTES = 4 << 20  # random blocks are made once and repeated: the GPU does not care, and nothing can compress them
EMBEDDING_SPREAD = 0.03


# --- blocks ----------------------------------------------------------------------------------------------------------
def _scales(rng: np.random.Generator, count: int, typical: float) -> np.ndarray:
    """u8 [count, 2]: f16, within a quarter of `typical`."""
    return (typical * rng.uniform(0.75, 1.25, (count, 1))).astype(np.float16).view(np.uint8)


def _q4_0(rng: np.random.Generator, blocks: np.ndarray, spread: float) -> None:
    blocks[:, :2] = _scales(rng, len(blocks), spread / 4.6)


def _q8_0(rng: np.random.Generator, blocks: np.ndarray, spread: float) -> None:
    blocks[:, :2] = _scales(rng, len(blocks), spread / 73.9)


def _q4_k(rng: np.random.Generator, blocks: np.ndarray, spread: float) -> None:
    """d * scale * q - dmin * min, where dmin = 7.5 d takes the mean away."""
    d = spread / 258 * rng.uniform(0.75, 1.25, (len(blocks), 1))
    blocks[:, :2] = d.astype(np.float16).view(np.uint8)
    blocks[:, 2:4] = (7.5 * d).astype(np.float16).view(np.uint8)


def _q6_k(rng: np.random.Generator, blocks: np.ndarray, spread: float) -> None:
    signs = rng.choice(np.array([-1, 1], np.int8), (len(blocks), 16))
    blocks[:, 192:208] = (signs * rng.integers(8, 25, signs.shape, np.int8)).view(np.uint8)
    blocks[:, 208:210] = _scales(rng, len(blocks), spread / 307)


def _f16(rng: np.random.Generator, blocks: np.ndarray, spread: float) -> None:
    blocks[:] = (spread * rng.standard_normal((len(blocks), 1))).astype(np.float16).view(np.uint8)


MAKERS = {"Q4_0": _q4_0, "Q8_0": _q8_0, "Q4_K": _q4_k, "Q6_K": _q6_k, "F16": _f16}
SCALE_BYTES = {"Q4_0": slice(0, 2), "Q8_0": slice(0, 2), "Q4_K": slice(0, 4), "Q6_K": slice(208, 210), "F16": slice(0, 2)}


@cache
def _pool(format: str, spread: float) -> np.ndarray:
    """u8 [blocks, bytes]. An odd number of blocks, so that the rows of a matrix differ."""
    size = TYPES_BY_ID[IDS[format]].block_bytes
    rng = np.random.default_rng([IDS[format], round(spread * 1e6)])
    blocks = np.frombuffer(rng.bytes((POOL_BYTES // size | 1) * size), np.uint8).reshape(-1, size).copy()
    MAKERS[format](rng, blocks, spread)
    return blocks


def blocks_of(format: str, rows: int, columns: int, spread: float, seed: int, silent: list[int] | None = None) -> memoryview:
    """A matrix; the rows `silent` are zero."""
    pool, kind = _pool(format, spread), TYPES_BY_ID[IDS[format]]
    count, start = rows * columns // kind.block_elems, seed * 7919 % len(pool)
    made = np.empty((count, kind.block_bytes), np.uint8)
    for first in range(0, count, len(pool)):
        piece = made[first : first + len(pool)]
        head = min(len(piece), len(pool) - start)
        piece[:head], piece[head:] = pool[start : start + head], pool[: len(piece) - head]
    if silent:
        made.reshape(rows, -1, kind.block_bytes)[silent, :, SCALE_BYTES[format]] = 0
    return made.reshape(-1).data


# --- the model -------------------------------------------------------------------------------------------------------
def tensor_format(format: str, matrix: str, layer: int, layers: int) -> str:
    if format != "Q4_K_M":
        return format
    return "Q6_K" if matrix in ("v", "down") and has_more_bits(layer, layers) else "Q4_K"


def head_format(format: str) -> str:
    return format if format in ("Q8_0", "F16") else "Q6_K"


def tensors_of(shape: Shape, format: str) -> Iterator[TensorData]:
    silent = make_vocabulary(shape.vocab).silent()

    def matrix(name: str, kind: str, rows: int, columns: int, spread: float, seed: int, quiet: list[int] | None = None):
        make: Callable[[], memoryview] = lambda: blocks_of(kind, rows, columns, spread, seed, quiet)  # noqa: E731
        return TensorData(f"{name}.weight", kind, (rows, columns), make)

    def experts(name: str, kind: str, rows: int, columns: int, seed: int) -> TensorData:
        count = shape.experts
        make: Callable[[], memoryview] = lambda: blocks_of(kind, count * rows, columns, 1 / sqrt(columns), seed)  # noqa: E731
        return TensorData(f"{name}.weight", kind, (count, rows, columns), make)

    def router(name: str, seed: int) -> TensorData:
        values = np.random.default_rng(seed).standard_normal((shape.experts, shape.hidden)) / sqrt(shape.hidden)
        return TensorData(f"{name}.weight", "F32", values.shape, values.astype(np.float32).tobytes())

    def vector(name: str, size: int, seed: int) -> TensorData:
        values = np.random.default_rng(seed).uniform(0.8, 1.2, size)
        return TensorData(f"{name}.weight", "F32", (size,), values.astype(np.float32).tobytes())

    def norm(name: str, seed: int) -> TensorData:
        return vector(name, shape.hidden, seed)

    embedding = head_format(format) if shape.is_tied else tensor_format(format, "embedding", 0, shape.layers)
    yield matrix("token_embd", embedding, shape.vocab, shape.hidden, EMBEDDING_SPREAD, 1, silent)
    if not shape.experts:
        yield TensorData("rope_freqs.weight", "F32", (shape.head_dim // 2,), rope_factors(shape.head_dim).tobytes())
    for layer in range(shape.layers):
        for i, (name, rows, columns) in enumerate(shape.matrices()):
            kind, seed = tensor_format(format, name, layer, shape.layers), 10 * layer + i + 2
            if shape.experts and name in EXPERTS:
                yield experts(f"blk.{layer}.{NAMES[name]}_exps", kind, rows, columns, seed)
            else:
                yield matrix(f"blk.{layer}.{NAMES[name]}", kind, rows, columns, 1 / sqrt(columns), seed)
        if shape.experts:
            yield vector(f"blk.{layer}.attn_q_norm", shape.head_dim, 3 * layer)
            yield vector(f"blk.{layer}.attn_k_norm", shape.head_dim, 3 * layer + 1)
            yield router(f"blk.{layer}.ffn_gate_inp", 3 * layer + 2)
        yield norm(f"blk.{layer}.attn_norm", 2 * layer)
        yield norm(f"blk.{layer}.ffn_norm", 2 * layer + 1)
    yield norm("output_norm", 2 * shape.layers)
    if not shape.is_tied:
        yield matrix("output", head_format(format), shape.vocab, shape.hidden, EMBEDDING_SPREAD, 3, silent)


def rope_factors(head_dim: int) -> np.ndarray:
    """f32 [head_dim / 2]: what Llama 3.2 divides its frequencies by (factor 32; slow ones wholly, fast ones not at all)."""
    factor, low, high, old = 32.0, 1.0, 4.0, 8192
    wavelength = 2 * np.pi * ROPE_THETA ** (np.arange(0, head_dim, 2) / head_dim)
    smooth = np.clip((old / wavelength - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def read_per_token(shape: Shape, format: str) -> int:
    """Bytes of weights that one token reads: every matrix and norm, and the head; of experts those that it meets."""
    skipped = {"rope_freqs.weight"} | (set() if shape.is_tied else {"token_embd.weight"})
    read = [t for t in tensors_of(shape, format) if t.name not in skipped]
    return sum(t.num_bytes * shape.top_k // shape.experts if "_exps." in t.name else t.num_bytes for t in read)


def parameters(shape: Shape) -> int:
    """Weights that a prompt's token is multiplied with: the head is not, but for the last one."""
    times = {name: shape.top_k for name in EXPERTS} if shape.experts else {}
    return sum(rows * columns * times.get(name, 1) for name, rows, columns in shape.matrices()) * shape.layers


def write_random_gguf(name: str, format: str, path: Path) -> None:
    shape = SHAPES[name]
    vocabulary = make_vocabulary(shape.vocab)
    num_special, arch = len(vocabulary.tokens) - vocabulary.num_plain, shape.architecture
    metadata = {
        "general.architecture": arch,
        "general.name": f"random {name} {format}",
        "general.file_type": FORMATS[format],
        "general.quantization_version": 2,
        f"{arch}.block_count": shape.layers,
        f"{arch}.context_length": TRAINED_CONTEXT,
        f"{arch}.embedding_length": shape.hidden,
        f"{arch}.feed_forward_length": shape.ffn,
        f"{arch}.attention.head_count": shape.heads,
        f"{arch}.attention.head_count_kv": shape.kv_heads,
        f"{arch}.attention.key_length": shape.head_dim,
        f"{arch}.attention.value_length": shape.head_dim,
        f"{arch}.rope.dimension_count": shape.head_dim,
        f"{arch}.rope.freq_base": ROPE_THETA,
        f"{arch}.attention.layer_norm_rms_epsilon": NORM_EPS,
        f"{arch}.vocab_size": shape.vocab,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "llama-bpe",
        "tokenizer.ggml.tokens": vocabulary.tokens,
        "tokenizer.ggml.token_type": [1] * vocabulary.num_plain + [3] * num_special,
        "tokenizer.ggml.merges": [" ".join(pair) for pair in vocabulary.merges],
        "tokenizer.ggml.bos_token_id": vocabulary.bos,
        "tokenizer.ggml.eos_token_id": vocabulary.eos,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }
    if shape.experts:
        counts = {"expert_count": shape.experts, "expert_used_count": shape.top_k, "expert_feed_forward_length": shape.ffn}
        metadata |= {f"{arch}.{key}": value for key, value in counts.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_gguf(path, metadata, tensors_of(shape, format))
