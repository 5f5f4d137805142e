"""Text to token ids and back.  One tokenizer.json, read alike natively and in a browser.

Encoding is the library's: Hugging Face `tokenizers` natively, `@huggingface/tokenizers` in a browser, given as an `Encoder`.
Decoding is ours (decoding.py), from the bytes of each token, so that a stream of deltas and the whole decode cannot differ.
Knows no model, no request and no JavaScript. A GGUF vocabulary becomes a tokenizer.json in `gguf_vocabulary.py`.
"""

import codecs
import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fanlight.driver import Panic, in_thread
from fanlight.errors import FanlightError, FormatError, RequestError, UnsupportedModel
from fanlight.text.control_tokens import ControlTokens, PromptText, unmarked
from fanlight.text.decoding import decoding_of
from fanlight.text.gguf_vocabulary import named_token_ids, spelled, tokenizer_json_from_gguf
from fanlight.text.greedy import GreedyEncoder, is_greedy
from fanlight.text.tokenizer_json import LeastTokens, check_tokenizer_json

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
    async def encode_pair(self, text: str, pair: str) -> tuple[Sequence[int], Sequence[int]]: ...

    async def renamed(self, names: Mapping[str, str]) -> "Encoder":
        """Another one, in which these added tokens have other texts and the same ids."""
        ...


MakeEncoder = Callable[[str], Encoder]  # from the text of a tokenizer.json
LONG_TEXT = 4096  # characters that are encoded in a thread
MAX_SECONDS = 60  # of one encoding: a split pattern of a hostile file can take for ever


class NativeEncoder:
    """Hugging Face `tokenizers`."""

    def __init__(self, tokenizer_json: str) -> None:
        import tokenizers  # native only: a browser never gets here

        self._tokenizer = tokenizers.Tokenizer.from_str(tokenizer_json)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    async def encode(self, text: str, add_special_tokens: bool) -> Sequence[int]:
        if len(text) < LONG_TEXT:
            return self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids
        # In a batch, and only there, the library lets other threads run.
        batch = self._tokenizer.encode_batch_fast
        return await in_thread(lambda: batch([text], add_special_tokens=add_special_tokens)[0].ids, MAX_SECONDS)

    async def renamed(self, names: Mapping[str, str]) -> "NativeEncoder":
        spec = json.loads(self._tokenizer.to_str())
        return NativeEncoder(json.dumps(renamed_tokens(spec, names)))

    async def encode_pair(self, text: str, pair: str) -> tuple[Sequence[int], Sequence[int]]:
        encoding = self._tokenizer.encode(text, pair)
        return encoding.ids, encoding.type_ids


class BrowserEncoder:
    """The page's tokenizer: a JavaScript object with `encode(text, addSpecialTokens)`, a promise of an array of ids, and
    `renamed(names)`, a promise of another one."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    async def encode(self, text: str, add_special_tokens: bool) -> Sequence[int]:
        return (await self._tokenizer.encode(text, add_special_tokens)).to_py()

    async def renamed(self, names: Mapping[str, str]) -> "BrowserEncoder":
        return BrowserEncoder(await self._tokenizer.renamed(json.dumps(names)))

    async def encode_pair(self, text: str, pair: str) -> tuple[Sequence[int], Sequence[int]]:
        ids, types = (await self._tokenizer.encodePair(text, pair)).to_py()
        return ids, types


def renamed_tokens(spec: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A tokenizer.json whose tokens have other texts, so that no text has them. web/src/encoder.ts does the same."""
    model = spec["model"]
    if isinstance(vocab := model["vocab"], dict):
        model["vocab"] = {names.get(token, token): i for token, i in vocab.items()}
    else:
        model["vocab"] = [[names.get(token, token), score] for token, score in vocab]
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    for token in spec["added_tokens"]:
        if token["content"] in names:
            token["content"], token["normalized"] = names[token["content"]], False
    spec["post_processor"] = None
    return spec


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


