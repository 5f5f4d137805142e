"""What is believed of a tokenizer.json before a library reads it: a file may lie, and libraries abort, panic or never end.

Knows the format of Hugging Face `tokenizers`, and no library.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fanlight.errors import FormatError, UnsupportedModel

MODELS = ("BPE", "Unigram", "WordLevel", "WordPiece")
MAX_TOKENS = 4 << 20  # no real vocabulary comes near
MAX_TOKEN = 4096  # characters; the longest known has 512
MAX_PATTERN = 4096
MAX_GROWTH = 64  # characters out of one, by all replacements together
MAX_STEPS = 64  # of a normalizer, a pre-tokenizer, a decoder
WHERE = "tokenizer.json"


def check_tokenizer_json(spec: Mapping[str, Any]) -> None:
    """Raises FormatError or UnsupportedModel, which name the part."""
    model = _object(spec.get("model"), "model")
    kind = model.get("type") or ("BPE" if "merges" in model else None)
    if kind not in (*MODELS, None):
        raise UnsupportedModel(f"model.type is {kind!r:.80}; known: {', '.join(MODELS)}", where=WHERE)
    if model.get("dropout"):
        raise UnsupportedModel("model.dropout makes ids a matter of chance", where=WHERE, hint="dropout: null")
    _check_vocab(model.get("vocab"))
    _check_merges(model.get("merges"))
    _check_added(spec.get("added_tokens"))
    growth = 1
    for name in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        for i, part in enumerate(_parts(spec.get(name), name)):
            if i > MAX_STEPS:
                raise FormatError(f"has more than {MAX_STEPS} steps", where=f"{WHERE} {name}")
            growth *= _check_part(part, f"{WHERE} {name}")
        if growth > MAX_GROWTH:
            raise FormatError(
                f"its replacements make {growth} characters of one; {MAX_GROWTH} are believed", where=f"{WHERE} {name}"
            )


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FormatError(f"expected an object, got {type(value).__name__}", where=f"{WHERE} {name}")
    return value


def _check_vocab(vocab: Any) -> None:
    where = f"{WHERE} model.vocab"
    if isinstance(vocab, Mapping):
        texts: Iterable[Any] = vocab.keys()
        if set(map(type, vocab.values())) - {int}:
            raise FormatError("expected integers as ids", where=where)
        if vocab and not 0 <= min(vocab.values()) <= max(vocab.values()) < MAX_TOKENS:
            raise FormatError(f"an id is not between 0 and {MAX_TOKENS}", where=where)
    elif isinstance(vocab, list):
        if not all(isinstance(e, list) and len(e) == 2 and isinstance(e[1], (int, float)) for e in vocab):
            raise FormatError("expected pairs of a text and a number", where=where)
        texts = [entry[0] for entry in vocab]
    else:
        raise FormatError(
            "is missing" if vocab is None else f"expected an object or a list, got {type(vocab).__name__}", where=where
        )
    if len(vocab) > MAX_TOKENS:
        raise FormatError(f"has {len(vocab)} tokens; {MAX_TOKENS} are believed", where=where)
    _check_texts(texts, where)


def _check_texts(texts: Iterable[Any], where: str) -> None:
    try:
        longest = max(map(len, texts), default=0)
        "".join(texts).encode()
    except TypeError:
        raise FormatError("expected texts", where=where) from None
    except UnicodeEncodeError:
        raise FormatError("holds half of a surrogate pair", where=where) from None
    if longest > MAX_TOKEN:
        raise FormatError(f"a token has {longest} characters; {MAX_TOKEN} are believed", where=where)


def _check_merges(merges: Any) -> None:
    where = f"{WHERE} model.merges"
    if merges is None:
        return
    if not isinstance(merges, list) or set(map(type, merges)) - {str, list} or len(merges) > MAX_TOKENS:
        raise FormatError("expected a list of pairs, as long as a vocabulary at most", where=where)
    if any(isinstance(m, list) and (len(m) != 2 or not isinstance(m[0], str) or not isinstance(m[1], str)) for m in merges):
        raise FormatError("expected pairs of texts", where=where)


def _check_added(added: Any) -> None:
    where = f"{WHERE} added_tokens"
    if added is None:
        return
    if not isinstance(added, list) or len(added) > MAX_TOKENS or not all(isinstance(t, Mapping) for t in added):
        raise FormatError("expected a list of objects", where=where)
    for token in added:
        i, content = token.get("id"), token.get("content")
        if (
            not isinstance(i, int)
            or isinstance(i, bool)
            or not 0 <= i < MAX_TOKENS
            or not isinstance(content, str)
            or not content
        ):
            raise FormatError(f"expected an id below {MAX_TOKENS} and a text, got {i!r:.40} and {content!r:.40}", where=where)
    _check_texts([token["content"] for token in added], where)


def _parts(value: Any, name: str) -> Iterator[Mapping[str, Any]]:
    """The steps of a sequence, however deep."""
    pending = [] if value is None else [value]
    while pending:
        part = _object(pending.pop(0), name)
        if not isinstance(part.get("type"), str):
            raise FormatError("expected a type", where=f"{WHERE} {name}")
        yield part
        for key in ("normalizers", "pretokenizers", "processors", "decoders"):
            steps = part.get(key) or []
            if not isinstance(steps, list):
                raise FormatError(f"expected a list of {key}", where=f"{WHERE} {name}")
            pending += steps


def _check_part(part: Mapping[str, Any], where: str) -> int:
    """By how much it makes a text longer."""
    pattern = part.get("pattern")
    regex = pattern.get("Regex") if isinstance(pattern, Mapping) else None
    if isinstance(regex, str):
        check_pattern(regex, where)
    for key in ("prepend", "content", "replacement", "prefix", "suffix"):
        if isinstance(text := part.get(key), str) and len(text) > MAX_TOKEN:
            raise FormatError(f"{part['type']}.{key} has {len(text)} characters", where=where)
    for key in ("single", "pair", "special_tokens"):
        if hasattr(part.get(key), "__len__") and len(part[key]) > 4 * MAX_STEPS:
            raise FormatError(f"{part['type']}.{key} has {len(part[key])} entries", where=where)
    if part["type"] == "FixedLength" and not part.get("length"):
        raise FormatError("FixedLength.length is not above 0", where=where)
    if part["type"] == "Precompiled":
        return _check_charsmap(part.get("precompiled_charsmap"), where)
    if part["type"] != "Replace":
        return 1
    replaced = pattern.get("String") if isinstance(pattern, Mapping) else None
    if replaced == "" or (regex is not None and re.fullmatch(r"(?s)|.*[*?].*", regex) and part.get("content")):
        raise FormatError("Replace of what may be nothing", where=where)
    return max(1, -(-len(part.get("content") or "") // len(replaced or "x")))


def _check_charsmap(text: Any, where: str) -> int:
    """SentencePiece's table: the length of a double array, the array, and texts that end in a zero."""
    try:
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError):
        raise FormatError(f"expected base64, got {text!r:.40}", where=f"{where} precompiled_charsmap") from None
    size = int.from_bytes(data[:4], "little")
    if not 4 <= size <= len(data) - 4 or size % 4:
        message = f"has {len(data)} bytes, of which a table takes {size}"
        raise FormatError(message, where=f"{where} precompiled_charsmap")
    return max(1, *(len(part.decode("utf-8", "replace")) for part in data[4 + size :].split(b"\0")))


