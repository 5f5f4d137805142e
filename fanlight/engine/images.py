"""Pictures among a prompt's tokens: what a vision tower made of them, in the buffer `images` (taken.py)."""

from array import array
from collections.abc import Sequence as Sequence_
from dataclasses import dataclass
from hashlib import sha256

from fanlight.compiler.program import AXES, Program, image_record, image_words
from fanlight.engine.placed import Placed
from fanlight.engine.sequence import Sequence
from fanlight.engine.step_plan import StepPlan
from fanlight.engine.taken import Taking
from fanlight.errors import RequestError
from fanlight.runtime.device import Device

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


class Images(Taking):
    def __init__(self, program: Program) -> None:
        super().__init__(program, program.image_step)
        self.step = program.image_step

    def shape(self, image: Image) -> tuple[int, int]:
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

    def turn(self, plan: StepPlan, sequence: Sequence, start: int, size: int) -> None:
        if self._turns:
            shapes = [self.shape(placed.image) for placed in sequence.images if isinstance(placed.image, Image)]
            plan.turns.append((plan.num_rows - size, turns_among(sequence.images, shapes, start, size)))

    def take_in(self, plan: StepPlan, device: Device) -> None:
        for image, at in plan.images:
            assert self.step is not None and isinstance(image, Image)
            grid = self._grid(image)
            words = image_words(*grid, self.step.merge, self.step.has_class, self.step.side)
            rows = grid[0] * grid[1] // self.step.merge**2
            device.write("pixels", 0, image.pixels + bytes(-len(image.pixels) % 4))
            device.write("inputs", 0, image_record(words, grid, at, rows, image.colours, self._max_num_seqs))
            device.launch(self.step.step.launches)
