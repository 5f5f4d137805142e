"""What one rendering of a chat template may cost: steps, bytes, and the thread's own time.  Knows nothing of Jinja."""

import sys
import time
from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from typing import Any

MAX_STEPS = 1 << 19
MAX_BYTES = 64 << 20  # made while rendering, kept or not; and for each byte of the messages:
BYTES_PER_INPUT_BYTE = 40
MAX_VALUE = 8 << 20  # bytes of one value; and for each byte of the messages:
VALUE_PER_INPUT_BYTE = 4
MAX_SECONDS = 12.0 if sys.platform == "emscripten" else 1.0  # of the thread's own time; in a page whatever else runs counts
clock = getattr(time, "thread_time", time.perf_counter)


class TooMuch(Exception):
    """The template asks for more work or memory than any real one does."""


class Budget:
    """What one rendering, or the compilation of one template, has left."""

    def __init__(self, input_bytes: int = 0, share: float = 1) -> None:
        """share: of what a rendering may cost, for one of our own short messages."""
        self.steps = self._next_look = int(MAX_STEPS * share)
        self.bytes = int(MAX_BYTES * share) + BYTES_PER_INPUT_BYTE * input_bytes
        self.largest = MAX_VALUE + VALUE_PER_INPUT_BYTE * input_bytes
        self._seconds = MAX_SECONDS * share
        self._deadline = clock() + self._seconds

    def step(self, count: int = 1) -> None:
        self.steps -= count
        if self.steps < self._next_look:
            self._next_look = self.steps - 200
            if self.steps < 0:
                raise TooMuch("too many loop turns, calls and items")
            if clock() > self._deadline:
                raise TooMuch(f"it takes more than {self._seconds:g} seconds")

    def spend(self, size: int) -> None:
        """For something of `size` bytes, before it is made where that can be told."""
        self.bytes -= size
        if self.bytes < 0 or size > self.largest:
            raise TooMuch("it makes too much text")
        self.step(1 + (size >> 10))

    def weigh(self, value: Any) -> int:
        """The characters of a value's text, roughly, with all it holds as often as it holds it: lists that share their parts
        can be small and print for ever."""
        if isinstance(value, str):
            return len(value)
        if value is None or isinstance(value, (bool, int, float)):
            return 8 + (value.bit_length() // 3 if isinstance(value, int) else 16)
        total, pending = 0, [value]
        while pending:
            self.step()
            item = pending.pop()
            if isinstance(item, str):
                total += len(item)
            elif isinstance(item, Mapping):
                self.step(len(item))
                pending += item.keys()
                pending += item.values()
            elif isinstance(item, HOLDERS):
                self.step(len(item))
                pending += item
            total += 8
            if total > self.largest:
                raise TooMuch("it looks at too much text")
        return total


HOLDERS = (list, tuple, set, frozenset, KeysView, ValuesView, ItemsView)
