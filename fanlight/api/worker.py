"""The engine inside a page's Web Worker: web/src/worker.ts calls `load`, `handle`, `abort` and `close`, and gets everything back through
`post(kind, json)`, where kind is progress, value, item, end or error.  JSON text crosses the border, since converting objects one by one
is slow.  Knows no model and no request: it hands both on.  Runs only under Pyodide.
"""

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from fanlight.engine.tokenizer import BrowserEncoder
from fanlight.errors import EngineClosed, FanlightError
from fanlight.runtime.browser import BrowserDevice, JsSource

Post = Callable[[str, str], None]

_engine: Any = None  # the one engine of this worker
_running: dict[int, asyncio.Task[Any]] = {}  # by the request's id


async def load(replayer: Any, sources: Sequence[Any], options: str, make_encoder: Any, post: Post) -> None:
    """Open the model and make the engine; then post its `info` as the value."""
    global _engine

    def on_progress(phase: str, loaded: int, total: int, text: str = "") -> None:
        progress = {"phase": phase, "loadedBytes": loaded, "totalBytes": total, "text": text}
        post("progress", _text(progress))

    try:
        from fanlight.engine.load import load_engine

        wanted = {**json.loads(options), "make_encoder": lambda text: BrowserEncoder(make_encoder(text))}
        _engine = await load_engine([JsSource(source) for source in sources], BrowserDevice(replayer), wanted, on_progress)
        post("value", _text(_engine.info))
    except BaseException as error:
        post("error", _text(_error_data(error)))


async def handle(request_id: int, path: str, body: str, post: Post) -> None:
    """One request; a stream's items are posted as they come."""
    from fanlight.api import handle as handle_request

    _running[request_id] = asyncio.current_task()
    try:
        if _engine is None:
            raise EngineClosed("no model is loaded")
        answer = await handle_request(_engine, path, json.loads(body))
        if isinstance(answer, AsyncIterator):
            async with aclosing(answer):
                async for item in answer:
                    post("item", _text(item))
            post("end", "")
        else:
            post("value", _text(answer))
    except BaseException as error:
        post("error", _text(_error_data(error)))
    finally:
        del _running[request_id]


def abort(request_id: int) -> None:
    """Cancel a request where it waits; its sequence is freed. Does nothing when it is done already."""
    if task := _running.get(request_id):
        task.cancel()


def close() -> None:
    global _engine
    for task in _running.values():
        task.cancel()
    if _engine is not None:
        _engine.close()
        _engine = None


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _error_data(error: BaseException) -> dict[str, str | None]:
    if isinstance(error, FanlightError):
        return error.to_dict()
    if isinstance(error, asyncio.CancelledError) or getattr(error, "name", "") == "AbortError":
        return {"name": "AbortError", "message": "The operation was aborted.", "where": "", "hint": "", "param": None}
    where = "".join(traceback.format_tb(error.__traceback__, limit=-2)).strip()
    message = f"{type(error).__name__}: {error}"
    return {
        "name": "FanlightError",
        "message": message,
        "where": where,
        "hint": "This is a bug: please report it.",
        "param": None,
    }
