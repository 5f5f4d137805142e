"""Pictures among a prompt's tokens: what a vision tower made of them, in the buffer `images`, where the rows of a step find it.

A picture is taken in right before the first step that has rows of it, and what was made of it stays for later steps until its
place is needed, the least recently used first: so a prompt that is computed again, or goes on in another step, mostly finds it
there. What a sequence needs to take it in again it keeps itself."""

from array import array
from collections import OrderedDict
from collections.abc import Sequence as Sequence_
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from fanlight.compiler.program import (
    AHEAD_SHIFT,
    AXES,
    IMAGE_ROW_SHIFT,
    ROW_IS_IMAGE,
    ROW_WORDS,
    Program,
    image_record,
    image_words,
)
from fanlight.errors import RequestError
from fanlight.runtime.device import Device

if TYPE_CHECKING:
    from fanlight.engine.scheduler import StepPlan
    from fanlight.engine.sequence import Sequence

Colours = tuple[tuple[float, ...], tuple[float, ...]]  # scale and shift of red, green and blue: how a byte is read


@dataclass(frozen=True, slots=True)
class Image:
    """A picture of the size that the tower reads, or a part of one. digest: of all that it depends on."""

    pixels: bytes  # 3 a pixel, row by row
    width: int  # pixels
    height: int
    colours: Colours
    digest: bytes


def image_of(pixels: bytes, width: int, height: int, colours: Colours) -> Image:
    facts = repr((width, height, colours)).encode()
    return Image(pixels, width, height, colours, sha256(facts + pixels).digest())


