"""The engine inside a page's Web Worker: web/src/worker.ts calls `load`, `handle`, `unload`, `save_state`, `restore_state`,
`abort`, `credit` and `close`, and gets all back through `post(kind, json)`, where kind is progress, value, item, end or error.
JSON text crosses the border, since converting objects one by one is slow.  Knows no model and no request: it hands both on.
Runs only under Pyodide.
"""

import asyncio
import json
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from pyodide.ffi import to_js

from fanlight.api import state
from fanlight.api.body import parse_json
from fanlight.api.checks import Check, integer, of_type, read_fields
from fanlight.api.generation import AGAIN, LoadedModel, no_pause
from fanlight.api.load import LoadOptions, load_model, load_options
from fanlight.api.models import FOR_GOOD, Models
from fanlight.api.progress import WORDS
from fanlight.api.routes import error_body, model_of
from fanlight.api.routes import handle as answer_request
from fanlight.engine.recovery import Reopen
from fanlight.errors import EngineClosed, FanlightError, RequestError, encodable
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.source import Source
from fanlight.runtime.adapter_notes import open_notes
from fanlight.runtime.browser import BrowserAdapter, BrowserDevice, JsNotes, JsProcessor, JsReader, JsSource, python_errors
from fanlight.runtime.device import Device
from fanlight.runtime.notes import MemoryNotes
from fanlight.text.tokenizer import BrowserEncoder

Post = Callable[[str, str], None]

# phase -> what the page is told: phase and words
PHASES = {
    phase: (phase if phase in ("header", "weights") else "compile", words) for phase, words in WORDS.items() if phase != "ready"
}

# Of the first load: what all models share.
SHARED: dict[str, Check] = {"makes_room": of_type(bool, "true or false"), "memory_bytes": integer(1, 2**53)}

_running: dict[int, asyncio.Task[Any]] = {}  # by the request's id
_readers: dict[int, "Reader"] = {}  # of streams
_arrived: dict[int, str] = {}  # models, by the request that loaded them


class PageModels(Models):
    """Opened by the page, on its GPU. gpu: gives a promise of it; another one after it was lost."""

    def __init__(self, gpu: Callable[[], Awaitable[Any]], makes_room: bool = False, memory_bytes: int | None = None) -> None:
        super().__init__(makes_room=makes_room)
        self._gpu, self._memory_bytes = gpu, memory_bytes
        self._adapter: BrowserAdapter | None = None

    async def adapter(self) -> BrowserAdapter:
        with python_errors():
            gpu = await self._gpu()
        if self._adapter is None or self._adapter.gpu.js_id != gpu.js_id:
            self._adapter = BrowserAdapter(gpu, self._memory_bytes)
        return self._adapter


_models: PageModels | None = None


async def load(request_id: int, post: Post, page: Any, model: Any, options: str) -> None:
    """One more model; what it is, as the value. model: `open()` gives what one opening has in the page. options: JSON with the
    fields of LoadOptions, `keep_alive`, and for the first model those of SHARED."""
    await _answer(request_id, post, _load(request_id, post, page, model, json.loads(options)))


async def handle(request_id: int, post: Post, page: Any, path: str, body: str, again: int | None = None) -> None:
    """One request; a stream's items are posted as they come, as long as its reader takes them. again: a seed, where another
    engine may have to give the same answer once more."""
    AGAIN.set(again)  # of this task alone
    await _answer(request_id, post, _handle(path, body))


async def unload(request_id: int, post: Post, page: Any, name: str) -> None:
    await _answer(request_id, post, _unload(name))


async def save_state(request_id: int, post: Post, page: Any, name: str, body: str) -> None:
    """body: a request's fields."""
    await _answer(request_id, post, _save_state(page, name, parse_json(body.encode())))


async def restore_state(request_id: int, post: Post, page: Any, saved: Any, model: str | None) -> None:
    """saved: its name, or a Blob."""
    await _answer(request_id, post, _restore_state(page, saved, model or None))


def abort(request_id: int) -> None:
    """Cancel a request where it waits; its sequences are freed. Nothing happens when it is done already, except that a model
    whose coming the page has not heard of goes again."""
    if request_id in _running:
        _running[request_id].cancel()
    elif _models is not None and _arrived.get(request_id) in [place.name for place in _models]:
        _models.unload(_arrived[request_id])


def credit(request_id: int, count: int) -> None:
    """So many more items are wanted."""
    if request_id in _readers:
        _readers[request_id].add(count)


def close() -> None:
    for task in _running.values():
        task.cancel()
    if _models is not None:
        _models.close()


# --- what they do ----------------------------------------------------------------------------------------------------
async def _load(request_id: int, post: Post, page: Any, model: Any, options: dict[str, Any]) -> dict[str, Any]:
    global _models
    keep_alive = options.pop("keep_alive", FOR_GOOD)
    channel = options.pop("logit_channel", None)
    processor = JsProcessor(page.processor(channel)) if channel else None
    shared = read_fields({name: options.pop(name) for name in SHARED if name in options}, SHARED)
    wanted = load_options(options)
    _models = _models or PageModels(page.gpu, **shared)
    models = _models

    async def open() -> LoadedModel:
        return await _open(await models.adapter(), model.open(), wanted, telling, reopened, processor, page)

    @asynccontextmanager
    async def reopened() -> AsyncGenerator[tuple[Device, Sequence[Source]]]:
        adapter, opening = await models.adapter(), model.open()
        try:
            yield adapter.device(), await _sources(opening)
        finally:
            opening.close()

    telling = post
    loaded = await models.load(open, wanted.name, keep_alive)
    telling = _untold  # who asks for it when it is opened again did not ask for that
    _arrived[request_id] = loaded.model_name
    return loaded.info


