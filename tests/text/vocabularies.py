"""Small vocabularies for the tests of text, trained here: as GGUF metadata and as tokenizer.json."""

import json
from functools import cache
from typing import Any

import tokenizers

CORPUS = [
    "Hello world! Hello there, how are you? I'm fine, thanks; we'll see you at 12:30 on 2024-05-17.",
    "The quick brown fox jumps over the lazy dog.  Twice   as many   spaces\n\n\tand tabs\r\n",
    "def main():\n    print('hello', 123456)\n    return 3.14159\n",
    "Grüße aus Köln, çà et là, naïve café; 日本語のテキスト; русский текст; 🙂🙃 emoji",
    "hello hello hello world world the the the and and of of to to in in",
] * 4
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXTS = [
    "Hello world!",
    " leading and trailing ",
    "I'm we'll YOU'VE 123456 a1b22c333",
    "  two  spaces\n\n\nthree lines\r\n\ttab",
    "Grüße 日本語 🙂👩‍👩‍👧 русский",
    "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    "x",
    " ",
    "\n",
    "snake_case + CamelCase != kebab-case?!...",
    "∑∫ ½ ² ٣ € ¢",
]


@cache
def byte_level_json(regex: str) -> str:
    """A byte-level BPE tokenizer.json whose text is cut by `regex`, trained by the library."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    pre = tokenizers.pre_tokenizers
    split = pre.Split(tokenizers.Regex(regex), "isolated")
    tokenizer.pre_tokenizer = pre.Sequence([split, pre.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600, special_tokens=SPECIAL, initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer.to_str()


def byte_level_metadata(pre: str, regex: str, **more: Any) -> dict[str, Any]:
    """The same vocabulary as GGUF metadata."""
    spec = json.loads(byte_level_json(regex))
    vocab = spec["model"]["vocab"]
    tokens = sorted(vocab, key=vocab.__getitem__)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if t in SPECIAL else 1 for t in tokens],
        "tokenizer.ggml.merges": [" ".join(m) for m in spec["model"]["merges"]],
        "tokenizer.ggml.bos_token_id": vocab["<|endoftext|>"],
        "tokenizer.ggml.eos_token_id": vocab["<|im_end|>"],
        **more,
    }


@cache
def sentencepiece_pieces() -> list[tuple[str, float, int]]:
    """(text, score, type) by id, after Llama 2: unknown, bos, eos, 256 bytes, merged pieces, characters."""
    pieces: list[tuple[str, float, int]] = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    pieces += [(f"<0x{b:02X}>", 0.0, 6) for b in range(256)]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.train_from_iterator(
        ["Hello world, how are you? The the and of to in is hello there 123 we see"] * 3 + CORPUS,
        tokenizers.trainers.BpeTrainer(vocab_size=400, show_progress=False),
    )
    vocab = tokenizer.get_vocab()
    ordered = sorted(vocab, key=vocab.__getitem__)
    ordered = [t for t in ordered if max(t) < "\u3000"]  # what lies beyond falls back to bytes
    merged = [t for t in ordered if len(t) > 1]
    characters = [t for t in ordered if len(t) == 1] + ["▁"]
    # The last first, so that ids are not in the order of scores.
    pieces += [(t, -float(n), 1) for n, t in reversed(list(enumerate(merged)))]
    pieces += [(t, -float(len(merged) + n), 1) for n, t in enumerate(dict.fromkeys(characters))]
    return pieces


def sentencepiece_metadata(**more: Any) -> dict[str, Any]:
    pieces = sentencepiece_pieces()
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": [t for t, _, _ in pieces],
        "tokenizer.ggml.scores": [s for _, s, _ in pieces],
        "tokenizer.ggml.token_type": [k for _, _, k in pieces],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        **more,
    }
