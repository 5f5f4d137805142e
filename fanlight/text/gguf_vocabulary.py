"""A GGUF vocabulary, as the dict that a tokenizer.json file would hold: then one reader serves both kinds of model.

Knows the metadata keys `tokenizer.ggml.*` and, by the name in `tokenizer.ggml.pre`, how llama.cpp splits text before byte-pair
merging. Knows no tokenizer library. Source: the GGUF specification; llama.cpp's src/llama-vocab.cpp for names and patterns.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.text.decoding import BYTE_OF_CHARACTER
from fanlight.text.tokenizer_json import MAX_TOKEN, MAX_TOKENS

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # tokenizer.ggml.token_type

CHARACTER_OF_BYTE = {byte: character for character, byte in BYTE_OF_CHARACTER.items()}

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
PUNCTUATION_AND_SPACE = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + PUNCTUATION_AND_SPACE
QWEN2 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + PUNCTUATION_AND_SPACE
QWEN35 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
WORD_THEN_LOWER, WORD_THEN_UPPER = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+",
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*",
)
SLASH_AND_SPACE = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = rf"{WORD_THEN_LOWER}|{WORD_THEN_UPPER}|\p{{N}}" + SLASH_AND_SPACE
GPT4O = rf"{WORD_THEN_LOWER}{CONTRACTION}?|{WORD_THEN_UPPER}{CONTRACTION}?|\p{{N}}{{1,3}}" + SLASH_AND_SPACE
DEEPSEEK3_WORDS = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"""
    r"""|\s*[\r\n]+|\s+(?!\S)|\s+"""
)
SEED_CODER = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
# Digits by threes from the right; the ranges are llama.cpp's.
AFMOE_DIGITS = r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))"
AFMOE_ASIAN = (
    "[\u4e00-\u9fff\u3400-\u4dbf\u8c48-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf\u0e40-\u0e7f\u0e80-\u0eff"
    "\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff]+"
)
YOUTU_ASIAN = (
    "[\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+"
    "|[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
)
YOUTU = rf"{WORD_THEN_LOWER}{CONTRACTION}?|{WORD_THEN_UPPER}{CONTRACTION}?|\p{{N}}" + SLASH_AND_SPACE
CJK_KANA = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
CJK_HANGUL = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
BLOOM = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"


@dataclass(frozen=True, slots=True)
class Split:
    """How text is cut before merging: each pattern in turn isolates its matches in the pieces that the last one left."""

    patterns: tuple[str, ...]
    ignore_merges: bool = False  # a piece that is a token as a whole is taken as it is
    add_bos: bool = False  # where tokenizer.ggml.add_bos_token is absent
    normalizer: str | None = None
    add_sep: bool = False  # where tokenizer.ggml.add_sep_token is absent


def _rows(split: Split, *names: str) -> dict[str, Split]:
    return dict.fromkeys(names, split)