@dataclass(frozen=True, slots=True)
class Placed:
    """An image that a prompt's tokens from `start` on stand for, so many as it has rows. line: rows side by side, after which,
    but for the last of them, comes a token that stands for none; 0: there are no such tokens."""

    start: int
    image: Image
    num_rows: int
    line: int = 0

    @property
    def end(self) -> int:
        return self.start + self.num_rows + ((self.num_rows - 1) // self.line if self.line else 0)

    def row_of(self, token: int) -> int | None:
        """Which of its rows a token from `start` to `end` stands for."""
        if not self.line:
            return token - self.start
        above, right = divmod(token - self.start, self.line + 1)
        return None if right == self.line else above * self.line + right


def turns_among(images: Sequence_[Placed], shapes: Sequence_[tuple[int, int]], start: int, size: int) -> "array[int]":
    """AXES positions of each token from `start` on: time, height and width. A picture is one moment, and its rows and columns
    count from there; text goes on after the longer of them. shapes: rows and columns of each."""
    made, at, position, end = array("I"), 0, 0, start + size
    for placed, (height, width) in zip(images, shapes, strict=True):
        made.extend(n for i in range(max(at, start), min(placed.start, end)) for n in (position + i - at,) * AXES)
        position += placed.start - at
        for i in range(max(placed.start, start), min(placed.end, end)):
            down, right = divmod(i - placed.start, width)
            made.extend((position, position + down, position + right))
        position, at = position + max(height, width), placed.end
    made.extend(n for i in range(max(at, start), end) for n in (position + i - at,) * AXES)
    return made


def turns_of(plan: "StepPlan") -> "array[int] | None":
    """Of all its rows; None where all turn by their positions."""
    if not plan.turns:
        return None
    made = array("I", (position for position in plan.words[1::ROW_WORDS] for _ in range(AXES)))
    for row, turns in plan.turns:
        made[AXES * row : AXES * row + len(turns)] = turns
    return made


class Images:
    def __init__(self, program: Program) -> None:
        self.step = program.image_step
        self._max_num_seqs, self._turns = program.max_num_seqs, program.turns
        self.max_rows = program.max_rows  # of a step that computes prompts
        self._places: OrderedDict[bytes, int] = OrderedDict()  # digest -> first row, the least recently used first
        self._free = list(range(0, self.step.room, self.step.most_rows))[::-1] if self.step else []

    def check(self, images: tuple[Placed, ...], num_tokens: int, has_sinks: bool) -> None:
        """Raises RequestError."""
        if images and has_sinks:
            raise RequestError("pictures do not go with attention sinks, which take tokens out of a prompt", param="num_sinks")
        if images and self.step is None:
            raise RequestError("this model takes no pictures", param="messages")
        if images and self.step and self.step.both_ways and self.step.most_rows > self.max_rows:
            message = f"a picture has {self.step.most_rows} rows, which one step must take, and steps have {self.max_rows}"
            raise RequestError(message, param="messages")
        end = 0
        for placed in images:
            below, beside = self.shape(placed.image)
            fits = placed.num_rows == below * beside and placed.line in (0, beside) and not (placed.line and self._turns)
            if not fits or placed.start < end or placed.end > num_tokens:
                raise RequestError("a picture's rows do not fit the prompt", param="messages")
            end = placed.end

    def shape(self, image: Image) -> tuple[int, int]:
        """Rows of the language model one below the other, and side by side: tokens that stand for it. Raises RequestError where
        it is not as the tower reads pictures."""
        assert self.step is not None
        height, width = self._grid(image)
        side, merge = self.step.patch, self.step.merge
        is_whole = image.height == height * side and image.width == width * side and not (height % merge or width % merge)
        is_right = is_whole and 0 < height * width <= self.step.height * self.step.width
        if not is_right or len(image.pixels) != 3 * image.width * image.height:
            raise RequestError(f"a picture of {image.width} x {image.height} pixels, which this model does not read")
        return height // merge, width // merge

    def _grid(self, image: Image) -> tuple[int, int]:
        """Patches one below the other, and side by side."""
        assert self.step is not None
        return image.height // self.step.patch, image.width // self.step.patch

    def mark(self, plan: "StepPlan", sequence: "Sequence", start: int, size: int) -> None:
        """The plan's last `size` rows are the sequence's tokens from `start` on: which of them are rows of pictures."""
        first_row = plan.num_rows - size
        for placed in sequence.images:
            first, end = max(start, placed.start), min(start + size, placed.end)
            if first >= end:
                continue
            at = self._place(plan, placed.image)
            for token in range(first, end):
                if (row := placed.row_of(token)) is None:
                    continue
                ahead = (placed.end - 1 - token) << AHEAD_SHIFT if self.step and self.step.both_ways else 0
                plan.words[(first_row + token - start) * ROW_WORDS + 3] |= ROW_IS_IMAGE | ahead | (at + row) << IMAGE_ROW_SHIFT

    def uncut(self, sequence: "Sequence", start: int, size: int) -> int:
        """As many of the `size` tokens from `start` on as end with no part of a picture whose rows see each other."""
        if self.step is None or not self.step.both_ways:
            return size
        cut = next((placed for placed in sequence.images if placed.start < start + size < placed.end), None)
        return size if cut is None else max(0, cut.start - start)

    def turn(self, plan: "StepPlan", sequence: "Sequence", start: int, size: int) -> None:
        """By which positions these rows turn, where the model has several axes."""
        if self._turns:
            shapes = [self.shape(placed.image) for placed in sequence.images]
            plan.turns.append((plan.num_rows - size, turns_among(sequence.images, shapes, start, size)))

    def _place(self, plan: "StepPlan", image: Image) -> int:
        """The first of its rows, which are there when the plan's step runs."""
        if image.digest in self._places:
            self._places.move_to_end(image.digest)
            return self._places[image.digest]
        # There is room for the pictures of any one step (compiler), so what goes is none of this one's.
        at = self._free.pop() if self._free else self._places.popitem(last=False)[1]
        self._places[image.digest] = at
        plan.images.append((image, at))
        return at

    def take_in(self, plan: "StepPlan", device: Device) -> None:
        """Queue what makes the plan's pictures' rows."""
        for image, at in plan.images:
            assert self.step is not None
            grid = self._grid(image)
            words = image_words(*grid, self.step.merge, self.step.has_class, self.step.side)
            rows = grid[0] * grid[1] // self.step.merge**2
            device.write("pixels", 0, image.pixels + bytes(-len(image.pixels) % 4))
            device.write("inputs", 0, image_record(words, grid, at, rows, image.colours, self._max_num_seqs))
            device.launch(self.step.step.launches)

    def forget(self) -> None:
        """Nothing that was made is there any more."""
        self._free += self._places.values()
        self._places.clear()
