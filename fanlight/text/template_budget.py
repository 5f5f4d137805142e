"""What one rendering of a chat template may cost: steps and bytes, for a device may be slow.  Knows nothing of Jinja."""

import time
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from contextlib import contextmanager
from typing import Any

MAX_STEPS = 1 << 19
MAX_BYTES = 64 << 20  # made while rendering, kept or not; and for each byte of the messages:
BYTES_PER_INPUT_BYTE = 40
MAX_VALUE = 8 << 20  # bytes of one value; and for each byte of the messages:
VALUE_PER_INPUT_BYTE = 4
MAX_CALLS = 40  # of macros, blocks and loops within each other: a browser's stack is small, and Python dies with it
MAX_NESTING = 128  # of lists and dicts in each other; requests are JSON of at most 100
MAX_SECONDS = 20.0  # should a step be slow that is not known to be
clock = getattr(time, "thread_time", lambda: 0.0)  # in a page there is only everybody's time, which proves nothing


class TooMuch(Exception):
    """The template asks for more work or memory than any real one does."""


class Budget:
    """What one rendering, or the compilation of one template, has left."""

    def __init__(self, input_bytes: int = 0, share: float = 1) -> None:
        """share: of what a rendering may cost, for one of our own short messages."""
        self.steps = self._next_look = int(MAX_STEPS * share)
        self.bytes = int(MAX_BYTES * share) + BYTES_PER_INPUT_BYTE * input_bytes
        self.largest = MAX_VALUE + VALUE_PER_INPUT_BYTE * input_bytes
        self._deadline = clock() + MAX_SECONDS
        self._calls = 0

    @contextmanager
    def within(self) -> Iterator[None]:
        """A call, while it is on the stack."""
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise TooMuch(f"more than {MAX_CALLS} calls within each other")
        try:
            yield
        finally:
            self._calls -= 1

    def step(self, count: int = 1) -> None:
        self.steps -= count
        if self.steps < self._next_look:
            self._next_look = self.steps - 200
            if self.steps < 0:
                raise TooMuch("too many loop turns, calls and items")
            if clock() > self._deadline:
                raise TooMuch(f"it takes more than {MAX_SECONDS:g} seconds")

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
        total, level = 0, [value]
        for _ in range(MAX_NESTING):
            inside: list[Any] = []
            for item in level:
                self.step()
                if isinstance(item, str):
                    total += len(item)
                elif isinstance(item, Mapping):
                    self.step(len(item))
                    inside += item.keys()
                    inside += item.values()
                elif isinstance(item, HOLDERS):
                    self.step(len(item))
                    inside += item
                total += 8
                if total > self.largest:
                    raise TooMuch("it looks at too much text")
            if not inside:
                return total
            level = inside
        raise TooMuch(f"lists and dicts more than {MAX_NESTING} deep")


HOLDERS = (list, tuple, set, frozenset, KeysView, ValuesView, ItemsView)