def _untold(kind: str, json: str) -> None:
    """Nobody wants to know."""


async def _sources(opening: Any) -> list[JsSource]:
    with python_errors():
        return [JsSource(source) for source in await opening.sources()]


async def _open(
    adapter: BrowserAdapter,
    opening: Any,
    options: LoadOptions,
    post: Post,
    reopen: Reopen | None,
    processor: JsProcessor | None,
    page: Any,
) -> LoadedModel:
    def on_progress(phase: str, done: int, total: int) -> None:
        if phase == "pipelines":  # the memory plan fits: the weights may come while the kernels compile
            for source in sources:
                source.download()
        if phase in PHASES:
            name, text = PHASES[phase]
            loaded, size = (done, total) if name == "weights" else (0, 0)
            post("progress", _json({"phase": name, "loadedBytes": loaded, "totalBytes": size, "text": text}))

    def on_plan(plan: dict[str, int], context_length: int) -> None:
        name, text = PHASES["compile"]
        progress = {"phase": name, "loadedBytes": 0, "totalBytes": 0, "text": text}
        post("progress", _json(progress | {"memoryPlan": plan, "contextLength": context_length}))

    device: BrowserDevice | None = None
    try:
        on_progress("header", 0, 1)
        sources = await _sources(opening)
        checkpoint = await open_checkpoint(sources)
        device = adapter.device()
        store = JsNotes(opening.notes) if opening.notes else MemoryNotes()
        notes = await open_notes(store, device, *((opening.notes.version, opening.notes.build) if opening.notes else ()))
        encoder = lambda text: BrowserEncoder(opening.encoder(to_js(text.encode())))  # noqa: E731
        loaded = await load_model(
            checkpoint, device, options, on_progress, encoder, on_plan, notes, reopen, processor, JsReader(page.pictures)
        )
    except BaseException:
        if device is not None:
            device.close()
        opening.close()
        raise
    opening.opened()
    loaded.pause, loaded.on_close = no_pause, opening.close
    return loaded


async def _handle(path: str, body: str) -> Any:
    return await answer_request(_loaded(), path, parse_json(body.encode()))


async def _unload(name: str) -> None:
    _loaded().unload(name)


async def _save_state(page: Any, name: str, body: Any) -> int:
    check_name(name)
    async with _loaded().using(model_of(body)) as loaded:
        count, parts = await state.state_of(loaded, body)
    with python_errors():
        await page.states.write(name, to_js(parts))
    return count


async def _restore_state(page: Any, saved: Any, model: str | None) -> int:
    is_name = isinstance(saved, str)
    if is_name:
        check_name(saved)
    async with _loaded().using(model) as loaded:
        with python_errors():
            blob = await page.states.read(saved) if is_name else saved
            data = (await blob.arrayBuffer()).to_bytes()
        return state.adopt(loaded, data, saved if is_name else "the given state")


def check_name(name: Any) -> None:
    if not (isinstance(name, str) and name and encodable(name) == name):
        raise RequestError(f"name must be a text, got {name!r}", param="name")


def _loaded() -> PageModels:
    if _models is None:
        raise EngineClosed("no model is loaded", hint="load one")
    return _models


async def _answer(request_id: int, post: Post, answering: Awaitable[Any]) -> None:
    task = asyncio.current_task()
    assert task is not None
    _running[request_id] = task
    try:
        answer = await answering
        if isinstance(answer, AsyncGenerator):
            async with aclosing(answer):
                reader = _readers[request_id] = Reader()
                async for item in answer:
                    post("item", _json(item))
                    await reader.takes()
            post("end", "")
        else:
            post("value", _json(answer))
    except BaseException as error:
        post("error", _json(error_data(error)))
    finally:
        del _running[request_id]
        _readers.pop(request_id, None)


WINDOW = 64  # items that are under way (web/src/channel.ts)


class Reader:
    """Who reads slowly holds up the answer, and fills no memory."""

    def __init__(self) -> None:
        self._left = WINDOW
        self._more = asyncio.Event()

    def add(self, count: int) -> None:
        self._left += count
        self._more.set()

    async def takes(self) -> None:
        """One is under way; waits where that is all that the reader wants for now."""
        self._left -= 1
        while self._left <= 0:
            self._more.clear()
            await self._more.wait()


def error_data(error: BaseException) -> dict[str, Any]:
    """The error as the page re-makes it, and as HTTP says it."""
    if isinstance(error, asyncio.CancelledError) or getattr(error, "name", "") == "AbortError":
        return {"name": "AbortError", "message": "The operation was aborted.", "where": "", "hint": "", "param": None}
    if isinstance(error, FanlightError):
        data = error.to_dict()
    else:
        where = "".join(traceback.format_tb(error.__traceback__, limit=-2)).strip()
        hint = "This is a bug of Fanlight: please report it."
        message = f"{type(error).__name__}: {error}"
        data = {"name": "FanlightError", "message": message, "where": where, "hint": hint, "param": None}
    status, body = error_body(error) if isinstance(error, Exception) else (500, None)
    return {**data, "http": {"status": status, "body": body}}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
