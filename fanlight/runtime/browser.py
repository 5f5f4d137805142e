"""The page's GPU as a Device, and the page's files as Sources: thin shells over the JavaScript objects of web/src (replay.ts,
sources.ts), method for method.  Runs only under Pyodide; no weight byte passes through here.  With javascript.py and
api/worker.py, the only file that knows JavaScript's objects.

Long texts cross the border as bytes: Pyodide converts a str character by character.
"""

import asyncio
import json
from collections.abc import Awaitable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any, cast

from pyodide.ffi import JsException, create_proxy, to_js

import fanlight.errors
from fanlight.compiler.program import Launch, Limits, Program
from fanlight.errors import FanlightError, RequestError
from fanlight.formats.source import Source
from fanlight.runtime.adapter import Adapter
from fanlight.runtime.device import AdapterInfo, Copy, LaunchTime, OnLoad


@contextmanager
def python_errors() -> Iterator[None]:
    """Re-makes our errors that JavaScript threw, class for class; others (an aborted read, say) pass as they are."""
    try:
        yield
    except JsException as error:
        made = getattr(fanlight.errors, str(error.name), None)
        if not (isinstance(made, type) and issubclass(made, FanlightError)):
            raise
        param = error.param if isinstance(error.param, str) else None  # JavaScript's null is an object of its own here
        raise made(error.message, where=error.where, hint=error.hint, param=param) from None


class JsSource:
    """A Source of the page: a URL, a File, or a file that was stored before."""

    def __init__(self, source: Any) -> None:
        self.js = source
        self.name: str = source.name
        self.size: int = source.size

    def download(self) -> None:
        """All of it will be read now, from its start to its end."""
        if hasattr(self.js, "download"):
            self.js.download()

    async def read(self, offset: int, size: int) -> bytes:
        with python_errors():
            return (await self.js.read(offset, size)).to_bytes()

    def close(self) -> None:
        if hasattr(self.js, "close"):
            self.js.close()


class JsNotes:
    """fanlight.runtime.notes.Notes in the page's private files (web/src/notes.ts), which never throws."""

    def __init__(self, notes: Any) -> None:
        self.js = notes

    async def read(self, name: str) -> str | None:
        return await self.js.read(name) or None

    async def write(self, name: str, text: str) -> None:
        await self.js.write(name, text)


class JsProcessor:
    """The page's logit processor (web/src/logits.ts)."""

    def __init__(self, processor: Any) -> None:
        self._js = processor

    async def biases(self, logits: bytes) -> bytes:
        with python_errors():
            return bytes((await self._js.biases(to_js(logits))).to_bytes())

    def sampled(self, token_id: int) -> None:
        self._js.sampled(token_id)


class JsReader:
    """The page's reader of pictures (web/src/picture-reader.ts)."""

    def __init__(self, reader: Any) -> None:
        self._js = reader

    async def fetch(self, url: str) -> bytes:
        with _picture_errors():
            return (await self._js.fetch(url)).to_bytes()

    async def open(self, data: bytes) -> tuple[Any, int, int]:
        with _picture_errors():
            picture = await self._js.open(to_js(data))
        return picture, int(picture.width), int(picture.height)

    async def tiles(self, picture: Any, plan: Any) -> bytes:
        """plan: fanlight.images.plan.Plan"""
        with _picture_errors():
            return (await self._js.tiles(picture, json.dumps(plan.to_json()))).to_bytes()


@contextmanager
def _picture_errors() -> Iterator[None]:
    try:
        yield
    except JsException as error:
        raise RequestError(f"a picture cannot be read: {error.message}", param="messages") from None


class BrowserAdapter(Adapter):
    """gpu: a JavaScript object with `describe()`, and `replayer()`, which makes one more (web/src/worker.ts)."""

    def __init__(self, gpu: Any, memory_bytes: int | None = None) -> None:
        found = json.loads(gpu.describe())
        names = {field.name: _camel(field.name) for field in fields(Limits)}
        limits = {name: found["limits"][camel] for name, camel in names.items() if camel in found["limits"]}
        super().__init__(AdapterInfo(**found["info"]), Limits(**limits, features=frozenset(found["features"])))
        self.gpu = gpu
        self.allow(memory_bytes)

    def device(self) -> "BrowserDevice":
        return BrowserDevice(self.gpu.replayer(), self)


class BrowserDevice:
    """The page's GPU through the TypeScript replayer."""

    def __init__(self, replayer: Any, adapter: BrowserAdapter | None = None) -> None:
        """Without an adapter it is alone."""
        self._replayer = replayer
        self.adapter = adapter or BrowserAdapter(replayer)
        self.adapter.add(self)

    @property
    def info(self) -> AdapterInfo:
        return self.adapter.info

    @property
    def limits(self) -> Limits:
        return self.adapter.limits_beside(self)

    async def prepare(self, program: Program, wait: bool = True) -> None:
        self.adapter.take(self, program)
        with python_errors():
            await self._replayer.prepare(to_js(program.to_json().encode()), wait)

    async def prepared(self) -> None:
        with python_errors():
            await self._replayer.prepared()

    async def load(self, sources: Sequence[Source], on_load: OnLoad) -> None:
        callback = create_proxy(on_load)
        try:
            with python_errors():
                opened = cast("Sequence[JsSource]", sources)  # a page has no others
                await self._replayer.load(to_js([source.js for source in opened]), callback)
        finally:
            callback.destroy()

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        with python_errors():
            self._replayer.write(buffer, offset, to_js(data))

    def clear(self, buffer: str, offset: int, size: int) -> None:
        with python_errors():
            self._replayer.clear(buffer, offset, size)

    def copy(self, copies: Sequence[Copy]) -> None:
        with python_errors():
            self._replayer.copy(json.dumps([[asdict(to), asdict(source)] for to, source in copies]))

    def submit(self, step: str, inputs: bytes, count: int = 1, with_logprobs: bool = False) -> int:
        with python_errors():
            return self._replayer.submit(step, to_js(inputs), count, with_logprobs)

    def launch(self, launches: Sequence[Launch], count: int = 1) -> None:
        with python_errors():
            self._replayer.launch(json.dumps([asdict(launch) for launch in launches]), count)

    def result(self, ticket: int) -> "JsResult":
        return JsResult(self._replayer.result(ticket))

    def read(self, buffer: str, offset: int, size: int) -> Awaitable[bytes]:
        with python_errors():
            return _bytes_of(self._replayer.read(buffer, offset, size))

    async def timings(self, step: str, inputs: bytes) -> list[LaunchTime]:
        with python_errors():
            times = await self._replayer.timings(step, to_js(inputs))
        return [LaunchTime(time.kernel, time.where, time.microseconds) for time in times]

    def close(self) -> None:
        self._replayer.close()
        self.adapter.give_back(self)


class JsResult:
    """Tokens on their way, awaited without a task between: each turn of Pyodide's event loop is a message of the browser."""

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future

    def __await__(self) -> Generator[Any, Any, list[int]]:
        with python_errors():
            tokens = yield from asyncio.shield(self._future).__await__()  # a waiter that is cancelled would cancel it
        return tokens.to_py().tolist()


async def _bytes_of(reading: Any) -> bytes:
    with python_errors():
        return (await reading).to_bytes()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