class Tokenizer:
    """One model's vocabulary. `spec` is its tokenizer.json; `tokens` are texts by id that it cannot hold: others have the
    same."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        encoder: Encoder,
        special: SpecialTokens | None = None,
        tokens: Mapping[int, str] | None = None,
    ) -> None:
        self._encoder = encoder
        self._apart: tuple[Encoder, dict[str, str]] | None = None  # in which no text is a control token; made when first needed
        self._tokens, self._added = _vocabulary(spec)
        self._tokens |= tokens or {}
        self._decoding = decoding_of(spec.get("decoder"))
        self._bytes: dict[int, bytes] = {}
        self._ids: dict[str, int] | None = None  # made when first asked for
        self.special = special or SpecialTokens()
        self.special_ids = frozenset(t["id"] for t in spec.get("added_tokens") or () if t.get("special"))
        self.mark_ids: frozenset[int] = frozenset()  # special tokens that grammars spell: marks of calls
        self.vocab_size = max(max(self._tokens, default=-1), max(self._added, default=-1)) + 1
        self.stop_token_ids = self.special.stop_token_ids
        self.controls = ControlTokens(self._added[i] for i in self.special_ids | self.stop_token_ids if i in self._added)
        self._steps = {name: spec.get(name) for name in ("normalizer", "pre_tokenizer")}
        self._least: LeastTokens | None = None  # made when first asked for

    @property
    def bos_token_id(self) -> int | None:
        return None if self.special.bos_token is None else self.token_to_id(self.special.bos_token)

    @property
    def eos_token_id(self) -> int | None:
        return None if self.special.eos_token is None else self.token_to_id(self.special.eos_token)

    async def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        _check_whole(text)
        return await self._encoded(self._encoder, text, add_special_tokens)

    async def cut(self, text: bytes) -> list[int]:
        """The tokens of what stands in the middle of a text, or of its beginning, up to what no ordinary token spells."""
        words = text.decode(errors="ignore")
        alone = self._spelling(text, await self.encode(words, add_special_tokens=False))
        if len(self._joined(alone)) == len(words.encode()):
            return alone
        # Some vocabularies put a space before the first word, but none behind a new line.
        ids = await self.encode("\n" + words, add_special_tokens=False)
        start = next((i for i in range(len(ids)) if self._joined(ids[:i]).endswith(b"\n")), len(ids))
        return max(alone, self._spelling(text, ids[start:]), key=lambda found: len(self._joined(found)))

    def _spelling(self, text: bytes, ids: Sequence[int]) -> list[int]:
        """The first of the tokens, for as long as they are the text's."""
        controls, found, at = (self.special_ids - self.mark_ids) | self.stop_token_ids, [], 0
        for token_id in ids:
            part = b"" if token_id in controls else self.token_bytes(token_id)
            if not part or not text.startswith(part, at):
                break
            found.append(token_id)
            at += len(part)
        return found

    def _joined(self, ids: Sequence[int]) -> bytes:
        return b"".join(map(self.token_bytes, ids))

    async def encode_prompt(self, prompt: PromptText) -> list[int]:
        """A chat's prompt. Where its messages spell control tokens, the ids of that text are those of an ordinary one."""
        text = prompt.text
        if len(self.controls.found(prompt.marked)) == len(self.controls.found(text)):
            return await self.encode(text, add_special_tokens=False)
        if self._apart is None:
            secret = secrets.token_hex(8)
            names = {token: f"\U0010fffd{secret}.{i}\U0010fffd" for i, token in enumerate(self.controls.texts)}
            self._apart = await self._encoder.renamed(names), names
        encoder, names = self._apart
        renamed = unmarked(self.controls.replaced(prompt.marked, names), prompt.twins)
        return await self._encoded(encoder, renamed, add_special_tokens=False)

    def least_tokens(self, text: str) -> int:
        """As many tokens as the text has at least, without encoding it."""
        if self._least is None:
            self._least = LeastTokens(self._steps, (self.token_bytes(i) for i in range(self.vocab_size)))
        return self._least.of(text)

    async def _encoded(self, encoder: Encoder, text: str, add_special_tokens: bool) -> list[int]:
        try:
            return list(await encoder.encode(text, add_special_tokens))
        except TimeoutError:
            raise UnsupportedModel(f"the tokenizer takes more than {MAX_SECONDS} s for this text", where="tokenizer") from None
        except BaseException as error:
            if type(error) not in (Exception, Panic) and type(error).__name__ not in (PANIC, "JsException"):
                raise
            raise UnsupportedModel(f"the tokenizer gives up on this text: {error}", where="tokenizer") from None

    async def encode_pair(self, text: str, pair: str) -> tuple[list[int], int | None]:
        """Two texts as an encoder reads them together, with special tokens, and where the second begins for it; None where it
        does not tell them apart."""
        for one in (text, pair):
            _check_whole(one)
        ids, types = await self._encoder.encode_pair(text, pair)
        return list(ids), list(types).index(1) if 1 in types else None

    async def check(self) -> None:
        """Raises FormatError where the vocabulary cannot be used, which a browser's library finds out in its own time."""
        try:
            await self._encoder.encode("", False)
            await self._encoder.encode("Hello, world 12 \n", True)
        except BaseException as error:
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

    def _spell(self, token_id: int, is_first: bool = False) -> bytes:
        token = self.token(token_id)
        return b"" if token is None else self._decoding.spelled(token, token_id in self._added, is_first)

    def texts(self) -> list[bytes]:
        """`token_bytes` of the whole vocabulary, for grammars; empty for special tokens but marks, which are no text."""
        empty = self.special_ids - self.mark_ids
        return [b"" if i in empty else self._spell(i) for i in range(self.vocab_size)]

    @property
    def strips_leading_space(self) -> bool:
        return self._decoding.strip_leading_space

    def first_bytes(self, token_id: int) -> bytes:
        """The token's part of a text that begins with it."""
        return self._spell(token_id, is_first=True) if self._decoding.kind == "words" else self.token_bytes(token_id)

    @property
    def drops_last_space(self) -> bool:
        return self._decoding.kind == "suffixed"


