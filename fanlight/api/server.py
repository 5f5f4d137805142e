"""HTTP around the request code: OpenAI's endpoints with server-sent events, the chat page, and the model's files for the page.

Thin, and native only. The device blocks while it computes a step, so between steps every request lets the others run.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fanlight.api.generation import LoadedModel
from fanlight.api.routes import CHAT, COMPLETIONS, MODELS, error_body, handle
from fanlight.errors import FanlightError, RequestError

ASSETS = Path(__file__).parents[1] / "assets"
MAX_BODY_BYTES = 32 << 20
MIME_TYPES = {".wasm": "application/wasm", ".mjs": "text/javascript", ".js": "text/javascript", ".gz": "application/gzip"}
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # The page may fetch a model from wherever its user says; scripts are ours alone, and WebAssembly.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' http: https:; "
        "img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}
NO_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Fanlight</title>
<h1>The chat page is not built</h1>
<p>The API is here: <code>/v1/chat/completions</code>, <code>/v1/completions</code>, <code>/v1/models</code>.</p>
<p>To have the page, run <code>make demo</code> in the repository, or <code>npm ci &amp;&amp; npm run build</code> in its
<code>web/</code> folder; the wheel from the package index has it built in.</p></html>"""


def make_app(
    loaded: LoadedModel | None,
    *,
    allow_origins: Sequence[str] = (),
    assets: Path = ASSETS,
    model_files: Sequence[Path] = (),
) -> Starlette:
    """`model_files`: the served model's own, if they are local; the page can load them from /models/. Without a loaded model
    only the page is served, which runs models in the visitor's browser."""
    files = {path.name: path for path in model_files}
    routes = [*(_api(loaded, files) if loaded else []), Mount("/", _page(assets))]
    middleware = [Middleware(SecurityHeaders)]
    if allow_origins:
        cors = Middleware(CORSMiddleware, allow_origins=list(allow_origins), allow_methods=["GET", "POST"], allow_headers=["*"])
        middleware.insert(0, cors)
    handlers: Any = {FanlightError: _on_error, HTTPException: _on_http_error, Exception: _on_error}
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers, lifespan=_lifespan(loaded))


def _api(loaded: LoadedModel, files: Mapping[str, Path]) -> list[Route]:
    loaded.pause = _let_others_run
    return [
        Route(MODELS, _get(loaded), methods=["GET"]),
        Route(MODELS + "/{name:path}", _get(loaded), methods=["GET"]),
        Route(CHAT, _post(loaded), methods=["POST"]),
        Route(COMPLETIONS, _post(loaded), methods=["POST"]),
        Route("/v1/{rest:path}", _unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        Route("/health", _health, methods=["GET"]),
        Route("/models/", _model_list(loaded, files), methods=["GET"]),
        Route("/models/{name}", _model_file(files), methods=["GET", "HEAD"]),
    ]


def serve(loaded: LoadedModel | None, host: str, port: int, on_ready: Callable[[int], None], **options: Any) -> None:
    """Serve until interrupted. `on_ready` gets the port, once it answers."""
    app = make_app(loaded, **options)
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=3)
    server = Server(config, on_ready)
    server.run()
    if not server.started:
        raise FanlightError(f"cannot listen on {host}:{port}", hint="another --port")


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[int], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready(self.servers[0].sockets[0].getsockname()[1])


async def _let_others_run() -> None:
    await asyncio.sleep(0)


def _lifespan(loaded: LoadedModel | None) -> Any:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        if loaded:
            loaded.close()

    return lifespan


# --- the API ---------------------------------------------------------------------------------------------------------
def _get(loaded: LoadedModel) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def get(request: Request) -> Response:
        return JSONResponse(await handle(loaded, request.url.path))

    return get


def _post(loaded: LoadedModel) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def post(request: Request) -> Response:
        body = await _json_body(request)
        answer = await _unless_disconnected(request.receive, handle(loaded, request.url.path, body))
        if answer is None:
            return Response(status_code=499)  # nobody is there to read it
        if isinstance(answer, Mapping):
            return JSONResponse(answer)
        # The first chunk comes before the headers: what the engine refuses still is an HTTP error.
        return EventStream(await anext(answer), answer)

    return post


async def _json_body(request: Request) -> Any:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":  # also keeps other sites' forms out: a browser sends them without asking
        raise HTTPException(415, f"the content type must be application/json, got {kind}")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the request has more than {MAX_BODY_BYTES} bytes")
    try:
        return json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the request is not JSON: {error}") from None


class EventStream(Response):
    """Server-sent events. A client that goes away ends the generation."""

    media_type = "text/event-stream"

    def __init__(self, first: Mapping[str, Any], chunks: AsyncGenerator[Mapping[str, Any], None]) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._first, self._chunks = first, chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._chunks):
            await _unless_disconnected(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            await _event(send, self._first)
            async for chunk in self._chunks:
                await _event(send, chunk)
        except Exception as error:  # too late for a status: the error is an event, as the client libraries expect
            await _event(send, error_body(error)[1])
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})


async def _event(send: Send, data: Mapping[str, Any]) -> None:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    await send({"type": "http.response.body", "body": f"data: {text}\n\n".encode(), "more_body": True})


async def _unless_disconnected(receive: Receive, work: Coroutine[Any, Any, Any]) -> Any:
    """The work's result; None if the client went away first, and then the work is cancelled."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for unfinished in (task, gone):
            unfinished.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# --- errors ----------------------------------------------------------------------------------------------------------
async def _on_error(request: Request, error: Exception) -> Response:
    status, body = error_body(error)
    return JSONResponse(body, status_code=status)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = {"message": error.detail, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": detail}, status_code=error.status_code, headers=error.headers)


ALLOWED = {MODELS: "GET", CHAT: "POST", COMPLETIONS: "POST"}


async def _unknown(request: Request) -> Response:
    if (allowed := ALLOWED.get(request.url.path)) is not None:
        raise HTTPException(405, f"{request.method} is not for {request.url.path}: use {allowed}", {"Allow": allowed})
    raise RequestError(f"there is no {request.url.path}; known: {CHAT}, {COMPLETIONS}, {MODELS}", param="path")


# --- page and files --------------------------------------------------------------------------------------------------
async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _model_list(loaded: LoadedModel, files: Mapping[str, Path]) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def model_list(request: Request) -> Response:
        listed = [{"name": n, "size": p.stat().st_size, "url": f"/models/{n}"} for n, p in files.items()]
        return JSONResponse({"model": loaded.model_name, "files": listed})

    return model_list


def _model_file(files: Mapping[str, Path]) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def model_file(request: Request) -> Response:
        path = files.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404, "this file is not part of the served model")
        return FileResponse(path, media_type="application/octet-stream")  # answers Range requests

    return model_file


class Page(StaticFiles):
    def file_response(self, full_path: Any, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(full_path, *arguments, **options)
        if (kind := MIME_TYPES.get(Path(full_path).suffix)) is not None:
            response.headers["content-type"] = kind
        return response


def _page(assets: Path) -> ASGIApp:
    if (assets / "index.html").is_file():
        return Page(directory=assets, html=True)

    async def no_page(scope: Scope, receive: Receive, send: Send) -> None:
        is_root = scope["path"] in ("/", "/index.html")
        response = HTMLResponse(NO_PAGE) if is_root else await _on_http_error(Request(scope), HTTPException(404))
        await response(scope, receive, send)

    return no_page


class SecurityHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)
