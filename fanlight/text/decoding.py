"""How token texts become text: what a tokenizer.json's decoder does, token by token, so that a stream can."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fanlight.errors import UnsupportedModel

BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True, slots=True)
class Decoding:
    """byte_level: GPT-2's alphabet. pieces: ▁ for a space and <0xAB> for a byte. words: a space before each token that does
    not begin with `prefix`, which is left out (no prefix: before every token). suffixed: `suffix` at the end of a token is a
    space."""

    kind: str
    strip_leading_space: bool = False
    prefix: str | None = None
    suffix: str = ""
    cleanup: bool = False  # no space before punctuation and in English contractions

    def spelled(self, token: str, is_added: bool, is_first: bool = False) -> bytes:
        return SPELL[self.kind](self, token, is_added, is_first)


def _byte_level(decoding: Decoding, token: str, is_added: bool, is_first: bool) -> bytes:
    if is_added:
        return token.encode()
    try:
        return bytes(BYTE_OF_CHARACTER[c] for c in token)
    except KeyError:
        return token.encode()


def _pieces(decoding: Decoding, token: str, is_added: bool, is_first: bool) -> bytes:
    byte = None if is_added else BYTE_TOKEN.fullmatch(token)
    return bytes([int(byte[1], 16)]) if byte else token.replace("▁", " ").encode()


def _words(decoding: Decoding, token: str, is_added: bool, is_first: bool) -> bytes:
    if not is_first:
        glued = decoding.prefix is not None and token.startswith(decoding.prefix)
        token = token.removeprefix(decoding.prefix or "") if glued else f" {token}"
    if decoding.cleanup:
        for apart, together in CLEANUP:
            token = token.replace(apart, together)
    return token.encode()


def _suffixed(decoding: Decoding, token: str, is_added: bool, is_first: bool) -> bytes:
    return token.replace(decoding.suffix, " ").encode()


SPELL = {"byte_level": _byte_level, "pieces": _pieces, "words": _words, "suffixed": _suffixed}
CLEANUP = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"),
    (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip


def decoding_of(decoder: Mapping[str, Any] | None) -> Decoding:
    """A tokenizer.json's decoder. Raises UnsupportedModel for one that no language model uses."""
    if decoder is None:
        return Decoding("words")
    steps = decoder.get("decoders", [decoder])
    kinds = {step["type"] for step in steps}
    if kinds <= {"ByteLevel", "Fuse"} and "ByteLevel" in kinds:
        return Decoding("byte_level")
    if kinds == {"WordPiece"}:
        return Decoding("words", prefix=steps[0].get("prefix", "##"), cleanup=steps[0].get("cleanup", True))
    if kinds == {"BPEDecoder"} and (suffix := steps[0].get("suffix", "</w>")):
        return Decoding("suffixed", suffix=suffix)
    if kinds and kinds <= {"Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"} and not any(map(_is_foreign, steps)):
        return Decoding("pieces", strip_leading_space=any(_strips(step) for step in steps))
    raise UnsupportedModel(
        f"decoder {' + '.join(str(s['type']) for s in steps)} is not known; known: ByteLevel, WordPiece, BPEDecoder, none, and "
        "SentencePiece's Replace + ByteFallback + Fuse + Strip or Metaspace",
        where="tokenizer.json",
    )


def _is_foreign(step: Mapping[str, Any]) -> bool:
    if step["type"] == "Replace":
        return (step.get("pattern"), step.get("content")) != ({"String": "▁"}, " ")
    if step["type"] == "Strip":
        return step.get("content") != " " or step.get("start", 0) > 1 or bool(step.get("stop", 0))
    return bool(step["type"] == "Metaspace" and step.get("replacement", "▁") != "▁")


def _strips(step: Mapping[str, Any]) -> bool:
    if step["type"] == "Metaspace":
        return bool(step.get("prepend_scheme", "always" if step.get("add_prefix_space", True) else "never") != "never")
    return bool(step["type"] == "Strip" and step.get("content") == " " and step.get("start", 0) > 0)


def _byte_of_character() -> dict[str, int]:
    """GPT-2's alphabet: printable bytes stand for themselves, the others for characters from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(0x100 + n): b for n, b in enumerate(rest)}


BYTE_OF_CHARACTER = _byte_of_character()
