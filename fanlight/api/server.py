"""HTTP around the request code: OpenAI's endpoints with server-sent events, the chat page, and the model's files for the page.

Thin, and native only. The device blocks while it computes a step, so between steps every request lets the others run.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fanlight.api import audio
from fanlight.api.access import Access, Guard
from fanlight.api.answers import (
    MAX_FORM_BYTES,
    EventStream,
    Json,
    Lines,
    Work,
    error_response,
    form_body,
    json_body,
    respond,
)
from fanlight.api.embeddings import ANSWERS
from fanlight.api.generation import LoadedModel, TokenEngine
from fanlight.api.metrics import CONTENT_TYPE, Labels, Metrics
from fanlight.api.models import Models
from fanlight.api.openapi import document
from fanlight.api.page import ASSETS, HEADERS, is_of_page, page
from fanlight.api.routes import CHAT, COMPLETIONS, KNOWN, MODELS, OLLAMA_GETS, OLLAMA_POSTS, RESPONSES, TEXTS, handle
from fanlight.engine.engine import Engine
from fanlight.errors import FanlightError, RequestError

Log = Callable[[str], None]
POSTS = (CHAT, COMPLETIONS, RESPONSES, *ANSWERS, *audio.PATHS, *TEXTS, *OLLAMA_POSTS)
ALLOWED = {**dict.fromkeys(POSTS, "POST"), **dict.fromkeys((MODELS, *OLLAMA_GETS), "GET")}
COUNTED = {*ALLOWED, "/health", "/metrics", "/models/", "/openapi.json"}  # paths by name; a client could make up any number

log = logging.getLogger("fanlight.server")


def make_app(
    loaded: Models | LoadedModel | None,
    *,
    access: Access | None = None,
    work: Work | None = None,
    assets: Path = ASSETS,
    model_files: Sequence[Path] = (),
    log_access: Log | None = None,
) -> Starlette:
    """`model_files`: the served models' own, if they are local, and others; the page can load them from /models/. Without a
    loaded model the page is served, which runs models in the visitor's browser. log_access: gets a line for each request."""
    access, work, metrics = access or Access(), work or Work(), Metrics()
    files = {path.name: path for path in model_files}

    def needs_key(path: str, is_local: bool) -> bool:
        is_open = path in ("/health", "/openapi.json") or (path == "/metrics" and is_local) or is_of_page(assets, path)
        return not is_open

    middleware = [Middleware(Outside, metrics, log_access)]
    if access.origins:
        cors: dict[str, Any] = {"allow_methods": ["GET", "POST"], "allow_headers": ["*"], "allow_private_network": True}
        middleware.append(Middleware(CORSMiddleware, allow_origins=list(access.origins), **cors))
    middleware += [Middleware(Errors), Middleware(Guard, access, needs_key)]
    routes = [
        Route("/health", _health(work), methods=["GET"]),
        *(_api(loaded, work, metrics, bool(access.keys)) if loaded else []),
        *(_files(loaded, files) if loaded or files else []),
        Mount("/", page(assets)),
    ]
    handlers: Any = {HTTPException: _on_http_error}
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers, lifespan=_lifespan(loaded))


