"""What stands among a prompt's tokens and is none: pictures (images.py) and sounds (sounds.py), of which an encoder makes rows
in the buffer `images`, where the rows of a step find them.

One is taken in right before the first step that has rows of it, and what was made of it stays for later steps until its place
is needed, the least recently used first: so a prompt that is computed again, or goes on in another step, mostly finds it
there. What a sequence needs to take it in again it keeps itself."""

from collections import OrderedDict
from typing import Any

from fanlight.compiler.program import AHEAD_SHIFT, IMAGE_ROW_SHIFT, ROW_IS_IMAGE, ROW_WORDS, ImageStep, Program, SoundStep
from fanlight.engine.placed import Placed, Taken
from fanlight.engine.sequence import Sequence
from fanlight.engine.step_plan import StepPlan
from fanlight.errors import RequestError
from fanlight.runtime.device import Device


class Taking:
    """What a model takes in: here nothing. step: what makes rows of it."""

    what = "picture"

    def __init__(self, program: Program, step: ImageStep | SoundStep | None = None) -> None:
        self._max_num_seqs, self._turns = program.max_num_seqs, program.turns
        self.max_rows = program.max_rows  # of a step that computes prompts
        self._most_rows = step.most_rows if step else 0
        self._both_ways = isinstance(step, ImageStep) and step.both_ways
        self._places: OrderedDict[bytes, int] = OrderedDict()  # digest -> first row, the least recently used first
        self._free = list(range(0, step.room, step.most_rows))[::-1] if step else []

    @property
    def takes_any(self) -> bool:
        return self._most_rows > 0

    def check(self, images: tuple[Placed, ...], num_tokens: int, has_sinks: bool) -> None:
        """Raises RequestError."""
        if images and has_sinks:
            message = f"{self.what}s do not go with attention sinks, which take tokens out of a prompt"
            raise RequestError(message, param="num_sinks")
        if images and not self.takes_any:
            raise RequestError("this model takes no pictures and no sounds", param="messages")
        if images and self._both_ways and self._most_rows > self.max_rows:
            message = f"a {self.what} has {self._most_rows} rows, which one step must take, and steps have {self.max_rows}"
            raise RequestError(message, param="messages")
        end = 0
        for placed in images:
            below, beside = self.shape(placed.image)
            fits = placed.num_rows == below * beside and placed.line in (0, beside) and not (placed.line and self._turns)
            if not fits or placed.start < end or placed.end > num_tokens:
                raise RequestError(f"a {self.what}'s rows do not fit the prompt", param="messages")
            end = placed.end

    def shape(self, image: Any) -> tuple[int, int]:
        """Rows of the language model one below the other, and side by side: tokens that stand for it. Raises RequestError where
        it is not as the encoder reads them."""
        raise NotImplementedError

    def mark(self, plan: StepPlan, sequence: Sequence, start: int, size: int) -> None:
        """The plan's last `size` rows are the sequence's tokens from `start` on: which of them stand for something."""
        first_row = plan.num_rows - size
        for placed in sequence.images:
            first, end = max(start, placed.start), min(start + size, placed.end)
            if first >= end:
                continue
            at = self._place(plan, placed.image)
            plan.seen.add(placed.image.digest)
            for token in range(first, end):
                if (row := placed.row_of(token)) is None:
                    continue
                ahead = (placed.end - 1 - token) << AHEAD_SHIFT if self._both_ways else 0
                plan.words[(first_row + token - start) * ROW_WORDS + 3] |= ROW_IS_IMAGE | ahead | (at + row) << IMAGE_ROW_SHIFT

    def fitting(self, plan: StepPlan, sequence: Sequence, start: int, size: int, wanted: int) -> int:
        """As many of the `size` tokens from `start` on as stand for no more than there are places for, beside what the plan has
        already; where it is not all that are `wanted`, ending with no part of something whose rows see each other."""
        seen, places = set(plan.seen), len(self._places) + len(self._free)
        asked = [placed for placed in sequence.images if placed.start < start + size and start < placed.end]
        for placed in asked:
            seen.add(placed.image.digest)
            if len(seen) > places:
                size = max(0, placed.start - start)
                break
        if not self._both_ways or size == wanted:
            return size
        cut = next((placed for placed in asked if placed.start < start + size < placed.end), None)
        return size if cut is None else max(0, cut.start - start)

    def turn(self, plan: StepPlan, sequence: Sequence, start: int, size: int) -> None:
        """By which positions these rows turn, where the model has several axes."""

    def _place(self, plan: StepPlan, image: Taken) -> int:
        """The first of its rows, which are there when the plan's step runs."""
        if image.digest in self._places:
            self._places.move_to_end(image.digest)
            return self._places[image.digest]
        # There is a place for each of a plan's (`fitting`), so what goes is none of this one's.
        at = self._free.pop() if self._free else self._places.popitem(last=False)[1]
        self._places[image.digest] = at
        plan.images.append((image, at))
        return at

    def take_in(self, plan: StepPlan, device: Device) -> None:
        """Queue what makes the rows of all that the plan takes in."""

    def forget(self) -> None:
        """Nothing that was made is there any more."""
        self._free += self._places.values()
        self._places.clear()