def _check_whole(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RequestError("the text holds half of a surrogate pair, which is no character") from None


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
        self._is_first = not is_continuation
        self._space = ""  # one that is no text where the answer ends

    def feed(self, ids: Iterable[int]) -> str:
        shown = [i for i in ids if i not in self._skip]
        first, spell = b"", self._tokenizer.token_bytes
        if self._is_first and shown:
            self._is_first, first = False, self._tokenizer.first_bytes(shown.pop(0))
        text = self._stripped(self._decoder.decode(first + b"".join(map(spell, shown))))
        if text and self._tokenizer.drops_last_space:
            text = self._space + text
            self._space = " " if text.endswith(" ") else ""
            text = text.removesuffix(self._space)
        return text

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
    spec, special, tokens = SOURCES[format](metadata)
    check_tokenizer_json(spec)
    text = metadata.get("tokenizer")
    if not isinstance(text, str) or not spec.keys() >= JSON_KEYS:
        text = json.dumps({**dict.fromkeys(JSON_KEYS), "added_tokens": [], **spec}, ensure_ascii=False)
    try:
        return Tokenizer(spec, GreedyEncoder(spec) if is_greedy(spec) else make_encoder(text), special, tokens)
    except FanlightError:
        raise
    except BaseException as error:
        raise _unusable(error) from error


PANIC = "PanicException"  # how the library's own faults come to Python: as no Exception


def _unusable(error: BaseException) -> BaseException:
    if not isinstance(error, Exception) and type(error).__name__ != PANIC:
        return error
    return FormatError(f"the vocabulary cannot be used: {str(error)[:500]}", where="tokenizer")


Opened = tuple[dict[str, Any], SpecialTokens, dict[int, str] | None]


def _from_gguf(metadata: Mapping[str, Any]) -> Opened:
    spec = tokenizer_json_from_gguf(metadata)
    ids, tokens = named_token_ids(metadata), spelled(metadata, metadata["tokenizer.ggml.tokens"])
    text = {name: tokens[i] for name, i in ids.items()}
    ends = [ids.get(name) for name in ("eos", "eot", "eom")]
    special = SpecialTokens(
        bos_token=text.get("bos"),
        eos_token=text.get("eos"),
        unk_token=text.get("unknown"),
        pad_token=text.get("padding"),
        stop_token_ids=_stop_token_ids(spec, ends),
    )
    return spec, special, dict(enumerate(tokens))


def _from_folder(metadata: Mapping[str, Any]) -> Opened:
    spec = metadata.get("tokenizer")
    if not spec:
        raise UnsupportedModel(
            "the folder has no tokenizer.json", hint="AutoTokenizer.from_pretrained(...).save_pretrained(...)"
        )
    spec, duplicates = (dict(spec), None) if isinstance(spec, Mapping) else _parse(spec)
    config: Mapping[str, Any] = metadata.get("tokenizer_config") or {}
    text = {name: _content(config.get(f"{name}_token")) for name in ("bos", "eos", "unk", "pad")}
    ends: list[Any] = []
    for source in (metadata.get("generation_config") or {}, metadata.get("config") or {}):
        eos = source.get("eos_token_id")
        ends += eos if isinstance(eos, list) else [eos]
    added = {t["content"]: t["id"] for t in spec.get("added_tokens") or ()}
    ends.append(added.get(text["eos"]))
    special = SpecialTokens(
        bos_token=text["bos"],
        eos_token=text["eos"],
        unk_token=text["unk"],
        pad_token=text["pad"],
        stop_token_ids=_stop_token_ids(spec, ends),
    )
    return spec, special, duplicates


SOURCES = {"gguf": _from_gguf, "safetensors": _from_folder, "mlc": _from_folder}


def _parse(text: str | bytes) -> tuple[dict[str, Any], dict[int, str]]:
    """The object, and the ids of keys that stand in it twice, of which it keeps one."""
    twice: dict[int, str] = {}

    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            twice.update({i: token for token, i in pairs if isinstance(i, int)})
        return made

    try:
        spec = json.loads(text, object_pairs_hook=read)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"no JSON: {error}", where="tokenizer.json") from None
    if not isinstance(spec, dict):
        raise FormatError("expected an object", where="tokenizer.json")
    return spec, twice


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