def check_pattern(pattern: str, where: str) -> None:
    """Refuses a pattern in which what is repeated repeats, `(a+)+`: a text of 30 letters can take it for ever."""
    if len(pattern) > MAX_PATTERN:
        raise FormatError(f"a pattern of {len(pattern)} characters; {MAX_PATTERN} are read", where=where)
    repeats = [False]  # whether anything repeats without bound, group by group
    in_class, last, last_repeats = 0, "", False
    for token in PATTERN.findall(pattern):
        if in_class:
            in_class += (token == "[") - (token == "]")
            last, last_repeats = "class", False
        elif token == "[":
            in_class = 1
        elif token.startswith("("):
            repeats.append(False)
            last = ""
        elif token == ")" and len(repeats) > 1:
            last, last_repeats = "group", repeats.pop()
            repeats[-1] |= last_repeats
        elif token in "*+" or UNBOUNDED.fullmatch(token):
            if last == "group" and last_repeats:
                raise UnsupportedModel(
                    f"the pattern {pattern!r:.80} repeats what repeats: a short text could take for ever", where=where
                )
            repeats[-1] |= bool(last) and last != "quantifier"
            last = "quantifier"
        elif BOUNDED.fullmatch(token):
            last = "quantifier" if not last_repeats or last != "group" else last
        else:
            last, last_repeats = "atom", False


PATTERN = re.compile(r"\\[pPx]\{[^}]*\}|\\.|\(\?(?:[:=!>#]|<[=!]|<\w+>|[a-z]*-?[a-z]*[:)])|\{\d*,?\d*\}|.", re.S)
UNBOUNDED, BOUNDED = re.compile(r"\{\d*,\}"), re.compile(r"\{\d*,?\d+\}|\?")


class LeastTokens:
    """How many tokens a text has at least: as many as its bytes take in tokens of the vocabulary's longest kind."""

    def __init__(self, spec: Mapping[str, Any], spellings: Iterable[bytes]) -> None:
        known, longest = bytearray(256), 1
        for spelling in spellings:
            longest = max(longest, len(spelling))
            if len(spelling) == 1:
                known[spelling[0]] = 1
        parts = [p for name in ("normalizer", "pre_tokenizer") for p in _parts(spec.get(name), name)]
        self._is_known = all(map(_keeps_all, parts)) and all(known[b] for b in range(33, 127))
        # Bytes that the vocabulary lacks become nothing, and white space may belong to a control token before or after it.
        self._uncounted = bytes(b for b in range(256) if not known[b] or b in b" \t\n\v\f\r")
        self._bytes_per_token = longest * (4 if any(p["type"] in SHORTENING for p in parts) else 1)

    def of(self, text: str) -> int:
        if not self._is_known:
            return 0
        data = text.encode("utf-8", "replace").translate(None, self._uncounted)
        return -(-len(data) // self._bytes_per_token)


SHORTENING = {"NFC", "NFD", "NFKC", "NFKD"}
KEEPING = SHORTENING | {"Sequence", "Split", "ByteLevel", "Digits", "Prepend", "Replace", "Metaspace"}


def _keeps_all(part: Mapping[str, Any]) -> bool:
    if part["type"] == "Replace":
        return bool(part.get("content")) and len((part.get("pattern") or {}).get("String", "xx")) == 1
    return part["type"] in KEEPING and part.get("behavior") != "Removed"
