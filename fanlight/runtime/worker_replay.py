"""The JavaScript objects that browser.py wraps, where they live in a worker (web/src/python-replay.ts): the same methods, each
a message.  Calls are begun there in the order in which they are made here, so that what only gives orders (`write`, `submit`)
need not be waited for; what fails there is raised by the next call that is.  Knows no JavaScript."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

from fanlight.runtime.browser import JsNotes, JsSource

Ask = Callable[..., "asyncio.Future[Any]"]  # a method's name, its values -> what it returns
PROGRESS_SECONDS = 0.1


class WorkerGpu:
    def __init__(self, ask: Ask, description: str) -> None:
        self._ask, self._description = ask, description

    def describe(self) -> str:
        return self._description

    def isLost(self) -> "asyncio.Future[bool]":
        return self._ask("isLost")

    def replayer(self) -> "WorkerReplayer":
        return WorkerReplayer(self._ask, next(_numbers))


_numbers = count(1)


class WorkerPicture:
    def __init__(self, which: int, width: int, height: int) -> None:
        self.which, self.width, self.height = which, width, height


class WorkerPictures:
    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def fetch(self, url: str) -> "asyncio.Future[Any]":
        return self._ask("fetchPicture", url)

    async def open(self, data: Any) -> WorkerPicture:
        return WorkerPicture(*(await self._ask("openPicture", data)))

    def tiles(self, picture: WorkerPicture, plan: str) -> "asyncio.Future[Any]":
        """Once."""
        return self._ask("tilesOf", picture.which, plan)


class WorkerReplayer:
    def __init__(self, ask: Ask, which: int) -> None:
        self._ask, self._which = ask, which
        self._tickets: dict[int, asyncio.Future[Any]] = {}  # the orders
        self._fault: BaseException | None = None
        self._order("replayer")

    def prepare(self, program: Any, wait: bool) -> "asyncio.Future[Any]":
        return self._call("prepare", program, wait)

    def prepared(self) -> "asyncio.Future[Any]":
        return self._call("prepared")

    async def load(self, files: Any, on_load: Callable[[int, int], None]) -> None:
        loading = self._call("load", files)
        while not (await asyncio.wait([loading], timeout=PROGRESS_SECONDS))[0]:
            on_load(*await self._call("loaded"))
        await loading
        on_load(*await self._call("loaded"))

    def write(self, buffer: str, offset: int, data: Any) -> None:
        self._order("write", buffer, offset, data)

    def clear(self, buffer: str, offset: int, size: int) -> None:
        self._order("clear", buffer, offset, size)

    def copy(self, copies: str) -> None:
        self._order("copy", copies)

    def launch(self, launches: str, count: int) -> None:
        self._order("launch", launches, count)

    def submit(self, step: str, inputs: Any, count: int, with_logprobs: bool) -> int:
        ticket = next(_numbers)
        self._tickets[ticket] = self._order("submit", ticket, step, inputs, count, with_logprobs)
        return ticket

    def result(self, ticket: int) -> "asyncio.Future[Any]":
        return asyncio.ensure_future(self._result(self._tickets.pop(ticket), self._call("result", ticket)))

    def read(self, buffer: str, offset: int, size: int) -> "asyncio.Future[Any]":
        return self._call("read", buffer, offset, size)

    def timings(self, step: str, inputs: Any) -> "asyncio.Future[Any]":
        return self._call("timings", step, inputs)

    def close(self) -> None:
        self._order("close")

    async def _result(self, submitted: "asyncio.Future[Any]", result: "asyncio.Future[Any]") -> Any:
        _, tokens = await asyncio.gather(submitted, result)  # what the order failed of is the reason
        return tokens

    def _call(self, name: str, *values: Any) -> "asyncio.Future[Any]":
        if self._fault is not None:
            raise self._fault
        return self._ask(name, self._which, *values)

    def _order(self, name: str, *values: Any) -> "asyncio.Future[Any]":
        order = self._ask(name, self._which, *values)
        order.add_done_callback(self._note)
        return order

    def _note(self, order: "asyncio.Future[Any]") -> None:
        if not order.cancelled() and (error := order.exception()) is not None:
            self._fault = self._fault or error


class WorkerSource(JsSource):
    """`js`: its number there."""

    def __init__(self, ask: Ask, number: int, name: str, size: int) -> None:
        self.js, self.name, self.size, self._ask = number, name, size, ask

    def download(self) -> None:
        self._ask("download", self.js)

    async def read(self, offset: int, size: int) -> bytes:
        data: bytes = (await self._ask("readSource", self.js, offset, size)).to_bytes()
        return data

    def close(self) -> None:
        self._ask("closeSource", self.js)


class WorkerNotes(JsNotes):
    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def read(self, name: str) -> str | None:
        return await self._ask("note", "read", name, "") or None

    async def write(self, name: str, text: str) -> None:
        await self._ask("note", "write", name, text)


class WorkerEncoder:
    """What fanlight.text.tokenizer.BrowserEncoder asks. which: will be its number there."""

    def __init__(self, ask: Ask, which: "asyncio.Future[int]") -> None:
        self._ask, self._which = ask, which

    async def encode(self, text: str, add_special_tokens: bool) -> Any:
        return await self._ask("encode", await self._which, text, add_special_tokens)

    async def encodePair(self, text: str, pair: str) -> Any:
        return await self._ask("encodePair", await self._which, text, pair)

    async def renamed(self, names: str) -> "WorkerEncoder":
        return WorkerEncoder(self._ask, self._ask("renamed", await self._which, names))
