"""Small vocabularies for the tests of text, trained here: as GGUF metadata and as tokenizer.json."""

import json
import math
import struct
from functools import cache
from typing import Any

import tokenizers

from fanlight.text.gguf_vocabulary import merges_from_scores
from scripts.golden.encoders_gguf import vocabulary_of

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


@cache
def gemma4_metadata() -> dict[str, Any]:
    """The same pieces, and lines' ends, with rules in the file."""
    metadata = sentencepiece_metadata()
    tokens, scores, types = (metadata[f"tokenizer.ggml.{key}"] for key in ("tokens", "scores", "token_type"))
    merges = [" ".join(pair) for pair in merges_from_scores(tokens, scores, types)]
    ends = [end for end in ("\n", "\n\n", "\n\n\n") if end not in tokens]
    del metadata["tokenizer.ggml.scores"]
    return {
        **metadata,
        "tokenizer.ggml.model": "gemma4",
        "tokenizer.ggml.tokens": [*tokens, *ends],
        "tokenizer.ggml.token_type": [*types, *[1] * len(ends)],
        "tokenizer.ggml.merges": [*merges, "\n \n", "\n\n \n"],
    }


# ---- encoders'


ENCODER_TEXTS = [
    "",
    "   ",
    "Ça va très bien, naïve façade; ÀÉÎ e\u0301",
    "北京是中国的首都。 日本語のテキスト 𫴏x𡹹",
    "한국어 텍스트, हिन्दी, ไทย, עברית, مُحَمَّد",
    "emoji 😀 and \u200bzero width\ttabs\n\nlines\u00a0hard\u3000wide",
    "control \x00\x01\x07 \ufffd characters \u00ad soft",
    "unaffable supercalifragilisticexpialidocious " + "x" * 101,
    "[CLS] is not [SEP] here, nor is [UNK] or <s> or </s>",
    "don't (can't) 3.14159e-7! $x_1 <= y^2 ~ `z` @#%&*",
    "ﬁne ﬂow ½ ① ㎏ \uff26\uff55\uff4c\uff4c",
    "İstanbul ß ẞ ǅ Ω Å K",
    "▁x ##y # ## ###z",
]


def pieces_of_corpus(texts: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Characters, every other word, ends of words. (The library's trainers draw lots.)"""
    words = sorted({word for text in texts for word in text.split()})
    return sorted({c for word in words for c in word}), words[::2], sorted({word[-3:] for word in words if len(word) > 4})


@cache
def word_piece_json(**normalizer: Any) -> str:
    """BERT's kind."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(**normalizer)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    cut = tokenizer.pre_tokenizer.pre_tokenize_str
    letters, words, ends = pieces_of_corpus(
        [" ".join(w for w, _ in cut(tokenizer.normalizer.normalize_str(t))) for t in CORPUS]
    )
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocab = dict.fromkeys(
        [*special, *letters, *words, *(f"##{c}" for c in letters if c.isalnum()), *(f"##{end}" for end in ends)]
    )
    tokenizer.model = tokenizers.models.WordPiece({token: i for i, token in enumerate(vocab)}, unk_token="[UNK]")
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer.to_str()


CHARSMAP = {
    "ﬁ": "fi",
    "ﬂ": "fl",
    "½": "1/2",
    "\t": " ",
    "\n": " ",
    "\r": " ",
    "\u00a0": " ",
    "\u3000": " ",
    "\u200b": " ",
    "\uff26": "F",
    "e\u0301": "é",
}


@cache
def unigram_json() -> str:
    """XLM-RoBERTa's kind."""
    letters, words, ends = pieces_of_corpus(CORPUS)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = dict.fromkeys(["▁", *(f"▁{word}" for word in words), *ends, *letters])
    scores = struct.unpack(
        f"{len(pieces)}f", struct.pack(f"{len(pieces)}f", *(-math.log(7 + 3 * i) for i in range(len(pieces))))
    )
    vocab = [(token, 0.0) for token in special] + list(zip(pieces, scores, strict=True))
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(vocab, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = tokenizers.normalizers.Precompiled(charsmap_of(CHARSMAP))
    pre = tokenizers.pre_tokenizers
    tokenizer.pre_tokenizer = pre.Sequence([pre.WhitespaceSplit(), pre.Metaspace()])
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer.to_str()


def encoder_metadata(name: str) -> dict[str, Any]:
    """As llama.cpp's converter writes it: 'bert', of WordPiece, or 't5', of Unigram."""
    text, marks = (word_piece_json(), ("[CLS]", "[SEP]")) if name == "bert" else (unigram_json(), ("<s>", "</s>"))
    return vocabulary_of(json.loads(text), *marks)


def charsmap_of(replacements: dict[str, str]) -> bytes:
    """SentencePiece's table: a double array of the keys' bytes, each node with 256 units of its own, then what they become."""
    texts = b""
    children: dict[bytes, set[int]] = {b"": set()}
    ends: dict[bytes, int] = {}
    for key, text in replacements.items():
        data = key.encode()
        for i in range(len(data)):
            children[data[:i]].add(data[i])
            children.setdefault(data[: i + 1], set())
        ends[data] = len(texts)
        texts += text.encode() + b"\0"
    bases = {node: 256 * (n + 1) for n, node in enumerate(children)}
    units = [0] * (256 * (len(children) + 1))
    places = {b"": 0} | {node + bytes([c]): bases[node] ^ c for node, found in children.items() for c in found}
    for node, place in places.items():
        label, offset = node[-1] if node else 0, place ^ bases[node]
        units[place] = offset << 10 | (node in ends) << 8 | label
        if node in ends:
            units[bases[node]] = 1 << 31 | ends[node]
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + texts
