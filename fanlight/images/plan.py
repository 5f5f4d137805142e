"""What becomes of a picture before an encoder reads it: steps that resize and crop, to one tile or many.

A Plan has no pixels: pixels.py carries it out natively, web/src/pictures.ts in a page, both with Pillow's arithmetic, in which
every step leaves whole numbers of 8 bits."""

from dataclasses import dataclass
from typing import Any, NamedTuple

FILTERS = {1: "lanczos", 2: "bilinear", 3: "bicubic"}  # of Pillow, by its numbers


class Resize(NamedTuple):
    width: int
    height: int


class Crop(NamedTuple):
    """Columns left to left + width - 1 of rows top to top + height - 1."""

    left: int
    top: int
    width: int
    height: int


Step = Resize | Crop


@dataclass(frozen=True, slots=True)
class Tile:
    """What the encoder reads at once: the picture after these steps."""

    steps: tuple[Step, ...]

    @property
    def width(self) -> int:
        return self.steps[-1].width

    @property
    def height(self) -> int:
        return self.steps[-1].height


@dataclass(frozen=True, slots=True)
class Plan:
    """tiles: in the encoder's order. rows, columns: of the tiles that the picture is cut into, after which comes one of the
    whole, where has_whole; 0 and 0 where nothing is cut. filter: one of FILTERS, of every Resize."""

    filter: str
    tiles: tuple[Tile, ...]
    rows: int = 0
    columns: int = 0
    has_whole: bool = False

    @property
    def size(self) -> int:
        """Bytes of all tiles' pixels, one after the other: 3 a pixel, row by row."""
        return sum(3 * tile.width * tile.height for tile in self.tiles)

    def to_json(self) -> dict[str, Any]:
        """For pictures.ts: a step is a list of 2 or of 4 numbers."""
        return {"filter": self.filter, "tiles": [[list(step) for step in tile.steps] for tile in self.tiles]}


def grid(rows: int, columns: int, width: int, height: int) -> list[Crop]:
    """Equal parts, row by row."""
    return [Crop(width * column, height * row, width, height) for row in range(rows) for column in range(columns)]
