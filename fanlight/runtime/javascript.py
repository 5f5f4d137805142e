"""Our JavaScript for a Python that somebody else booted: in JupyterLite, PyScript, marimo, or a page's own Pyodide.

It is in the package, as text (web/src/python-replay.ts), and is loaded in the first of three ways that the page's
Content-Security-Policy allows:

1. somebody registered it as `fanlight_replay`: pyodide.registerJsModule, PyScript's js_modules, or a global name;
2. import() of a blob: URL, which needs script-src blob: and, but for a page's own thread, 'unsafe-eval';
3. a worker of a blob: URL, which needs worker-src blob:; calls are messages then (worker_replay.py).

Runs only under Pyodide. No weight byte passes through here but those of files that Python itself holds.
"""

import asyncio
import base64
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, TypeVar

import js
from pyodide.code import run_js
from pyodide.ffi import JsException, JsProxy, can_run_sync, create_proxy, run_sync, to_js

import fanlight.errors
from fanlight.errors import DeviceError, FanlightError, RequestError
from fanlight.runtime.browser import JsNotes, JsSource, python_errors
from fanlight.runtime.worker_replay import Ask, WorkerEncoder, WorkerGpu, WorkerNotes, WorkerPictures, WorkerSource

T = TypeVar("T")

NAME = "fanlight_replay"
FOLDER = files("fanlight") / "assets" / "fanlight"
FILE = FOLDER / "python-replay.js"
WORKER_NAME = "fanlight replay"  # by which the text knows that it is one
WORKER_SECONDS = 60.0  # to start
PIECE_BYTES = 4 << 20


class Javascript:
    """In Python's own thread. module: what python-replay.ts exports."""

    def __init__(self, module: Any) -> None:
        self._module = module

    async def open_gpu(self) -> Any:
        """For BrowserAdapter."""
        with python_errors():
            return await self._module.openGpu()

    async def open_sources(self, model: Any) -> tuple[list[JsSource], Callable[[], None]]:
        """model: from `at_url`, `in_hub` or `of_files`. The files, and what closes them and ends their downloads."""
        controller = js.AbortController.new()
        try:
            with python_errors():
                sources = [JsSource(source) for source in await self._module.openSources(model, controller.signal)]
        except BaseException:
            controller.abort()
            raise

        def close() -> None:
            controller.abort()
            for source in sources:
                source.close()

        return sources, close

    async def open_notes(self) -> tuple[JsNotes, str, str]:
        """With the browser's version and the build of ours."""
        notes = self._module.Notes.new()
        return JsNotes(notes), notes.version, notes.build

    def pictures(self) -> Any:
        """For JsReader."""
        return self._module.reader

    def encoder(self, tokenizer_json: bytes) -> Any:
        """For BrowserEncoder."""
        return self._module.openEncoder(to_js(tokenizer_json))


class JavascriptInWorker(Javascript):
    """The same in a worker."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def open_gpu(self) -> WorkerGpu:
        return WorkerGpu(self._ask, await self._ask("gpu"))

    async def open_sources(self, model: Any) -> tuple[list[JsSource], Callable[[], None]]:
        opened = (await self._ask("open", model)).to_py()
        sources: list[JsSource] = [WorkerSource(self._ask, *found) for found in opened]

        def close() -> None:
            for source in sources:
                source.close()

        return sources, close

    async def open_notes(self) -> tuple[JsNotes, str, str]:
        version, build = await self._ask("notes")
        return WorkerNotes(self._ask), version, build

    def pictures(self) -> WorkerPictures:
        return WorkerPictures(self._ask)

    def encoder(self, tokenizer_json: bytes) -> WorkerEncoder:
        return WorkerEncoder(self._ask, self._ask("encoder", tokenizer_json))


# --- models ----------------------------------------------------------------------------------------------------------
def at_url(url: str, access: Mapping[str, str]) -> Any:
    """access: settings.hub_access, for a page of the hub."""
    return _object({"kind": "url", "url": url, "access": access})


def in_hub(hub_id: str, access: Mapping[str, str]) -> Any:
    return _object({"kind": "hub", "id": hub_id, "access": access})


def of_files(opened: Sequence[Any]) -> Any:
    """opened: Files of the page, or Blobs, which have no name."""
    named = [file if hasattr(file, "name") else js.File.new(to_js([file]), "model") for file in opened]
    return _object({"kind": "files", "files": named})


def is_page_file(value: Any) -> bool:
    return isinstance(value, JsProxy) and hasattr(value, "arrayBuffer") and hasattr(value, "slice")


async def page_file(name: str, size: int, read: Callable[[int, int], Awaitable[bytes]]) -> Any:
    """A File with these bytes: what Python holds, where the page's code can read it without Python."""
    pieces = [to_js(await read(start, min(PIECE_BYTES, size - start))) for start in range(0, size, PIECE_BYTES)]
    return js.File.new(to_js(pieces), name)


