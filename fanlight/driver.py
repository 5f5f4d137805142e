"""Runs our coroutines where nothing really waits.  `async` is written once, for the browser; natively what blocks does so
inside the same methods, so these few lines give the synchronous API.  Knows nothing of GPUs or models."""

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextvars import Context, ContextVar, copy_context
from typing import TypeVar

T = TypeVar("T")

_is_driven: ContextVar[bool] = ContextVar("is_driven", default=False)
_device_may_block: ContextVar[bool] = ContextVar("device_may_block", default=False)


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


def device_may_block() -> bool:
    """Whether a device may wait for the GPU where it is asked, since nobody else is kept waiting."""
    return not has_loop() or _device_may_block.get()


def of_its_own() -> Context:
    """For the event loop of a thread that has nothing else to do but to wait for the GPU: fewer changes of thread."""
    context = copy_context()
    context.run(_device_may_block.set, True)
    return context


async def in_thread(work: Callable[[], T], seconds: float | None = None) -> T:
    """work(): in a thread of its own where an event loop has others to run meanwhile, else here. There it may take so many
    seconds: then TimeoutError is raised, and nobody waits for the thread any more, which nothing can end."""
    if not has_loop() or sys.platform == "emscripten":
        return work()
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = copy_context()

    def settle(result: T | None, error: Exception | None) -> None:
        if not done.done():
            done.set_result(result) if error is None else done.set_exception(error)  # type: ignore[arg-type]

    def do() -> None:
        result, error = None, None
        try:
            result = context.run(work)
        except BaseException as fault:  # one that is no Exception, such as a panic of a library, would end the loop
            error = fault if isinstance(fault, Exception) else Panic(f"{type(fault).__name__}: {fault}")
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=do, daemon=True, name="fanlight work").start()
    return await asyncio.wait_for(done, seconds)


class Panic(Exception):
    """A library gave up."""


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
