"""Runs our coroutines where nothing really waits.  `async` is written once, for the browser; natively what blocks does so
inside the same methods, so these few lines give the synchronous API.  Knows nothing of GPUs or models."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

_is_driven: ContextVar[bool] = ContextVar("is_driven", default=False)


def run(awaitable: Awaitable[T]) -> T:
    """The awaitable's result. Raises RuntimeError if it waits for an event loop, as a browser's device does; one that only lets
    others run (`asyncio.sleep(0)`) goes on, for here are no others."""
    was = _is_driven.set(True)
    turns = awaitable.__await__()
    try:
        while next(turns) is None:
            pass
    except StopIteration as done:
        return done.value
    finally:
        _is_driven.reset(was)
    turns.close()
    raise RuntimeError("a native device suspended; only the browser's may")


def has_loop() -> bool:
    """Whether an event loop runs what asks, and has others to run while it waits."""
    return not _is_driven.get() and asyncio._get_running_loop() is not None


async def in_thread(work: Callable[[], T]) -> T:
    """work(): in a thread of its own where an event loop has others to run meanwhile, else here."""
    return await asyncio.get_running_loop().run_in_executor(None, work) if has_loop() else work()


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