def _object(value: dict[str, Any]) -> Any:
    return to_js(value, dict_converter=js.Object.fromEntries)


# --- waiting ---------------------------------------------------------------------------------------------------------
def run(awaitable: Awaitable[T]) -> T:
    """Its result, while the browser puts this stack aside."""
    if not can_run_sync():
        close = getattr(awaitable, "close", None)
        if close:
            close()
        raise RequestError(
            "this browser cannot wait in the middle of Python (it has no JavaScript Promise Integration, or the code was not "
            "started so that it may)",
            hint="await fanlight.aload(...), and `await` in front of what the engine is asked",
        )
    result: T = run_sync(awaitable)
    return result


# --- loading ---------------------------------------------------------------------------------------------------------
_opened: Javascript | None = None
_opening = asyncio.Lock()


class _Refused(Exception):
    """One way does not work here; why."""


async def open_javascript() -> Javascript:
    """Loaded once. Raises DeviceError, which says what each way lacks."""
    global _opened
    async with _opening:
        _opened = _opened or await _load()
    return _opened


async def _load() -> Javascript:
    text, reasons = _text(), []
    for way in (_registered, _imported, _in_worker):
        try:
            return await way(text)
        except _Refused as reason:
            reasons.append(str(reason))
    raise DeviceError(
        f"the page lets Python load no JavaScript: {'; '.join(reasons)}",
        hint=f"a Content-Security-Policy with script-src 'unsafe-eval' blob: or worker-src blob:, or {FILE.name} as a file of "
        f"your site, registered as {NAME} (docs/python-in-the-browser.md)",
    )


def _text() -> str:
    if not FILE.is_file():
        raise DeviceError(
            "this Fanlight was built without its browser part", where=FILE.name, hint="python scripts/build_web.py"
        )
    return FILE.read_text(encoding="utf-8")


async def _registered(text: str) -> Javascript:
    places = (sys.modules.get(NAME), sys.modules.get(f"pyscript.js_modules.{NAME}"), getattr(js.globalThis, NAME, None))
    module = next((place for place in places if place is not None), None)
    if module is None:
        raise _Refused(f"nothing is registered as {NAME}")
    _check_build(module.build)
    return Javascript(module)


async def _imported(text: str) -> Javascript:
    with _blob_url(text) as url, _policy() as refused:
        try:
            load = run_js("(url) => import(url)")
        except JsException as error:
            if not _is_page_thread():
                raise await _refusal("import() by an eval", error, refused, "script-src 'unsafe-eval'") from None
            return Javascript(await _by_element(url, refused))
        try:
            return Javascript(await load(url))
        except JsException as error:
            if not hasattr(js, "process"):
                raise await _refusal("import() of a blob: URL", error, refused, "script-src blob:") from None
        return Javascript(await load(f"data:text/javascript;base64,{base64.b64encode(text.encode()).decode()}"))  # Node


def _is_page_thread() -> bool:
    return hasattr(js, "Window") and bool(js.globalThis.constructor.name == "Window")


async def _by_element(url: str, refused: list[str]) -> Any:
    """Without an eval: what a page's own thread can do, and no worker."""
    script, is_loaded = js.document.createElement("script"), asyncio.get_running_loop().create_future()
    with _blob_url(f'import * as module from "{url}"; globalThis.{NAME} = module;') as outer, _proxies() as proxy:
        script.type, script.src = "module", outer
        script.onload = proxy(lambda event: is_loaded.set_result(True))
        script.onerror = proxy(lambda event: is_loaded.set_result(False))
        js.document.head.append(script)
        loaded = await is_loaded
        script.remove()
    if not loaded or not hasattr(js.globalThis, NAME):
        raise await _refusal("a script of a blob: URL", None, refused, "script-src blob:")
    return getattr(js.globalThis, NAME)


