"""Sizes and tiles of each family's pictures, as transformers' processors choose them: from the width and height of a picture.

Each class has the numbers of one kind of `image_processor_type`, and says what becomes of a picture: `plan`."""

import math
from dataclasses import dataclass, replace
from typing import Protocol

from fanlight.errors import RequestError
from fanlight.images.plan import Crop, Plan, Resize, Step, Tile, grid

LARGEST = 4096  # pixels of an edge that Idefics 3 resizes to at most
MAX_RATIO = 200  # of edges, in Qwen's


class Family(Protocol):
    def plan(self, width: int, height: int, filter: str) -> Plan: ...


def within(family: Family, pixels: int) -> Family:
    """The same for pictures that are to have so many pixels at most, of families whose pictures have any size."""
    if isinstance(family, Multiples):
        most = min(family.max_pixels, pixels)
        return replace(family, min_pixels=min(family.min_pixels, most), max_pixels=most)
    if isinstance(family, TiledByRatio):
        most = min(family.max_tokens, pixels // (family.patch * family.merge) ** 2)
        return replace(family, min_tokens=min(family.min_tokens, most), max_tokens=most)
    if isinstance(family, UpToPatches):
        return replace(family, longest=min(family.longest, math.isqrt(pixels) // family.patch * family.patch))
    return family


@dataclass(frozen=True, slots=True)
class Fixed:
    """Every picture is resized to one size, whatever its ratio: Gemma 3 (without pan and scan), SigLIP."""

    width: int
    height: int

    def plan(self, width: int, height: int, filter: str) -> Plan:
        return Plan(filter, (Tile((Resize(self.width, self.height),)),))


@dataclass(frozen=True, slots=True)
class PanAndScan:
    """Gemma 3: besides the whole, parts of long pictures, each resized to one size. https://arxiv.org/abs/2503.19786"""

    width: int
    height: int
    min_crop: int
    max_crops: int
    min_ratio: float

    def plan(self, width: int, height: int, filter: str) -> Plan:
        whole = Resize(self.width, self.height)
        count = self._count(max(width, height), min(width, height))
        if count == 0:
            return Plan(filter, (Tile((whole,)),))
        columns, rows = (count, 1) if width >= height else (1, count)
        part = math.ceil(width / columns), math.ceil(height / rows)
        if min(part) < self.min_crop:
            return Plan(filter, (Tile((whole,)),))
        parts = []
        for crop in grid(rows, columns, *part):  # the last may be narrower
            inside = Crop(*crop[:2], min(crop.width, width - crop.left), min(crop.height, height - crop.top))
            parts.append(Tile((inside, whole)))
        return Plan(filter, (Tile((whole,)), *parts), rows, columns, has_whole=True)

    def _count(self, long: int, short: int) -> int:
        """How many parts; 0: none."""
        if long / short < self.min_ratio:
            return 0
        return min(self.max_crops, max(2, min(long // self.min_crop, math.floor(long / short + 0.5))))


@dataclass(frozen=True, slots=True)
class CentreCrop:
    """CLIP, and LLaVA 1.5 with it: the short edge to one size, then the middle."""

    short: int
    width: int
    height: int

    def plan(self, width: int, height: int, filter: str) -> Plan:
        long = int(self.short * max(width, height) / min(width, height))
        resized = Resize(self.short, long) if width <= height else Resize(long, self.short)
        middle = Crop((resized.width - self.width) // 2, (resized.height - self.height) // 2, self.width, self.height)
        return Plan(filter, (Tile((resized, middle)),))


@dataclass(frozen=True, slots=True)
class Tiled:
    """Idefics 3 and SmolVLM: the long edge to one size, up to whole tiles, then the tiles and the whole.
    https://arxiv.org/abs/2408.12637"""

    longest: int
    tile: int
    splits: bool

    def plan(self, width: int, height: int, filter: str) -> Plan:
        steps: tuple[Step, ...] = (self.resized(width, height),)
        whole = Resize(self.tile, self.tile)
        if not self.splits:
            return Plan(filter, (Tile((*steps, whole)),))
        steps += (self.whole_tiles(*steps[0][-2:]),)
        rows, columns = steps[1].height // self.tile, steps[1].width // self.tile
        if rows == columns == 1:
            return Plan(filter, (Tile(steps),))
        parts = [Tile((*steps, crop)) for crop in grid(rows, columns, self.tile, self.tile)]
        return Plan(filter, (*parts, Tile((*steps, whole))), rows, columns, has_whole=True)

    def resized(self, width: int, height: int) -> Resize:
        """The long edge as long as `longest`, the other even; neither above LARGEST."""
        ratio, longest = width / height, self.longest
        size = (longest, _up(int(longest / ratio), 2)) if width >= height else (_up(int(longest * ratio), 2), longest)
        width, height = max(size[0], 1), max(size[1], 1)
        ratio = width / height
        if width >= height and width > LARGEST:
            width, height = LARGEST, int(LARGEST / ratio)
        elif height > width and height > LARGEST:
            width, height = int(LARGEST * ratio), LARGEST
        return Resize(max(width, 1), max(height, 1))

    def whole_tiles(self, width: int, height: int) -> Resize:
        ratio, tile = width / height, self.tile
        if width >= height:
            return Resize(_up(width, tile), _up(int(_up(width, tile) / ratio), tile))
        return Resize(_up(int(_up(height, tile) * ratio), tile), _up(height, tile))


@dataclass(frozen=True, slots=True)
class Multiples:
    """Qwen's: edges that are multiples of `factor`, and an area between two bounds. https://arxiv.org/abs/2409.12191"""

    factor: int
    min_pixels: int
    max_pixels: int

    def plan(self, width: int, height: int, filter: str) -> Plan:
        if max(width, height) / min(width, height) > MAX_RATIO:
            raise RequestError(f"a picture of {width} x {height} pixels; this model reads ratios of edges up to {MAX_RATIO}")
        return Plan(filter, (Tile((multiples(width, height, self.factor, self.min_pixels, self.max_pixels),)),))


def multiples(width: int, height: int, factor: int, min_pixels: int, max_pixels: int, at_least: int = 0) -> Resize:
    """at_least: of each edge, as it is rounded."""
    rounded = [max(at_least, round(edge / factor) * factor) for edge in (width, height)]
    area = rounded[0] * rounded[1]
    if area > max_pixels:
        shrink = math.sqrt((height * width) / max_pixels)
        rounded = [max(factor, math.floor(edge / shrink / factor) * factor) for edge in (width, height)]
    elif area < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        rounded = [math.ceil(edge * grow / factor) * factor for edge in (width, height)]
    return Resize(*rounded)


@dataclass(frozen=True, slots=True)
class UpToPatches:
    """Pixtral: no edge longer than `longest`, then up to whole patches of `patch` pixels, which merge what the encoder's merge.
    https://arxiv.org/abs/2410.07073"""

    longest: int
    patch: int

    def plan(self, width: int, height: int, filter: str) -> Plan:
        ratio = max(height / self.longest, width / self.longest)
        if ratio > 1:
            width, height = math.floor(width / ratio), math.floor(height / ratio)
        if not (width and height):
            raise RequestError("a picture whose one edge is too short beside the other for this model")
        return Plan(filter, (Tile((Resize(_up(width, self.patch), _up(height, self.patch)),)),))


@dataclass(frozen=True, slots=True)
class TiledByRatio:
    """LFM2-VL: a small picture whole, a large one as so many tiles as are nearest to its ratio, and a thumbnail.
    patch: of the encoder; merge: patches of an edge that are one token. https://arxiv.org/abs/2511.23404"""

    tile: int
    patch: int
    merge: int
    min_tiles: int
    max_tiles: int
    min_tokens: int
    max_tokens: int
    tolerance: float
    has_whole: bool

    def plan(self, width: int, height: int, filter: str) -> Plan:
        token = self.patch * self.merge  # its edge
        area = token * token
        whole = multiples(width, height, token, self.min_tokens * area, self.max_tokens * area, token)
        near = [max(self.patch, round(edge / token) * token) for edge in (width, height)]
        is_large = near[0] * near[1] > self.max_tokens * area * self.tolerance
        if not is_large or self.max_tiles == 1:
            return Plan(filter, (Tile((whole,)),))
        columns, rows = self.layout(width, height)
        resized = Resize(columns * self.tile, rows * self.tile)
        parts = tuple(Tile((resized, crop)) for crop in grid(rows, columns, self.tile, self.tile))
        if not self.has_whole or len(parts) == 1:
            return Plan(filter, parts, rows, columns)
        return Plan(filter, (*parts, Tile((whole,))), rows, columns, has_whole=True)

    def layout(self, width: int, height: int) -> tuple[int, int]:
        """Columns and rows. Of layouts that are equally near, the last whose area is under twice the picture's."""
        upto = range(1, self.max_tiles + 1)
        near = [(c, r) for n in range(self.min_tiles, self.max_tiles + 1) for c in upto[:n] for r in upto[:n]]
        layouts = {layout for layout in near if self.min_tiles <= math.prod(layout) <= self.max_tiles}
        best, nearest = (1, 1), math.inf
        for columns, rows in sorted(layouts, key=math.prod):
            distance = abs(width / height - columns / rows)
            if distance < nearest:
                best, nearest = (columns, rows), distance
            elif distance == nearest and width * height > 0.5 * self.tile * self.tile * columns * rows:
                best = (columns, rows)
        return best


def _up(n: int, factor: int) -> int:
    """To the next multiple."""
    return -(-n // factor) * factor
