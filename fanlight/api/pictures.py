"""Pictures of a chat request: from an address to what the engine takes in, and to the tokens that stand for it.

An address is a data: URL with the file itself; or http(s), where that is allowed: natively by FANLIGHT_FETCH_IMAGES, since
whoever may ask a server for an answer is not to make it ask others; in a page by what the page itself may fetch. Pillow reads
files natively, the browser in a page, and both resize alike (fanlight/images)."""

import base64
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from fanlight.driver import in_thread
from fanlight.engine.images import Image, Images, Placed, image_of
from fanlight.errors import RequestError
from fanlight.images.pixels import open_picture, tiles_of
from fanlight.images.plan import Crop, Plan
from fanlight.images.preprocessor import Preprocessor
from fanlight.text.control_tokens import PromptText
from fanlight.text.placeholders import ALONE, Layout, Placeholder
from fanlight.text.tokenizer import Tokenizer

MAX_BYTES = 32 << 20  # of a file
MAX_KEPT = 8  # pictures whose pixels are kept: a conversation asks for its own again with every turn
FETCH_SECONDS = 20.0


class Reader(Protocol):
    """Whoever reads files of pictures here."""

    async def fetch(self, url: str) -> bytes:
        """Raises RequestError, also where addresses are not to be fetched."""

    async def open(self, data: bytes) -> tuple[Any, int, int]:
        """The picture, its width and its height. Raises RequestError."""

    async def tiles(self, picture: Any, plan: Plan) -> bytes: ...


class NativeReader:
    def __init__(self, may_fetch: bool = False) -> None:
        self._may_fetch = may_fetch

    async def fetch(self, url: str) -> bytes:
        if not self._may_fetch:
            hint = "a data: URL; or FANLIGHT_FETCH_IMAGES=1 where all who ask may have addresses fetched"
            raise RequestError("image_url: pictures are not fetched here", param="messages", hint=hint)
        return await in_thread(lambda: _fetched(url))

    async def open(self, data: bytes) -> tuple[Any, int, int]:
        picture = await in_thread(lambda: open_picture(data))
        return picture, picture.width, picture.height

    async def tiles(self, picture: Any, plan: Plan) -> bytes:
        return await in_thread(lambda: tiles_of(picture, plan))


def _fetched(url: str) -> bytes:
    import urllib.request  # native only

    try:
        with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as response:
            data: bytes = response.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise RequestError(f"image_url: {url:.200} cannot be fetched: {error}", param="messages") from error
    return data


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture as the engine takes it in."""

    tiles: tuple[Image, ...]
    layout: Layout


class Pictures:
    """Of a model that sees. row_token_id: what stands for a row of a picture."""

    def __init__(
        self, images: Images, preprocessor: Preprocessor, placeholder: Placeholder, row_token_id: int, reader: Reader
    ) -> None:
        self._images, self._preprocessor, self._reader = images, preprocessor, reader
        self._row_token_id, self.placeholder = row_token_id, placeholder
        self._kept: OrderedDict[tuple[bytes, bool], Seen] = OrderedDict()

    async def seen(self, parts: list[Mapping[str, Any]]) -> list[Seen]:
        """parts: of messages, each with its `image_url`."""
        return [await self._seen(part["image_url"]["url"], part["image_url"].get("detail") == "low") for part in parts]

    async def _seen(self, url: str, is_low: bool) -> Seen:
        data = await self._bytes(url)
        if len(data) > MAX_BYTES:
            raise RequestError(f"a picture's file may have {MAX_BYTES >> 20} MiB", param="messages")
        key = sha256(data).digest(), is_low
        if key not in self._kept:
            self._kept[key] = await self._made(data, is_low)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    async def _bytes(self, url: str) -> bytes:
        scheme, _, rest = url.partition(":")
        if scheme.lower() in ("http", "https"):
            return await self._reader.fetch(url)
        if scheme.lower() != "data":
            message = f"image_url.url must be a data: URL, or http(s), got {url[:40]!r}"
            raise RequestError(message, param="messages")
        header, comma, content = rest.partition(",")
        if not comma:
            raise RequestError("image_url.url is a data: URL without data", param="messages")
        if not header.lower().endswith(";base64"):
            return unquote_to_bytes(content)
        try:
            return base64.b64decode(content, validate=True)
        except ValueError as error:  # not even ASCII, maybe
            raise RequestError(f"image_url.url is no base64: {error}", param="messages") from None

    async def _made(self, data: bytes, is_low: bool) -> Seen:
        picture, width, height = await self._reader.open(data)
        plan = self._preprocessor.plan(width, height)
        if is_low and plan.has_whole:
            whole = tuple(tile for tile in plan.tiles if not any(isinstance(step, Crop) for step in tile.steps))
            plan = replace(plan, tiles=whole, rows=0, columns=0, has_whole=False)
        pixels, at, tiles = await self._reader.tiles(picture, plan), 0, []
        for tile in plan.tiles:
            size = 3 * tile.width * tile.height
            tiles.append(image_of(pixels[at : at + size], tile.width, tile.height, self._colours))
            at += size
        shapes = tuple(map(self._images.shape, tiles))
        return Seen(tuple(tiles), Layout(shapes, plan.rows, plan.columns))

    @property
    def _colours(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        p = self._preprocessor
        return tuple(p.scale / std for std in p.std), tuple(-mean / std for mean, std in zip(p.mean, p.std, strict=True))

    def is_written(self, prompt: PromptText) -> bool:
        """Whether the template writes anything for pictures."""
        return self.placeholder.written in prompt.marked

    async def encoded(self, tokenizer: Tokenizer, prompt: PromptText, seen: list[Seen]) -> tuple[list[int], tuple[Placed, ...]]:
        """The prompt's tokens, and which of them stand for pictures."""
        token_ids = await tokenizer.encode_prompt(self.placeholder.expanded(prompt, [one.layout for one in seen]))
        places = [i for i, token_id in enumerate(token_ids) if token_id == self._row_token_id]
        placed, at = [], 0
        for image, (below, beside) in [(i, s) for each in seen for i, s in zip(each.tiles, each.layout.shapes, strict=True)]:
            own = places[at : at + below * beside]
            one = Placed(next(iter(own), 0), image, below * beside, beside if self.placeholder.has_lines else 0)
            if own != [token for token in range(one.start, one.end) if one.row_of(token) is not None]:
                raise RequestError("the prompt's tokens do not stand for its pictures", param="messages")
            placed.append(one)
            at += len(own)
        if at != len(places):
            raise RequestError("the messages spell what stands for a picture", param="messages")
        return token_ids, tuple(placed)


# --- messages --------------------------------------------------------------------------------------------------------
def parts_of(messages: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """Their pictures, in order."""
    contents = [message["content"] for message in messages if isinstance(message.get("content"), list)]
    return [part for content in contents for part in content if part["type"] == "image_url"]


def as_written(messages: list[dict[str, Any]], as_text: bool = False) -> list[dict[str, Any]]:
    """As templates read them: of a picture they write a mark. as_text: of a template that reads texts alone."""
    mark = {"type": "text", "text": ALONE} if as_text else {"type": "image"}

    def content(value: Any) -> Any:
        return [mark if part["type"] == "image_url" else part for part in value] if isinstance(value, list) else value

    return [{**message, "content": content(message.get("content"))} for message in messages]
