"""A GGUF vocabulary, as the dict that a tokenizer.json file would hold: then one reader serves both kinds of model.

Knows the metadata keys `tokenizer.ggml.*` and, by the name in `tokenizer.ggml.pre`, how llama.cpp splits text before byte-pair
merging. Knows no tokenizer library. Source: the GGUF specification; llama.cpp's src/llama-vocab.cpp for names and patterns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel
from fanlight.text.tokenizer_json import MAX_TOKEN, MAX_TOKENS

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # tokenizer.ggml.token_type

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


def _rows(split: Split, *names: str) -> dict[str, Split]:
    return dict.fromkeys(names, split)


SPLITS: dict[str, Split] = {
    **_rows(Split((r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")), "default"),
    **_rows(Split((r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]")), "falcon"),
    **_rows(Split((GPT2,)), "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "exaone4", "gigachat", "granite-docling"),
    **_rows(Split((GPT2,)), "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v2-code"),
    **_rows(Split((r"\p{N}", GPT2)), "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"),
    **_rows(Split((LLAMA3,), ignore_merges=True, add_bos=True), "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1"),
    **_rows(Split((LLAMA3,), ignore_merges=True, add_bos=True), "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"),
    **_rows(Split((LLAMA3,)), "dbrx", "smaug-bpe", "glm4", "chatglm-bpe"),
    **_rows(Split((QWEN2,), normalizer="NFC"), "qwen2", "deepseek-r1-qwen", "megrez"),
    **_rows(Split((QWEN2,)), "stablelm2", "hunyuan", "solar-open", "grok-2"),
    **_rows(Split((QWEN35,), normalizer="NFC"), "qwen35"),
    **_rows(Split((TEKKEN,), ignore_merges=True, add_bos=True), "tekken"),
    **_rows(Split((GPT4O,)), "gpt-4o", "llama4", "kanana2"),
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
            hint="a GGUF file made by llama.cpp's converter from a byte-level BPE or SentencePiece BPE model",
        )
    tokens = _tokens(metadata)
    types = _numbers(metadata, "tokenizer.ggml.token_type", len(tokens)) or [NORMAL] * len(tokens)
    return TRANSLATE[kind](metadata, tokens, types)


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
        add_bos=split.add_bos,
        model={
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
    to_space = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    return _document(
        metadata,
        tokens,
        types,
        add_bos=True,
        model={
            "vocab": _vocab(tokens),
            "merges": merges_from_scores(tokens, scores, types),
            "unk_token": None if unknown is None else tokens[unknown],
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
        },
        normalizer={"type": "Sequence", "normalizers": [*prepend, to_metaspace]},
        pre_tokenizer=None,
        decoder={"type": "Sequence", "decoders": [to_space, {"type": "ByteFallback"}, {"type": "Fuse"}, *strip]},
    )


TRANSLATE = {"gpt2": _byte_level, "llama": _sentencepiece}


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
    metadata: Mapping[str, Any], tokens: list[str], types: Sequence[int], *, add_bos: bool, model: dict[str, Any], **parts: Any
) -> dict[str, Any]:
    named = named_token_ids(metadata)
    odd = [(i, kind) for i, kind in enumerate(types) if kind != NORMAL]
    special = {i for i, kind in odd if kind in (CONTROL, UNKNOWN)}
    special |= {named[name] for name in ("bos", "eos", "eot", "eom") if name in named}
    added = sorted(special | {i for i, kind in odd if kind == USER_DEFINED})
    model["vocab"] |= {tokens[i]: i for i in added}  # where an ordinary token has the same text
    wanted = {
        "bos": bool(metadata.get("tokenizer.ggml.add_bos_token", add_bos)),
        "eos": bool(metadata.get("tokenizer.ggml.add_eos_token", False)),
    }
    around = {name: tokens[i] for name, i in named.items() if wanted.get(name)}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": tokens[i], **flags, "special": i in special} for i in added],
        **parts,
        "post_processor": _template(around.get("bos"), around.get("eos"), named),
        "model": {
            "type": "BPE",
            "dropout": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            **model,
        },
    }


def _template(bos: str | None, eos: str | None, ids: Mapping[str, int]) -> dict[str, Any] | None:
    if bos is None and eos is None:
        return None

    def special(token: str | None) -> list[dict[str, Any]]:
        return [] if token is None else [{"SpecialToken": {"id": token, "type_id": 0}}]

    def sequence(name: str) -> list[dict[str, Any]]:
        return [*special(bos), {"Sequence": {"id": name, "type_id": 0}}, *special(eos)]

    used = [(t, ids[name]) for name, t in (("bos", bos), ("eos", eos)) if t is not None]
    tokens = {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in used}
    return {
        "type": "TemplateProcessing",
        "single": sequence("A"),
        "pair": [*sequence("A"), *sequence("B")],
        "special_tokens": tokens,
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


NAMED_TOKENS = ("bos", "eos", "eot", "eom", "unknown", "padding")
DEFAULT_IDS = {"llama": {"unknown": 0, "bos": 1, "eos": 2}}  # SentencePiece's own, which converters may leave out


def named_token_ids(metadata: Mapping[str, Any]) -> dict[str, int]:
    """The ids behind `tokenizer.ggml.<name>_token_id`, for the names that the file has."""
    num_tokens = len(metadata["tokenizer.ggml.tokens"])
    defaults = DEFAULT_IDS.get(metadata["tokenizer.ggml.model"], {})
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