async def _in_worker(text: str) -> Javascript:
    if not hasattr(js, "Worker"):
        raise _Refused("there are no workers here")
    with _blob_url(text) as url, _policy() as refused:
        worker = None
        try:
            worker = js.Worker.new(url, _object({"type": "module", "name": WORKER_NAME}))
            calls = _Calls(worker)
            await asyncio.wait_for(calls.began, WORKER_SECONDS)
        except (JsException, TimeoutError, DeviceError) as error:
            if worker is not None:
                worker.terminate()
            raise await _refusal("a worker of a blob: URL", error, refused, "worker-src blob:") from None
    return JavascriptInWorker(calls.ask)


def _check_build(build: str) -> None:
    ours = (FOLDER / "version.txt").read_text().strip()
    if build != ours:
        raise DeviceError(
            f"the JavaScript that is registered as {NAME} is of build {build}, this Fanlight of {ours}",
            hint=f"the {FILE.name} of this very package",
        )


async def _refusal(what: str, error: BaseException | None, refused: list[str], needed: str) -> _Refused:
    """Whether it was the policy is told by an event, a little later."""
    for _ in range(10):
        if refused:
            return _Refused(f"{what} is refused by the page's {refused[-1]}, and needs {needed}")
        await asyncio.sleep(0.01)
    return _Refused(f"{what} failed: {error or 'nobody says why'}")


@contextmanager
def _policy() -> Iterator[list[str]]:
    """The directives that refuse something meanwhile."""
    found: list[str] = []
    if not hasattr(js, "addEventListener"):
        yield found
        return
    with _proxies() as proxy:
        listener = proxy(lambda event: found.append(event.effectiveDirective))
        js.addEventListener("securitypolicyviolation", listener)
        try:
            yield found
        finally:
            js.removeEventListener("securitypolicyviolation", listener)


@contextmanager
def _proxies() -> Iterator[Callable[[Callable[..., Any]], Any]]:
    made: list[Any] = []

    def proxy(function: Callable[..., Any]) -> Any:
        made.append(create_proxy(function))
        return made[-1]

    try:
        yield proxy
    finally:
        for each in made:
            each.destroy()


@contextmanager
def _blob_url(text: str) -> Iterator[str]:
    url = js.URL.createObjectURL(js.Blob.new(to_js([text]), _object({"type": "text/javascript"})))
    try:
        yield url
    finally:
        js.URL.revokeObjectURL(url)


class _Calls:
    """web/src/rpc.ts from this end: requests by number, answered in any order."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self.began: asyncio.Future[str] = self._loop.create_future()  # the build that runs there
        self._open: dict[int, asyncio.Future[Any]] = {0: self.began}
        self._next = 1
        worker.onmessage, worker.onerror = create_proxy(self._receive), create_proxy(self._fail)  # for as long as Python runs

    def ask(self, name: str, *values: Any) -> asyncio.Future[Any]:
        future = self._open[self._next] = self._loop.create_future()
        self._worker.postMessage(_object({"id": self._next, "name": name, "values": list(values)}))
        self._next += 1
        return future

    def _receive(self, event: Any) -> None:
        future = self._open.pop(event.data.id)
        if future.done():  # cancelled
            return
        if hasattr(event.data, "error"):
            future.set_exception(_error(event.data.error))
        else:
            future.set_result(event.data.value)

    def _fail(self, event: Any) -> None:
        message = getattr(event, "message", None) or "it did not start"
        for future in self._open.values():
            if not future.done():
                future.set_exception(DeviceError(f"the worker failed: {message}"))
        self._open.clear()


def _error(data: Any) -> Exception:
    """Class for class; what is not ours is an Exception."""
    made = getattr(fanlight.errors, data.name, None)
    if not (isinstance(made, type) and issubclass(made, FanlightError)) or made is FanlightError:
        return Exception(data.message)
    return made(data.message, where=data.where, hint=data.hint, param=data.param if isinstance(data.param, str) else None)
