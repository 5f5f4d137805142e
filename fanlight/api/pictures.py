"""Pictures of a chat request: from a file to the tiles that the engine takes in (placing.py has the rest). Pillow reads files
natively, the browser in a page, and both resize alike (fanlight/images)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from fanlight.api.placing import MAX_BYTES, Fetcher, Placing, Seen
from fanlight.driver import in_thread
from fanlight.engine.images import Images, image_of
from fanlight.errors import RequestError
from fanlight.images.pixels import open_picture, tiles_of
from fanlight.images.plan import Crop, Plan
from fanlight.images.preprocessor import Preprocessor
from fanlight.text.placeholders import Layout, Placeholder

FETCH_SECONDS = 20.0
LOW = "low"
LOW_PIXELS = 512 * 512  # of a picture of any size, as OpenAI has it


class Reader(Fetcher, Protocol):
    """Whoever reads files of pictures here."""

    async def open(self, data: bytes) -> tuple[Any, int, int]:
        """The picture, its width and its height. Raises RequestError."""

    async def tiles(self, picture: Any, plan: Plan) -> bytes: ...


class NativeReader:
    def __init__(self, may_fetch: bool = False) -> None:
        self._may_fetch = may_fetch

    async def fetch(self, url: str) -> bytes:
        if not self._may_fetch:
            hint = "a data: URL; or FANLIGHT_FETCH_IMAGES=1 where all who ask may have addresses fetched"
            raise RequestError("pictures and sounds are not fetched here", param="messages", hint=hint)
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
        raise RequestError(f"{url:.200} cannot be fetched: {error}", param="messages") from error
    return data


class Pictures(Placing):
    kind, what = "image_url", "picture"

    def __init__(
        self, images: Images, preprocessor: Preprocessor, placeholder: Placeholder, row_token_id: int, reader: Reader
    ) -> None:
        super().__init__(images, placeholder, row_token_id, reader)
        self._preprocessor, self._reader = preprocessor, reader

    def how(self, given: Mapping[str, Any]) -> object:
        return LOW if given.get("detail") == LOW else None

    async def made(self, data: bytes, how: object) -> Seen:
        picture, width, height = await self._reader.open(data)
        preprocessor = self._preprocessor.within(LOW_PIXELS) if how == LOW else self._preprocessor
        plan = preprocessor.plan(width, height)
        if how == LOW and plan.has_whole:
            whole = tuple(tile for tile in plan.tiles if not any(isinstance(step, Crop) for step in tile.steps))
            plan = replace(plan, tiles=whole, rows=0, columns=0, has_whole=False)
        pixels, at, tiles = await self._reader.tiles(picture, plan), 0, []
        for tile in plan.tiles:
            size = 3 * tile.width * tile.height
            tiles.append(image_of(pixels[at : at + size], tile.width, tile.height, self._colours))
            at += size
        shapes = tuple(map(self._taking.shape, tiles))
        return Seen(tuple(tiles), Layout(shapes, plan.rows, plan.columns))

    @property
    def _colours(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        p = self._preprocessor
        return tuple(p.scale / std for std in p.std), tuple(-mean / std for mean, std in zip(p.mean, p.std, strict=True))