def _api(loaded: Models | LoadedModel, work: Work, metrics: Metrics, has_key: bool) -> list[Route]:
    if isinstance(loaded, Models):
        loaded.set_up(metrics.count)
    else:
        metrics.count(loaded)
    return [
        Route(MODELS, _get(loaded), methods=["GET"]),
        Route(MODELS + "/{name:path}", _get(loaded), methods=["GET"]),
        *(Route(path, Post(loaded, work), methods=["POST"]) for path in POSTS),
        *(Route(path, _get(loaded), methods=["GET"]) for path in OLLAMA_GETS),
        Route("/v1/{rest:path}", _unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        Route("/api/{rest:path}", _unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        Route("/openapi.json", _openapi(has_key), methods=["GET"]),
        Route("/metrics", _metrics(loaded, metrics), methods=["GET"]),
    ]


def _all(loaded: Models | LoadedModel) -> list[LoadedModel]:
    if isinstance(loaded, LoadedModel):
        return [loaded]
    return [place.loaded for place in loaded if place.loaded]


def _lifespan(loaded: Models | LoadedModel | None) -> Any:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        if loaded:
            loaded.close()

    return lifespan


# --- the API ---------------------------------------------------------------------------------------------------------
Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def _get(loaded: Models | LoadedModel) -> Endpoint:
    async def get(request: Request) -> Response:
        return Json(await handle(loaded, request.url.path))

    return get


class Post:
    """An endpoint that answers a body; a request is at work until its last byte is sent."""

    def __init__(self, loaded: Models | LoadedModel, work: Work) -> None:
        self._loaded, self._work = loaded, work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._work.one():
            try:
                request, most = Request(scope, receive), self._work.max_body_bytes
                is_sound = scope["path"] in audio.PATHS
                body = await (form_body(request, max(most, MAX_FORM_BYTES)) if is_sound else json_body(request, most))
            except ClientDisconnect:
                return await Response(status_code=499)(scope, receive, send)
            kind = Lines if scope["path"] in OLLAMA_POSTS else EventStream
            response = await respond(self._work, receive, handle(self._loaded, scope["path"], body), kind)
            await response(scope, receive, send)


async def _unknown(request: Request) -> Response:
    if (allowed := ALLOWED.get(request.url.path)) is not None:
        raise HTTPException(405, f"{request.method} is not for {request.url.path}: use {allowed}", {"Allow": allowed})
    raise RequestError(f"there is no {request.url.path}; known: {KNOWN}", param="path")


# --- how it is -------------------------------------------------------------------------------------------------------
def _health(work: Work) -> Endpoint:
    async def health(request: Request) -> Response:
        return Json({"status": "stopping"}, status_code=503) if work.is_stopping else Json({"status": "ok"})

    return health


def _openapi(has_key: bool) -> Endpoint:
    async def answer(request: Request) -> Response:
        return Json(document(has_key))

    return answer


def _metrics(loaded: Models | LoadedModel, metrics: Metrics) -> Endpoint:
    async def answer(request: Request) -> Response:
        gauges: dict[str, dict[Labels, float]] = {}
        for model in _all(loaded):
            for name, value in _gauges(model.engine).items():
                gauges.setdefault(name, {})[("model", model.model_name),] = value
        return Response(metrics.text(gauges), media_type=CONTENT_TYPE)

    return answer


def _gauges(engine: TokenEngine) -> dict[str, float]:
    if not isinstance(engine, Engine):
        return {}
    stats, num_blocks = engine.stats(), engine.kv_cache.num_blocks
    return {
        "sequences_running": stats.num_running,
        "sequences_waiting": stats.num_waiting,
        "kv_cache_usage_ratio": 1 - stats.num_free_blocks / num_blocks,
        "preemptions": stats.num_preemptions,
    }


# --- files -----------------------------------------------------------------------------------------------------------
def _files(loaded: Models | LoadedModel | None, files: Mapping[str, Path]) -> list[Route]:
    return [
        Route("/models/", _model_list(loaded, files), methods=["GET"]),
        Route("/models/{name}", _model_file(files), methods=["GET", "HEAD"]),
    ]


def _model_list(loaded: Models | LoadedModel | None, files: Mapping[str, Path]) -> Endpoint:
    async def model_list(request: Request) -> Response:
        listed = [{"name": n, "size": p.stat().st_size, "url": f"/models/{n}"} for n, p in files.items()]
        return Json({"model": ", ".join(model.model_name for model in _all(loaded)) if loaded else "", "files": listed})

    return model_list


def _model_file(files: Mapping[str, Path]) -> Endpoint:
    async def model_file(request: Request) -> Response:
        path = files.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404, "this file is not part of the served model")
        return FileResponse(path, media_type="application/octet-stream")  # answers Range requests

    return model_file


# --- around all of it ------------------------------------------------------------------------------------------------
async def _on_http_error(request: Request, error: Exception) -> Response:
    return error_response(error)


class Errors:
    """Whatever is raised becomes an answer, after which the connection still is of use."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_begun = False

        async def watched(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if is_begun or scope["type"] != "http":
                raise
            if not isinstance(error, (FanlightError, HTTPException, TimeoutError)):
                log.error("%s %s", scope["method"], scope["path"], exc_info=error)
            await error_response(error)(scope, receive, send)


class Outside:
    """The headers of every answer; what is counted, and the access log."""

    def __init__(self, app: ASGIApp, metrics: Metrics, log_access: Log | None) -> None:
        self._app, self._metrics, self._log = app, metrics, log_access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status, num_bytes = time.perf_counter(), 499, 0  # 499: the client left before there was an answer

        async def with_headers(message: Message) -> None:
            nonlocal status, num_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            num_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, with_headers)
        finally:
            path = scope["path"]
            self._metrics.count_request(path if path in COUNTED else "other", status)
            if self._log:
                client = (scope.get("client") or ["-"])[0]
                raw = scope.get("raw_path", b"").decode("ascii", "replace")
                seconds = time.perf_counter() - started
                now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
                self._log(f"{now} {client} {scope['method']} {raw} {status} {num_bytes} bytes {seconds:.3f} s")
