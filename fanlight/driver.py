"""Runs our coroutines where nothing really waits.  `async` is written once, for the browser; native devices block inside the
same methods, so these few lines give the synchronous API.  Knows nothing of GPUs or models."""

from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import TypeVar

T = TypeVar("T")


def run(awaitable: Awaitable[T]) -> T:
    """The awaitable's result. Raises RuntimeError if it suspends, which only a browser's device may do."""
    turns = awaitable.__await__()
    try:
        next(turns)
    except StopIteration as done:
        return done.value
    turns.close()
    raise RuntimeError("a native device suspended; only the browser's may")


def iterate(items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """The asynchronous generator's items, one by one; closing the result closes the iterator."""
    try:
        while True:
            try:
                yield run(items.__anext__())
            except StopAsyncIteration:
                return
    finally:
        run(items.aclose())
