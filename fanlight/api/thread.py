"""An event loop in a thread of its own, for callers that block.  What several threads ask at the same time runs together there;
an interrupt (Ctrl-C) meets the thread that waits, never the work, which is cancelled and unwinds.  Native only, but for Items.
"""

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import closing
from typing import Any, Generic, Protocol, TypeVar

from fanlight import driver

T = TypeVar("T")
END_SECONDS = 5.0  # for the thread to end with the program: a step of a slow adapter takes a while


class LoopThread:
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._context = driver.of_its_own()
        self._lock = threading.Lock()
        self._is_stopped = False
        self._thread = threading.Thread(target=_turn, args=(self._loop,), name="fanlight", daemon=True)
        self._thread.start()
        # An engine that nobody closed must not be at work while the interpreter goes down.
        self._finalizer = weakref.finalize(self, _stop, self._loop, self._thread)

    def run(self, work: Awaitable[T]) -> T:
        """The work's result. An interrupt is raised once the work has ended; a second one at once."""
        call = _Call(work)
        try:
            if not self._schedule(call.start):
                return driver.run(work)
            return call.future.result()
        except BaseException:
            if not call.future.done() and self._schedule(call.cancel):
                wait([call.future])
            raise

    def iterate(self, items: AsyncGenerator[T, None]) -> "Items[T]":
        return Items(self, items)

    def stop(self) -> None:
        """Cancels what is at work. Whatever comes later runs where it is called."""
        with self._lock:
            self._is_stopped = True
        self._finalizer()

    def _schedule(self, begin: Callable[[], None]) -> bool:
        """False once it is stopped. Under the lock: nothing is scheduled behind the end."""
        with self._lock:
            if not self._is_stopped:
                self._loop.call_soon_threadsafe(begin, context=self._context)
            return not self._is_stopped


class Runs(Protocol):
    def run(self, work: Awaitable[T]) -> T: ...


class Items(Iterator[T]):
    """An asynchronous generator's items, for who blocks. One that is dropped is closed by its event loop."""

    def __init__(self, thread: Runs, items: AsyncGenerator[T, None]) -> None:
        self._thread, self._items = thread, items

    def __next__(self) -> T:
        try:
            return self._thread.run(_Next(self._items))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        self._thread.run(self._items.aclose())


class _Next(Awaitable[T]):
    """`anext(items)`, which begins where it is awaited: an interrupt before that leaves no coroutine that nobody awaits."""

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items

    def __await__(self) -> Generator[Any, Any, T]:
        return anext(self._items).__await__()


class _Call(Generic[T]):
    """One piece of work. It is there before anything is scheduled, so that an interrupt always finds what to cancel."""

    def __init__(self, work: Awaitable[T]) -> None:
        self.future: Future[T] = Future()
        self._work = work
        self._task: asyncio.Task[T] | None = None

    def start(self) -> None:
        if not self.future.done():
            self._task = asyncio.get_running_loop().create_task(_awaited(self._work))
            self._task.add_done_callback(self._end)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        else:
            self.future.set_exception(CancelledError())

    def _end(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.future.set_exception(CancelledError())
        elif (error := task.exception()) is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(task.result())


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    with closing(loop):
        loop.run_forever()


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    async def end() -> None:
        for task in (others := asyncio.all_tasks() - {asyncio.current_task()}):
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # who waits for a task that has just ended is told in a turn of its own
        loop.stop()

    def begin() -> None:
        ending.append(loop.create_task(end()))

    ending: list[asyncio.Task[None]] = []  # the loop itself holds tasks weakly
    loop.call_soon_threadsafe(begin)
    if thread is not threading.current_thread():
        thread.join(END_SECONDS)
