"""Runs our coroutines where nothing really waits.  `async` is written once, for the browser; native devices block inside the
same methods, so these few lines give the synchronous API.  Knows nothing of GPUs or models."""

from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result. Raises RuntimeError if it suspends, which only a browser's device may do."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise RuntimeError("a native device suspended; only the browser's may")


def iterate(items: AsyncIterator[T]) -> Iterator[T]:
    """The asynchronous iterator's items, one by one; closing the result closes the iterator."""
    try:
        while True:
            try:
                yield run(items.__anext__())
            except StopAsyncIteration:
                return
    finally:
        run(items.aclose())