SPLITS: dict[str, Split] = {
    **_rows(Split((r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")), "default"),
    **_rows(Split((r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]")), "falcon"),
    **_rows(Split((GPT2,)), "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "exaone4", "gigachat", "granite-docling"),
    **_rows(Split((GPT2,), add_sep=True), "roberta-bpe", "jina-v1-en"),
    **_rows(Split((GPT2,), normalizer="NFC"), "modern-bert"),
    **_rows(Split((GPT2,)), "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v2-code"),
    **_rows(Split((r"\p{N}", GPT2)), "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"),
    **_rows(Split((r"\p{N}", GPT2)), "mellum2"),
    **_rows(Split((LLAMA3,), ignore_merges=True, add_bos=True), "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1"),
    **_rows(Split((LLAMA3,), ignore_merges=True, add_bos=True), "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"),
    **_rows(Split((LLAMA3,)), "dbrx", "smaug-bpe", "glm4", "chatglm-bpe"),
    **_rows(Split((QWEN2,), normalizer="NFC"), "qwen2", "deepseek-r1-qwen", "megrez"),
    **_rows(Split((QWEN2,)), "stablelm2", "hunyuan", "solar-open", "grok-2"),
    **_rows(Split((QWEN35,), normalizer="NFC"), "qwen35"),
    **_rows(Split((TEKKEN,), ignore_merges=True, add_bos=True), "tekken"),
    **_rows(Split((GPT4O,)), "gpt-4o", "llama4", "kanana2"),
    **_rows(Split((YOUTU_ASIAN, YOUTU), ignore_merges=True), "youtu"),
    **_rows(Split((AFMOE_DIGITS, AFMOE_ASIAN, DEEPSEEK3_WORDS)), "afmoe"),
    **_rows(Split((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK_HANGUL, r"\p{N}")), "deepseek-coder"),
    **_rows(Split((r"\p{N}{1,3}", CJK_KANA, DEEPSEEK3_WORDS)), "deepseek-v3", "hunyuan-dense"),
    **_rows(Split((SEED_CODER,)), "seed-coder"),
    **_rows(Split((BLOOM,)), "bloom", "poro-chat", "gpt3-finnish"),
    **_rows(Split((BLOOM, r"\p{N}")), "viking"),
}


def tokenizer_json_from_gguf(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The tokenizer.json of a GGUF file's metadata."""
    kind = metadata.get("tokenizer.ggml.model")
    if kind not in TRANSLATE:
        raise UnsupportedModel(
            f"tokenizer.ggml.model is {kind!r}; known: {', '.join(sorted(TRANSLATE))}",
            where="GGUF metadata",
            hint="a GGUF file made by llama.cpp's converter from a byte-level BPE, SentencePiece, WordPiece or Unigram model",
        )
    tokens = spelled(metadata, _tokens(metadata))
    types = _numbers(metadata, "tokenizer.ggml.token_type", len(tokens)) or [NORMAL] * len(tokens)
    return TRANSLATE[kind](metadata, tokens, types)


def spelled(metadata: Mapping[str, Any], tokens: Sequence[str]) -> list[str]:
    """As a tokenizer.json spells them."""
    spell = {"bert": _word_piece, "rwkv": _byte_string}.get(metadata["tokenizer.ggml.model"])
    return list(map(spell, tokens) if spell else tokens)


def _byte_string(token: str) -> str:
    """The converter wrote bytes as Python shows them: `\\xe4`, `\\n`, `\\\\`."""
    data, at = b"", 0
    for found in ESCAPE.finditer(token):
        data += token[at : found.start()].encode()
        data += bytes.fromhex(found[1]) if found[1] else ESCAPED.get(found[2], found[2].encode())
        at = found.end()
    return "".join(CHARACTER_OF_BYTE[byte] for byte in data + token[at:].encode())


ESCAPE, ESCAPED = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))", re.S), {"n": b"\n", "t": b"\t", "r": b"\r"}


def _word_piece(token: str) -> str:
    """The converter wrote `▁word` for `word` and `ing` for `##ing`, and left `[CLS]` alone."""
    if token.startswith("▁"):
        return token[1:]
    return token if IN_BRACKETS.fullmatch(token) else f"##{token}"


def _byte_level(metadata: Mapping[str, Any], tokens: list[str], types: Sequence[int]) -> dict[str, Any]:
    name = metadata.get("tokenizer.ggml.pre", "default")
    if name not in SPLITS:
        raise UnsupportedModel(
            f"tokenizer.ggml.pre is {name!r}, and how it splits text is not known; known: {', '.join(sorted(SPLITS))}",
            where="GGUF metadata",
            hint="the model's Hugging Face folder, whose tokenizer.json tells",
        )
    split = SPLITS[name]
    vocab = _vocab(tokens)
    pre_tokenizers: list[dict[str, Any]] = [
        {"type": "Split", "pattern": {"Regex": p}, "behavior": "Isolated", "invert": False} for p in split.patterns
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return _document(
        metadata,
        tokens,
        types,
        adds={"bos": split.add_bos, "sep": split.add_sep},
        model={
            **BPE,
            "vocab": vocab,
            "merges": _merges(metadata, vocab),
            "unk_token": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": split.ignore_merges,
        },
        normalizer={"type": split.normalizer} if split.normalizer else None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": [*pre_tokenizers, byte_level]},
        decoder={**byte_level, "use_regex": True},
    )


def _sentencepiece(metadata: Mapping[str, Any], tokens: list[str], types: Sequence[int]) -> dict[str, Any]:
    scores = _numbers(metadata, "tokenizer.ggml.scores", len(tokens))
    if scores is None:
        raise FormatError("absent, and a SentencePiece vocabulary needs it", where="GGUF metadata tokenizer.ggml.scores")
    prefix = bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    unknown = named_token_ids(metadata).get("unknown")
    prepend = [{"type": "Prepend", "prepend": "▁"}] if prefix else []
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    to_metaspace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    return _document(
        metadata,
        tokens,
        types,
        adds={"bos": True},
        model={
            **BPE,
            "vocab": _vocab(tokens),
            "merges": merges_from_scores(tokens, scores, types),
            "unk_token": None if unknown is None else tokens[unknown],
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
        },
        normalizer={"type": "Sequence", "normalizers": [*prepend, to_metaspace]},
        pre_tokenizer=None,
        decoder={"type": "Sequence", "decoders": [TO_SPACE, {"type": "ByteFallback"}, {"type": "Fuse"}, *strip]},
    )


def _gemma4(metadata: Mapping[str, Any], tokens: list[str], types: Sequence[int]) -> dict[str, Any]:
    """SentencePiece's spelling, but the rules are in the file; no rule reaches over a line's end, and BOS stands before all."""
    vocab = _vocab(tokens)
    unknown = named_token_ids(metadata).get("unknown")
    return _document(
        {**metadata, "tokenizer.ggml.add_bos_token": True},
        tokens,
        types,
        adds={"bos": True},
        model={
            **BPE,
            "vocab": vocab,
            "merges": _merges(metadata, vocab),
            "unk_token": None if unknown is None else tokens[unknown],
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
        },
        normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        pre_tokenizer={"type": "Split", "pattern": {"Regex": r"[^\n]+|\n+"}, "behavior": "Isolated", "invert": False},
        decoder={"type": "Sequence", "decoders": [TO_SPACE, {"type": "ByteFallback"}, {"type": "Fuse"}]},
    )


def _word_pieces(metadata: Mapping[str, Any], tokens: list[str], types: Sequence[int]) -> dict[str, Any]:
    """BERT's. Where no key says if text is lower-cased, upper-case letters of the vocabulary do: without that, no text has
    them as a token."""
    named = named_token_ids(metadata)
    for name in ("bos", "seperator", "unknown"):
        if name not in named:
            raise FormatError(
                "absent, and a WordPiece vocabulary needs it", where=f"GGUF metadata tokenizer.ggml.{name}_token_id"
            )
    is_cased = any(UPPER_CASE.search(t) and not IN_BRACKETS.fullmatch(t) for t in tokens)
    lowercase = bool(metadata.get("tokenizer.ggml.normalizer.lowercase", not is_cased))
    return _document(
        {**metadata, "tokenizer.ggml.eos_token_id": named["seperator"]},
        tokens,
        types,
        adds={"bos": True, "eos": True},
        has_keys=False,
        second=1,
        model={
            "type": "WordPiece",
            "vocab": _vocab(tokens),
            "unk_token": tokens[named["unknown"]],
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
        },
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": metadata.get("tokenizer.ggml.normalizer.strip_accents"),
            "lowercase": lowercase,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
    )


def _unigram(metadata: Mapping[str, Any], tokens: list[str], types: Sequence[int]) -> dict[str, Any]:
    """XLM-RoBERTa's, T5's."""
    where = "GGUF metadata tokenizer.ggml"
    scores = _numbers(metadata, "tokenizer.ggml.scores", len(tokens))
    if scores is None:
        raise FormatError("absent, and a Unigram vocabulary needs it", where=f"{where}.scores")
    named = named_token_ids(metadata)
    if "unknown" not in named:
        raise FormatError("absent, and a Unigram vocabulary needs it", where=f"{where}.unknown_token_id")
    if metadata.get("tokenizer.ggml.treat_whitespace_as_suffix"):
        raise UnsupportedModel(
            "a space behind the word is not known, only before it", where=f"{where}.treat_whitespace_as_suffix"
        )
    size = len(tokens)
    while types[size - 1] == UNUSED:  # padding, whose scores would make those of unknown characters
        size -= 1
    merges_spaces = bool(metadata.get("tokenizer.ggml.remove_extra_whitespaces", False))
    has_prefix = merges_spaces or bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always" if has_prefix else "never", "split": True}
    charsmap = metadata.get("tokenizer.ggml.precompiled_charsmap")
    return _document(
        metadata,
        tokens,
        types,
        adds={"eos": True, "sep": "seperator" in named},
        model={
            "type": "Unigram",
            "unk_id": named["unknown"],
            "vocab": [list(pair) for pair in zip(tokens[:size], map(float, scores[:size]), strict=True)],
            "byte_fallback": False,
        },
        normalizer={"type": "Precompiled", "precompiled_charsmap": _base64(charsmap)} if charsmap else None,
        pre_tokenizer={
            "type": "Sequence",
            "pretokenizers": [*([{"type": "WhitespaceSplit"}] if merges_spaces else []), metaspace],
        },
        decoder=metaspace,
    )


def _byte_strings(metadata: Mapping[str, Any], tokens: list[str], types: Sequence[int]) -> dict[str, Any]:
    """RWKV's: the longest token that fits is taken, byte by byte (greedy.py)."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    used = {token: i for i, token in reversed([*enumerate(tokens)]) if types[i] != UNUSED}
    return _document(
        metadata,
        tokens,
        types,
        adds={},
        model={
            "type": "WordPiece",
            "vocab": used,
            "unk_token": tokens[0],
            "continuing_subword_prefix": "",
            "max_input_chars_per_word": 1 << 30,
        },
        normalizer=None,
        pre_tokenizer=byte_level,
        decoder=byte_level,
    )


def _base64(numbers: Any) -> str:
    if not isinstance(numbers, list) or not all(isinstance(n, int) and -128 <= n < 256 for n in numbers):
        raise FormatError("expected a list of bytes", where="GGUF metadata tokenizer.ggml.precompiled_charsmap")
    return base64.b64encode(bytes(n & 255 for n in numbers)).decode()


BPE = {"type": "BPE", "dropout": None, "continuing_subword_prefix": None, "end_of_word_suffix": None}
TO_SPACE = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
TRANSLATE = {
    "gpt2": _byte_level,
    "llama": _sentencepiece,
    "gemma4": _gemma4,
    "bert": _word_pieces,
    "t5": _unigram,
    "rwkv": _byte_strings,
}
IN_BRACKETS, UPPER_CASE = re.compile(r"\[[^\]]+\]"), re.compile("[A-Z]")


def _merges(metadata: Mapping[str, Any], vocab: Mapping[str, int]) -> list[list[str]]:
    """The rules that the vocabulary can follow: a trimmed one keeps rules for tokens that it no longer has, which no text
    reaches."""
    merges = metadata.get("tokenizer.ggml.merges")
    if not isinstance(merges, Sequence) or isinstance(merges, str) or set(map(type, merges)) - {str}:
        raise FormatError("expected a list of strings", where="GGUF metadata tokenizer.ggml.merges")
    pairs = [[merge[: (cut := merge.find(" ", 1))], merge[cut + 1 :]] for merge in merges if " " in merge]
    return [pair for pair in pairs if pair[0] in vocab and pair[1] in vocab and pair[0] + pair[1] in vocab]


def merges_from_scores(tokens: Sequence[str], scores: Sequence[float], types: Sequence[int]) -> list[list[str]]:
    """SentencePiece merges the pair whose union scores best: the unions in falling order of score, as merge rules."""
    ids = {t: i for i, (t, kind) in enumerate(zip(tokens, types, strict=True)) if kind not in (UNKNOWN, CONTROL, BYTE)}
    merges: list[tuple[float, int, int, str, str]] = []
    for token, i in ids.items():
        score = -scores[i]
        for cut in range(1, len(token)):
            left = token[:cut]
            if left in ids and token[cut:] in ids:
                merges.append((score, ids[left], ids[token[cut:]], left, token[cut:]))
    merges.sort()
    return [[left, right] for _, _, _, left, right in merges]


def _document(
    metadata: Mapping[str, Any],
    tokens: list[str],
    types: Sequence[int],
    *,
    adds: Mapping[str, bool],
    model: dict[str, Any],
    has_keys: bool = True,
    second: int = 0,
    **parts: Any,
) -> dict[str, Any]:
    """adds: which of bos, eos and sep stand around a text, where no key of the file says so. second: what the model calls the
    second text of a pair."""
    named = named_token_ids(metadata)
    odd = [(i, kind) for i, kind in enumerate(types) if kind != NORMAL]
    special = {i for i, kind in odd if kind in (CONTROL, UNKNOWN)}
    special |= {named[name] for name in ("bos", "eos", "eot", "eom") if name in named}
    added = sorted(special | {i for i, kind in odd if kind == USER_DEFINED})
    if isinstance(model["vocab"], dict):
        model["vocab"] |= {tokens[i]: i for i in added}  # where an ordinary token has the same text
    ids = {name: named.get("seperator" if name == "sep" else name) for name in ("bos", "eos", "sep")}
    keys = metadata if has_keys else {}
    around = {
        name: i
        for name, i in ids.items()
        if i is not None and keys.get(f"tokenizer.ggml.add_{name}_token", adds.get(name, False))
    }
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": tokens[i], **flags, "special": i in special} for i in added],
        **parts,
        "post_processor": _template({name: (tokens[i], i) for name, i in around.items()}, second),
        "model": model,
    }


def _template(around: Mapping[str, tuple[str, int]], second: int) -> dict[str, Any] | None:
    """around: text and id of bos, eos and sep, of those that are added. A pair is bos A eos sep B eos."""

    def special(name: str, type_id: int = 0) -> list[dict[str, Any]]:
        return [{"SpecialToken": {"id": around[name][0], "type_id": type_id}}] if name in around else []

    def sequence(name: str, type_id: int = 0) -> list[dict[str, Any]]:
        return [{"Sequence": {"id": name, "type_id": type_id}}, *special("eos", type_id)]

    if not around.keys() & {"bos", "eos"}:
        return None
    # A language model's texts each have their own beginning; an encoder's pair has one.
    between = special("sep") if "eos" in around else special("bos")
    return {
        "type": "TemplateProcessing",
        "single": [*special("bos"), *sequence("A")],
        "pair": [*special("bos"), *sequence("A"), *between, *sequence("B", second)],
        "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in around.values()},
    }


def _tokens(metadata: Mapping[str, Any]) -> list[str]:
    tokens = metadata.get("tokenizer.ggml.tokens")
    where = "GGUF metadata tokenizer.ggml.tokens"
    if not isinstance(tokens, Sequence) or isinstance(tokens, str) or not tokens:
        raise FormatError("expected a list of strings", where=where)
    if len(tokens) > MAX_TOKENS:
        raise FormatError(f"{len(tokens)} tokens; at most {MAX_TOKENS} are believed", where=where)
    if set(map(type, tokens)) != {str}:
        raise FormatError("expected a list of strings, found something else in it", where=where)
    if (longest := max(map(len, tokens))) > MAX_TOKEN:
        raise FormatError(f"a token has {longest} characters; {MAX_TOKEN} are believed", where=where)
    return list(tokens) if all(tokens) else [t or f"[EMPTY_{i}]" for i, t in enumerate(tokens)]


def _vocab(tokens: list[str]) -> dict[str, int]:
    return dict(zip(tokens, range(len(tokens)), strict=True))


def _numbers(metadata: Mapping[str, Any], key: str, length: int) -> Sequence[Any] | None:
    numbers = metadata.get(key)
    if numbers is None:
        return None
    if isinstance(numbers, str) or not hasattr(numbers, "__len__") or len(numbers) != length:
        got = f"{len(numbers)}" if hasattr(numbers, "__len__") else type(numbers).__name__
        raise FormatError(f"expected {length} numbers, one per token, got {got}", where=f"GGUF metadata {key}")
    return numbers if isinstance(numbers, list) else [n for n in numbers]


NAMED_TOKENS = ("bos", "eos", "eot", "eom", "unknown", "padding", "seperator")  # as GGUF spells it
DEFAULT_IDS = {  # SentencePiece's, BERT's and T5's own, which converters may leave out
    "llama": {"unknown": 0, "bos": 1, "eos": 2},
    "bert": {"unknown": 100, "bos": 101, "seperator": 102},
    "t5": {"unknown": 2, "eos": 1},
}


def named_token_ids(metadata: Mapping[str, Any]) -> dict[str, int]:
    """The ids behind `tokenizer.ggml.<name>_token_id`, for the names that the file has."""
    num_tokens = len(metadata["tokenizer.ggml.tokens"])
    kind = metadata["tokenizer.ggml.model"]
    defaults = DEFAULT_IDS.get(kind, {})
    if kind == "bert" and (cls := metadata.get("tokenizer.ggml.cls_token_id")) is not None:
        defaults = {**defaults, "bos": cls}  # as converters named it at first
    ids: dict[str, int] = {}
    for name in NAMED_TOKENS:
        key = f"tokenizer.ggml.{name}_token_id"
        i = metadata.get(key, defaults.get(name))
        if i is None:
            continue
        if not isinstance(i, int) or isinstance(i, bool):
            raise FormatError(f"expected a token's id, got {i!r:.80}", where=f"GGUF metadata {key}")
        if 0 <= i < num_tokens:  # converters write -1, 2**32 - 1 or the id of a larger vocabulary where there is no such token
            ids[name] = i
    return ids
