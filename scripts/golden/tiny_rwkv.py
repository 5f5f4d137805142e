"""Tiny GGUF files of RWKV-7, as llama.cpp's converter writes them: random weights, a vocabulary of bytes and some words.

Needs NumPy and the `gguf` package; knows nothing of Fanlight."""

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np

CASES = {  # hidden size, head size, layers, MLP width, ranks (decay, rate, value, gate), format of the matrices
    "rwkv7-heads": (128, 64, 3, 320, (24, 16, 8, 40), "F32"),
    "rwkv7-narrow": (96, 32, 2, 200, (16, 16, 16, 16), "F32"),
    "rwkv7-blocks": (128, 64, 2, 256, (32, 32, 32, 32), "Q8_0"),
}
PROMPT = [
    1,
    40,
    257,
    99,
    258,
    111,
    12,
    300,
    261,
    77,
    42,
    42,
    298,
    5,
    180,
    260,
    259,
    33,
    34,
    301,
    66,
    270,
    8,
    250,
    299,
    17,
    21,
    90,
]
PROMPT += [264, 262, 263, 31, 100, 101, 102, 265, 266, 3, 290, 291, 44]
WORDS = [
    "the",
    " the",
    "er",
    " of",
    "\n\n",
    "  ",
    "    ",
    "ing",
    "ä",
    "ßen",
    "你好",
    "你",
    "好吗",
    "...",
    "12",
    "123",
    "1234",
    "then",
    "the n",
]
WORDS += [b"\xe4\xbd", b"\xff\xfe", "'s", '"', "\\n", "\t\t", "a" * 12, "a" * 5, "aa"]


def tokens() -> list[bytes]:
    """Of every id; the first ends a text."""
    words = [word if isinstance(word, bytes) else word.encode() for word in WORDS]
    found = [b"<s>", *(bytes([i]) for i in range(256))]
    found += [word for word in words if word not in found]
    return found + [b"[PAD%d]" % i for i in range(len(found), 304)]


def tensors(name: str) -> Iterator[tuple[str, np.ndarray]]:
    size, _, layers, width, (decay, rate, value, gate), _ = CASES[name]
    rng = np.random.default_rng(list(name.encode()))

    def matrix(rows: int, cols: int, scale: float = 1.0) -> np.ndarray:
        return (rng.normal(size=(rows, cols)) * scale / np.sqrt(cols)).astype(np.float32)

    def vector(mean: float, spread: float, *shape: int) -> np.ndarray:
        return (mean + spread * rng.normal(size=shape or (size,))).astype(np.float32)

    vocab = len(tokens())
    yield "token_embd.weight", matrix(vocab, size, np.sqrt(size))
    yield "output.weight", matrix(vocab, size, 3)
    for norm in ("token_embd_norm", "output_norm"):
        yield f"{norm}.weight", vector(1, 0.2)
        yield f"{norm}.bias", vector(0, 0.1)
    for i in range(layers):
        for norm in ("attn_norm", "attn_norm_2", "time_mix_ln"):
            yield f"blk.{i}.{norm}.weight", vector(1, 0.2)
            yield f"blk.{i}.{norm}.bias", vector(0, 0.1)
        ranks = {"w": decay, "a": rate, "v": value if i else rate, "g": gate}
        for part, rank in ranks.items():
            yield f"blk.{i}.time_mix_{part}1.weight", matrix(rank, size)
            yield f"blk.{i}.time_mix_{part}2.weight", matrix(size, rank)
            if part != "g":
                yield f"blk.{i}.time_mix_{part}0.weight", vector(0, 2)
        yield f"blk.{i}.time_mix_lerp_fused.weight", rng.uniform(size=(6, 1, 1, size)).astype(np.float32)
        for part, mean, spread in (("k_k", 0.8, 0.2), ("k_a", 1, 0.2), ("r_k", 0, 0.3)):
            yield f"blk.{i}.time_mix_{part}.weight", vector(mean, spread)
        for part in ("key", "value", "receptance", "output"):
            yield f"blk.{i}.time_mix_{part}.weight", matrix(size, size, 1.5)
        yield f"blk.{i}.channel_mix_lerp_k.weight", rng.uniform(size=size).astype(np.float32)
        yield f"blk.{i}.channel_mix_key.weight", matrix(width, size, 1.5)
        yield f"blk.{i}.channel_mix_value.weight", matrix(size, width)


def make_gguf(name: str, path: Path) -> Path:
    size, head, layers, width, ranks, format = CASES[name]
    writer = gguf.GGUFWriter(path, "rwkv7")
    writer.add_context_length(1048576)
    writer.add_embedding_length(size)
    writer.add_block_count(layers)
    writer.add_layer_norm_eps(1e-5)
    writer.add_wkv_head_size(head)
    writer.add_decay_lora_rank(ranks[0])
    writer.add_iclr_lora_rank(ranks[1])
    writer.add_value_residual_mix_lora_rank(ranks[2])
    writer.add_gate_lora_rank(ranks[3])
    writer.add_feed_forward_length(width)
    writer.add_file_type(0)
    writer.add_head_count(0)
    writer.add_tokenizer_model("rwkv")
    texts = tokens()
    writer.add_token_list([text.decode() if text.startswith((b"<s>", b"[PAD")) else repr(text)[2:-1] for text in texts])
    kinds = [3, *(1 for text in texts[1:] if not text.startswith(b"[PAD"))]
    writer.add_token_types(kinds + [5] * (len(texts) - len(kinds)))
    for which in ("bos", "eos", "eot", "unk"):
        getattr(writer, f"add_{which}_token_id")(0)
    for key, data in tensors(name):
        in_blocks = format != "F32" and data.ndim == 2 and "time_mix_" + key.rpartition("time_mix_")[2][:1] + "0" not in key
        if in_blocks and data.shape[1] % 32 == 0:
            kind = gguf.GGMLQuantizationType[format]
            writer.add_tensor(key, gguf.quants.quantize(data, kind), raw_dtype=kind)
        else:
            writer.add_tensor(key, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
