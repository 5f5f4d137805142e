"""Pictures and sounds of a chat request: from the address of a file to what the engine takes in, and to the tokens that stand
for it. pictures.py and heard.py say what each becomes.

An address is a data: URL with the file itself; or http(s), where that is allowed: natively by FANLIGHT_FETCH_IMAGES, since
whoever may ask a server for an answer is not to make it ask others; in a page by what the page itself may fetch."""

import base64
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from fanlight.engine.placed import Placed, Taken
from fanlight.engine.taken import Taking
from fanlight.errors import RequestError
from fanlight.text.control_tokens import PromptText
from fanlight.text.placeholders import ALONE, Layout, Placeholder
from fanlight.text.tokenizer import Tokenizer

MAX_BYTES = 32 << 20  # of a file
MAX_KEPT = 8  # files of which it is kept what they become: a conversation asks for its own again with every turn
MARKS = {"image_url": "image", "audio_url": "audio"}  # types of parts, as templates name them


class Fetcher(Protocol):
    async def fetch(self, url: str) -> bytes:
        """Raises RequestError, also where addresses are not to be fetched."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture, or a sound, as the engine takes it in."""

    tiles: tuple[Taken, ...]
    layout: Layout


class Placing:
    """Of a model that takes such files. row_token_id: what stands for a row of one."""

    kind = ""  # of parts: one of MARKS
    what = ""

    def __init__(self, taking: Taking, placeholder: Placeholder, row_token_id: int, reader: Fetcher) -> None:
        self._taking, self._fetcher = taking, reader
        self._row_token_id, self.placeholder = row_token_id, placeholder
        self._kept: OrderedDict[tuple[bytes, object], Seen] = OrderedDict()

    async def seen(self, parts: list[Mapping[str, Any]]) -> list[Seen]:
        """parts: of messages."""
        return [await self._seen(part[self.kind]) for part in parts]

    def how(self, given: Mapping[str, Any]) -> object:
        """What besides the file says what it becomes."""
        return None

    async def made(self, data: bytes, how: object) -> Seen:
        """Of a file. Raises RequestError."""
        raise NotImplementedError

    async def _seen(self, given: Mapping[str, Any]) -> Seen:
        data = await self._bytes(given["url"])
        if len(data) > MAX_BYTES:
            raise RequestError(f"a {self.what}'s file may have {MAX_BYTES >> 20} MiB", param="messages")
        key = sha256(data).digest(), self.how(given)
        if key not in self._kept:
            self._kept[key] = await self.made(data, key[1])
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    async def _bytes(self, url: str) -> bytes:
        scheme, _, rest = url.partition(":")
        if scheme.lower() in ("http", "https"):
            return await self._fetcher.fetch(url)
        if scheme.lower() != "data":
            message = f"{self.kind}.url must be a data: URL, or http(s), got {url[:40]!r}"
            raise RequestError(message, param="messages")
        header, comma, content = rest.partition(",")
        if not comma:
            raise RequestError(f"{self.kind}.url is a data: URL without data", param="messages")
        if not header.lower().endswith(";base64"):
            return unquote_to_bytes(content)
        try:
            return base64.b64decode(content, validate=True)
        except ValueError as error:  # not even ASCII, maybe
            raise RequestError(f"{self.kind}.url is no base64: {error}", param="messages") from None

    def is_written(self, prompt: PromptText) -> bool:
        """Whether the template writes anything for them."""
        return self.placeholder.written in prompt.marked

    async def encoded(self, tokenizer: Tokenizer, prompt: PromptText, seen: list[Seen]) -> tuple[list[int], tuple[Placed, ...]]:
        """The prompt's tokens, and which of them stand for files."""
        token_ids = await tokenizer.encode_prompt(self.placeholder.expanded(prompt, [one.layout for one in seen]))
        places = [i for i, token_id in enumerate(token_ids) if token_id == self._row_token_id]
        placed, at = [], 0
        for image, (below, beside) in [(i, s) for each in seen for i, s in zip(each.tiles, each.layout.shapes, strict=True)]:
            own = places[at : at + below * beside]
            one = Placed(next(iter(own), 0), image, below * beside, beside if self.placeholder.has_lines else 0)
            if own != [token for token in range(one.start, one.end) if one.row_of(token) is not None]:
                raise RequestError(f"the prompt's tokens do not stand for its {self.what}s", param="messages")
            placed.append(one)
            at += len(own)
        if at != len(places):
            raise RequestError(f"the messages spell what stands for a {self.what}", param="messages")
        return token_ids, tuple(placed)


# --- messages --------------------------------------------------------------------------------------------------------
def parts_of(messages: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """Their pictures and sounds, in order."""
    contents = [message["content"] for message in messages if isinstance(message.get("content"), list)]
    return [part for content in contents for part in content if part["type"] in MARKS]


def as_written(messages: list[dict[str, Any]], as_text: bool = False) -> list[dict[str, Any]]:
    """As templates read them: of a picture or a sound they write a mark. as_text: of a template that reads texts alone."""

    def written(part: dict[str, Any]) -> dict[str, Any]:
        if part["type"] not in MARKS:
            return part
        return {"type": "text", "text": ALONE} if as_text else {"type": MARKS[part["type"]]}

    def content(value: Any) -> Any:
        return [written(part) for part in value] if isinstance(value, list) else value

    return [{**message, "content": content(message.get("content"))} for message in messages]
