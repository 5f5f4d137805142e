"""Text to token ids and back.  One tokenizer.json, read alike natively and in a browser.

Encoding is the library's: Hugging Face `tokenizers` natively, `@huggingface/tokenizers` in a browser, given as an `Encoder`.
Decoding is ours, from the bytes of each token, so that a stream of deltas and the whole decode cannot differ. Knows no model,
no request and no JavaScript. A GGUF vocabulary becomes a tokenizer.json in `gguf_vocabulary.py`.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fanlight.errors import FormatError, RequestError, UnsupportedModel
from fanlight.text.gguf_vocabulary import named_token_ids, tokenizer_json_from_gguf

# A chat model ends its turn with one of these, and files often name only one of them as eos.
STOP_TOKENS = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|eot|>",
    "<|end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|end_of_turn|>",
    "<end_of_turn>",
    "<|return|>",
    "<|call|>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "<EOT>",
    "</s>",
)


class Encoder(Protocol):
    """What a tokenizer library does for us; in a browser, in a worker of its own."""

    async def encode(self, text: str, add_special_tokens: bool) -> Sequence[int]: ...


MakeEncoder = Callable[[str], Encoder]  # from the text of a tokenizer.json


class NativeEncoder:
    """Hugging Face `tokenizers`."""

    def __init__(self, tokenizer_json: str) -> None:
        import tokenizers  # native only: a browser never gets here

        self._tokenizer = tokenizers.Tokenizer.from_str(tokenizer_json)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    async def encode(self, text: str, add_special_tokens: bool) -> Sequence[int]:
        return self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids


class BrowserEncoder:
    """The page's tokenizer: a JavaScript object with `encode(text, addSpecialTokens)`, a promise of an array of ids."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    async def encode(self, text: str, add_special_tokens: bool) -> Sequence[int]:
        return (await self._tokenizer.encode(text, add_special_tokens)).to_py()


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """What the files beside the vocabulary say of it; texts as a chat template sees them."""

    bos_token: str | None = None
    eos_token: str | None = None
    unk_token: str | None = None
    pad_token: str | None = None
    stop_token_ids: frozenset[int] = frozenset()

    def for_template(self) -> dict[str, str]:
        names = ("bos_token", "eos_token", "unk_token", "pad_token")
        return {name: token for name in names if (token := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Decoding:
    """How token texts become bytes: byte_level (GPT-2's alphabet) or pieces with ▁ for a space and <0xAB> for a byte."""

    byte_level: bool
    strip_leading_space: bool = False


class Tokenizer:
    """One model's vocabulary. `spec` is its tokenizer.json."""

    def __init__(self, spec: Mapping[str, Any], encoder: Encoder, special: SpecialTokens | None = None) -> None:
        self._encoder = encoder
        self._tokens, self._added = _vocabulary(spec)
        self._decoding = _decoding(spec.get("decoder"))
        self._bytes: dict[int, bytes] = {}
        self._ids: dict[str, int] | None = None  # made when first asked for
        self.special = special or SpecialTokens()
        self.special_ids = frozenset(t["id"] for t in spec.get("added_tokens") or () if t.get("special"))
        self.mark_ids: frozenset[int] = frozenset()  # special tokens that grammars spell: marks of calls
        self.vocab_size = max(max(self._tokens, default=-1), max(self._added, default=-1)) + 1
        self.stop_token_ids = self.special.stop_token_ids

    @property
    def bos_token_id(self) -> int | None:
        return None if self.special.bos_token is None else self.token_to_id(self.special.bos_token)

    @property
    def eos_token_id(self) -> int | None:
        return None if self.special.eos_token is None else self.token_to_id(self.special.eos_token)

    async def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise RequestError("the text holds half of a surrogate pair, which is no character") from None
        return list(await self._encoder.encode(text, add_special_tokens))

    async def check(self) -> None:
        """Raises FormatError where the vocabulary cannot be used, which a browser's library finds out in its own time."""
        try:
            await self._encoder.encode("", False)
        except Exception as error:
            raise _unusable(error) from error

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        detokenizer = IncrementalDetokenizer(self, skip_special_tokens=skip_special_tokens)
        return detokenizer.feed(ids) + detokenizer.flush()

    def token(self, token_id: int) -> str | None:
        """The token as the vocabulary spells it: `Ġhello`, `▁hello`, `<0x0A>`."""
        return self._added.get(token_id, self._tokens.get(token_id))

    def token_to_id(self, token: str) -> int | None:
        if self._ids is None:
            self._ids = {t: i for part in (self._tokens, self._added) for i, t in part.items()}
        return self._ids.get(token)

    def ids_of(self, tokens: Iterable[str]) -> frozenset[int]:
        """Of those that the vocabulary has."""
        return frozenset(i for i in map(self.token_to_id, tokens) if i is not None)

    def token_bytes(self, token_id: int) -> bytes:
        """The token's part of the text; empty for an id outside the vocabulary, which padded weights can produce."""
        if (known := self._bytes.get(token_id)) is None:
            known = self._bytes[token_id] = self._spell(token_id)
        return known

    def _spell(self, token_id: int) -> bytes:
        if (added := self._added.get(token_id)) is not None:
            text = added if self._decoding.byte_level else added.replace("▁", " ")
            return text.encode()
        token = self._tokens.get(token_id, "")
        if not self._decoding.byte_level:
            byte = BYTE_TOKEN.fullmatch(token)
            return bytes([int(byte[1], 16)]) if byte else token.replace("▁", " ").encode()
        try:
            return bytes(BYTE_OF_CHARACTER[c] for c in token)
        except KeyError:
            return token.encode()

    def texts(self) -> list[bytes]:
        """`token_bytes` of the whole vocabulary, for grammars; empty for special tokens but marks, which are no text."""
        empty = self.special_ids - self.mark_ids
        return [b"" if i in empty else self._spell(i) for i in range(self.vocab_size)]

    @property
    def strips_leading_space(self) -> bool:
        return self._decoding.strip_leading_space


class IncrementalDetokenizer:
    """Token ids in, text out as soon as it is whole characters; the texts and `flush()` together are `decode(all ids)`.

    `is_continuation`: the ids go on with a text that stands already, so a leading space is theirs to keep. `visible_ids` are
    special tokens that are text all the same."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        skip_special_tokens: bool = True,
        is_continuation: bool = False,
        visible_ids: frozenset[int] = frozenset(),
    ) -> None:
        self._tokenizer = tokenizer
        self._skip = tokenizer.special_ids - visible_ids if skip_special_tokens else frozenset()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._strip = tokenizer.strips_leading_space and not is_continuation

    def feed(self, ids: Iterable[int]) -> str:
        data = b"".join(self._tokenizer.token_bytes(i) for i in ids if i not in self._skip)
        return self._stripped(self._decoder.decode(data))

    def flush(self) -> str:
        """What is held back: bytes that began a character and never finished it."""
        return self._stripped(self._decoder.decode(b"", final=True))

    def _stripped(self, text: str) -> str:
        if not text or not self._strip:
            return text
        self._strip = False
        return text.removeprefix(" ")


# The browser's library wants all of them, the native one none.
JSON_KEYS = {"normalizer", "pre_tokenizer", "post_processor", "decoder", "added_tokens"}


def open_tokenizer(format: str, metadata: Mapping[str, Any], make_encoder: MakeEncoder = NativeEncoder) -> Tokenizer:
    """A checkpoint's tokenizer. `format` and `metadata` are the Checkpoint's."""
    spec, special = SOURCES[format](metadata)
    text = metadata.get("tokenizer")
    if not isinstance(text, str) or not spec.keys() >= JSON_KEYS:
        text = json.dumps({**dict.fromkeys(JSON_KEYS), **spec}, ensure_ascii=False)
    try:
        encoder = make_encoder(text)
    except Exception as error:
        raise _unusable(error) from error
    return Tokenizer(spec, encoder, special)


def _unusable(error: Exception) -> FormatError:
    return FormatError(f"the vocabulary cannot be used: {error}", where="tokenizer")


def _from_gguf(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], SpecialTokens]:
    spec = tokenizer_json_from_gguf(metadata)
    ids = named_token_ids(metadata)
    text = {name: metadata["tokenizer.ggml.tokens"][i] for name, i in ids.items()}
    ends = [ids.get(name) for name in ("eos", "eot", "eom")]
    return spec, SpecialTokens(
        bos_token=text.get("bos"),
        eos_token=text.get("eos"),
        unk_token=text.get("unknown"),
        pad_token=text.get("padding"),
        stop_token_ids=_stop_token_ids(spec, ends),
    )


def _from_folder(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], SpecialTokens]:
    spec = metadata.get("tokenizer")
    if not spec:
        raise UnsupportedModel(
            "the folder has no tokenizer.json", hint="AutoTokenizer.from_pretrained(...).save_pretrained(...)"
        )
    spec = dict(spec) if isinstance(spec, Mapping) else _parse(spec)
    config: Mapping[str, Any] = metadata.get("tokenizer_config") or {}
    text = {name: _content(config.get(f"{name}_token")) for name in ("bos", "eos", "unk", "pad")}
    ends: list[Any] = []
    for source in (metadata.get("generation_config") or {}, metadata.get("config") or {}):
        eos = source.get("eos_token_id")
        ends += eos if isinstance(eos, list) else [eos]
    added = {t["content"]: t["id"] for t in spec.get("added_tokens") or ()}
    ends.append(added.get(text["eos"]))
    return spec, SpecialTokens(
        bos_token=text["bos"],
        eos_token=text["eos"],
        unk_token=text["unk"],
        pad_token=text["pad"],
        stop_token_ids=_stop_token_ids(spec, ends),
    )


SOURCES = {"gguf": _from_gguf, "safetensors": _from_folder}


def _parse(text: str | bytes) -> dict[str, Any]:
    try:
        spec = json.loads(text)
    except ValueError as error:
        raise FormatError(f"no JSON: {error}", where="tokenizer.json") from None
    if not isinstance(spec, dict):
        raise FormatError("expected an object", where="tokenizer.json")
    return spec


def _content(token: Any) -> str | None:
    """A special token in tokenizer_config.json: its text, or an AddedToken with `content`."""
    return token.get("content") if isinstance(token, Mapping) else token


def _stop_token_ids(spec: Mapping[str, Any], ids: Iterable[Any]) -> frozenset[int]:
    named = {t["id"] for t in spec.get("added_tokens") or () if t.get("content") in STOP_TOKENS}
    return frozenset(named | {i for i in ids if isinstance(i, int)})


def _vocabulary(spec: Mapping[str, Any]) -> tuple[dict[int, str], dict[int, str]]:
    """Texts by id: the model's, and those that are never split."""
    vocab = (spec.get("model") or {}).get("vocab")
    if isinstance(vocab, Mapping):
        tokens = {i: t for t, i in vocab.items()}
    elif isinstance(vocab, list):  # Unigram: [text, score]
        tokens = {i: entry[0] for i, entry in enumerate(vocab)}
    else:
        raise FormatError("model.vocab is missing", where="tokenizer.json")
    return tokens, {t["id"]: t["content"] for t in spec.get("added_tokens") or ()}


def _decoding(decoder: Mapping[str, Any] | None) -> Decoding:
    """What a tokenizer.json's decoder does, if it is one of the two that language models use."""
    steps = [] if decoder is None else decoder.get("decoders", [decoder])
    kinds = {step["type"] for step in steps}
    if kinds and kinds <= {"ByteLevel", "Fuse"}:
        return Decoding(byte_level=True)
    if kinds and kinds <= {"Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"}:
        strips = any(_strips(step) for step in steps)
        foreign = [
            s for s in steps if s["type"] == "Replace" and (s.get("pattern"), s.get("content")) != ({"String": "▁"}, " ")
        ]
        if not foreign:
            return Decoding(byte_level=False, strip_leading_space=strips)
    raise UnsupportedModel(
        f"decoder {' + '.join(s['type'] for s in steps) or 'none'} is not known; known: ByteLevel, and SentencePiece's "
        "Replace + ByteFallback + Fuse + Strip or Metaspace",
        where="tokenizer.json",
    )


def _strips(step: Mapping[str, Any]) -> bool:
    if step["type"] == "Metaspace":
        return step.get("prepend_scheme", "always" if step.get("add_prefix_space", True) else "never") != "never"
    return step["type"] == "Strip" and step.get("content") == " " and step.get("start", 0) > 0


BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _byte_of_character() -> dict[str, int]:
    """GPT-2's alphabet: printable bytes stand for themselves, the others for characters from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(0x100 + n): b for n, b in enumerate(rest)}


BYTE_OF_CHARACTER = _byte_of_character()
