"""The engine inside a page's Web Worker: web/src/worker.ts calls `load`, `handle`, `abort` and `close`, and gets all back
through `post(kind, json)`, where kind is progress, value, item, end or error.  JSON text crosses the border, since converting
objects one by one is slow.  Knows no model and no request: it hands both on.  Runs only under Pyodide.
"""

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from pyodide.ffi import to_js

from fanlight.api.body import parse_json
from fanlight.api.generation import LoadedModel, no_pause
from fanlight.api.load import LoadOptions, load_model
from fanlight.api.routes import error_body
from fanlight.api.routes import handle as answer_request
from fanlight.errors import EngineClosed, FanlightError
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.runtime.adapter_notes import open_notes
from fanlight.runtime.browser import BrowserDevice, JsNotes, JsSource, python_errors
from fanlight.runtime.notes import MemoryNotes
from fanlight.text.tokenizer import BrowserEncoder

Post = Callable[[str, str], None]

# phase -> what the page is told: phase and words
PHASES = {
    "header": ("header", "Reading the model's description"),
    "compile": ("compile", "Compiling the model for this graphics adapter"),
    "pipelines": ("compile", "Compiling the kernels"),
    "tune": ("compile", "Finding out what suits this graphics adapter"),
    "check": ("compile", "Checking the kernels on this graphics adapter"),
    "replace": ("compile", "Replacing kernels that this graphics adapter gets wrong"),
    "weights": ("weights", "Loading the weights"),
}

_loaded: dict[int, LoadedModel] = {}  # the models of this worker, by the page's numbers
_running: dict[int, tuple[int, asyncio.Task[Any]]] = {}  # by the request's id: whose it is


async def load(
    engine: int,
    opening: Awaitable[Any],
    sources: Sequence[Any],
    options: str,
    make_encoder: Any,
    post: Post,
    js_notes: Any = None,
) -> None:
    """Open the engine's model, then post what it is as the value. opening: the replayer, once the GPU is open. `options`: JSON
    with the fields of LoadOptions. js_notes: web/src/notes.ts, or nothing where nothing is kept."""

    def on_progress(phase: str, done: int, total: int) -> None:
        if phase == "pipelines":  # the memory plan fits: the weights may come while the kernels compile
            for source in opened:
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
    opened = [JsSource(source) for source in sources]
    try:
        on_progress("header", 0, 1)
        checkpoint = await open_checkpoint(opened)
        with python_errors():
            device = BrowserDevice(await opening)
        wanted = LoadOptions(**json.loads(options))
        store = JsNotes(js_notes) if js_notes else MemoryNotes()
        versions = (js_notes.version, js_notes.build) if js_notes else ("", "")
        notes = await open_notes(store, device, *versions)
        encoder = lambda text: BrowserEncoder(make_encoder(to_js(text.encode())))  # noqa: E731
        loaded = await load_model(checkpoint, device, wanted, on_progress, encoder, on_plan, notes)
        loaded.pause = no_pause
        _loaded[engine] = loaded
        post("value", _json(loaded.info))
    except BaseException as error:
        if device is not None:
            device.close()
        post("error", _json(error_data(error)))


async def handle(engine: int, request_id: int, path: str, body: str, post: Post) -> None:
    """One request; a stream's items are posted as they come."""
    task = asyncio.current_task()
    assert task is not None
    _running[request_id] = engine, task
    try:
        if engine not in _loaded:
            raise EngineClosed("the engine is closed", hint="load the model again")
        answer = await answer_request(_loaded[engine], path, parse_json(body.encode()))
        if isinstance(answer, Mapping):
            post("value", _json(answer))
        else:
            async with aclosing(answer):
                async for item in answer:
                    post("item", _json(item))
            post("end", "")
    except BaseException as error:
        post("error", _json(error_data(error)))
    finally:
        del _running[request_id]


def abort(request_id: int) -> None:
    """Cancel a request where it waits; its sequences are freed. Nothing happens when it is done already."""
    if request_id in _running:
        _running[request_id][1].cancel()


def close(engine: int) -> None:
    """Nothing happens where it is closed, or was never loaded."""
    for owner, task in _running.values():
        if owner == engine:
            task.cancel()
    if loaded := _loaded.pop(engine, None):
        loaded.close()


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
