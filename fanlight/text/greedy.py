"""Encoding for vocabularies of byte strings of which the longest that fits is always taken: RWKV's.

Its tokenizer.json says so in the words of a WordPiece model without a prefix, by which libraries take time that grows with a
text's square: so this is ours, natively and in a browser."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from fanlight.errors import FormatError
from fanlight.text.decoding import BYTE_OF_CHARACTER


def is_greedy(spec: Mapping[str, Any]) -> bool:
    model = spec.get("model") or {}
    return model.get("type") == "WordPiece" and model.get("continuing_subword_prefix") == ""


class GreedyEncoder:
    """tokenizer.Encoder"""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        self._added = {token["content"]: token["id"] for token in spec["added_tokens"]}
        self._cut = re.compile("|".join(re.escape(text) for text in sorted(self._added, key=len, reverse=True)) or "(?!)")
        self._ids: dict[bytes, int] = {}
        for token, i in spec["model"]["vocab"].items():
            if token not in self._added:
                self._ids.setdefault(bytes(BYTE_OF_CHARACTER[c] for c in token), i)
        if missing := [byte for byte in range(256) if bytes([byte]) not in self._ids]:
            raise FormatError(
                f"no token is the byte {missing[0]:#04x}: there are texts that it cannot spell", where="tokenizer"
            )
        lengths: dict[bytes, set[int]] = {}
        for token in self._ids:
            lengths.setdefault(token[:2], set()).add(len(token))
        self._lengths = {start: sorted(found, reverse=True) for start, found in lengths.items()}  # by the first two bytes

    async def encode(self, text: str, add_special_tokens: bool) -> Sequence[int]:
        ids: list[int] = []
        at = 0
        for found in self._cut.finditer(text):
            ids += [*self._longest(text[at : found.start()].encode()), self._added[found[0]]]
            at = found.end()
        return ids + self._longest(text[at:].encode())

    def _longest(self, data: bytes) -> list[int]:
        ids: list[int] = []
        at = 0
        while at < len(data):
            lengths = self._lengths.get(data[at : at + 2], ())
            size = next((n for n in lengths if data[at : at + n] in self._ids), 1)
            ids.append(self._ids[data[at : at + size]])
            at += size
        return ids

    async def encode_pair(self, text: str, pair: str) -> tuple[Sequence[int], Sequence[int]]:
        one, other = await self.encode(text, True), await self.encode(pair, True)
        return [*one, *other], [0] * len(one) + [1] * len(other)

    async def renamed(self, names: Mapping[str, str]) -> "GreedyEncoder":
        spec = deepcopy(self._spec)
        for token in spec["added_tokens"]:
            token["content"] = names.get(token["content"], token["content"])
        gone = {names[text]: i for text, i in self._added.items() if text in names}
        vocab = {text: i for text, i in spec["model"]["vocab"].items() if text not in names}
        spec["model"]["vocab"] = vocab | gone
        return GreedyEncoder(spec)
