"""Random encoders of BERT's shape as GGUF, with a vocabulary in which every word is one token.  Needs NumPy."""

import string
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from bench.random_gguf import FORMATS, blocks_of
from bench.shapes import ENCODERS, Encoder
from fanlight.formats.gguf_writer import TensorData, write_gguf

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
PAD, UNKNOWN, CLS, SEP = range(4)
LETTERS = 4  # of a word
EPS = 1e-12


def word(number: int) -> str:
    """Four letters; bench/page/text.js has the same."""
    return "".join(string.ascii_lowercase[number // 26**i % 26] for i in range(LETTERS))


def num_words(shape: Encoder) -> int:
    return shape.vocab - len(SPECIAL)


def tokenizer_json(shape: Encoder) -> dict[str, Any]:
    """As Hugging Face writes BERT's."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    marks = [[{"SpecialToken": {"id": token, "type_id": 0}}] for token in ("[CLS]", "[SEP]")]
    single = [*marks[0], {"Sequence": {"id": "A", "type_id": 0}}, *marks[1]]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": token, **flags} for i, token in enumerate(SPECIAL)],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {t: {"id": t, "ids": [SPECIAL.index(t)], "tokens": [t]} for t in ("[CLS]", "[SEP]")},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {token: i for i, token in enumerate((*SPECIAL, *map(word, range(num_words(shape)))))},
        },
    }


def tensors_of(shape: Encoder, format: str) -> Iterator[TensorData]:
    def matrix(name: str, kind: str, rows: int, columns: int, spread: float, seed: int) -> TensorData:
        make = lambda: blocks_of(kind, rows, columns, spread, seed)  # noqa: E731
        return TensorData(f"{name}.weight", kind, (rows, columns), make)

    def vector(name: str, size: int, seed: int, middle: float) -> TensorData:
        values = middle + np.random.default_rng(seed).uniform(-0.2, 0.2, size)
        return TensorData(name, "F32", (size,), values.astype(np.float32).tobytes())

    def table(name: str, rows: int, seed: int) -> TensorData:
        values = np.random.default_rng(seed).uniform(-0.1, 0.1, (rows, shape.hidden))
        return TensorData(f"{name}.weight", "F32", (rows, shape.hidden), values.astype(np.float32).tobytes())

    def norm(name: str, seed: int) -> Iterator[TensorData]:
        yield vector(f"{name}.weight", shape.hidden, seed, 1)
        yield vector(f"{name}.bias", shape.hidden, seed + 1, 0)

    yield matrix("token_embd", format, shape.vocab, shape.hidden, 0.1, 1)
    yield table("position_embd", shape.positions, 2)
    yield table("token_types", 2, 3)
    yield from norm("token_embd_norm", 4)
    for i in range(shape.layers):
        for j, (name, rows, columns) in enumerate(shape.matrices()):
            yield matrix(f"blk.{i}.{name}", format, rows, columns, 1 / sqrt(columns), 10 * i + j + 6)
            yield vector(f"blk.{i}.{name}.bias", rows, 10 * i + j, 0)
        yield from norm(f"blk.{i}.attn_output_norm", 4 * i)
        yield from norm(f"blk.{i}.layer_output_norm", 4 * i + 2)


def write_random_encoder(name: str, format: str, path: Path) -> None:
    shape = ENCODERS[name]
    metadata = {
        "general.architecture": "bert",
        "general.name": f"random {name} {format}",
        "general.file_type": FORMATS[format],
        "general.quantization_version": 2,
        "bert.block_count": shape.layers,
        "bert.context_length": shape.positions,
        "bert.embedding_length": shape.hidden,
        "bert.feed_forward_length": shape.ffn,
        "bert.attention.head_count": shape.heads,
        "bert.attention.layer_norm_epsilon": EPS,
        "bert.attention.causal": False,
        "bert.pooling_type": 1,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.tokens": [*SPECIAL, *(f"\u2581{word(i)}" for i in range(num_words(shape)))],
        "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * num_words(shape),
        "tokenizer.ggml.bos_token_id": CLS,
        "tokenizer.ggml.eos_token_id": SEP,
        "tokenizer.ggml.seperator_token_id": SEP,
        "tokenizer.ggml.unknown_token_id": UNKNOWN,
        "tokenizer.ggml.padding_token_id": PAD,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_gguf(path, metadata, tensors_of(shape, format))
