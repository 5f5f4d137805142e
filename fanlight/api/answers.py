"""JSON in, JSON or server-sent events out, over Starlette: what a client sends is read within bounds, and what it waits for
ends when it goes away, when its time is up, or when the server stops.  Native only; knows no model.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from fanlight.api.body import parse_json, to_json
from fanlight.api.multipart import parse_form
from fanlight.api.routes import Answer, error_body
from fanlight.api.types import ErrorBody
from fanlight.errors import EngineClosed

MAX_BODY_BYTES = 8 << 20  # a context of a million tokens, as text
MAX_FORM_BYTES = 128 << 20  # a file: an hour of sound as WAV
BODY_SECONDS = 120.0  # for a body to arrive
REQUEST_SECONDS = 3600.0
MAX_HEADER = 500  # characters of a warning
RETRY_SECONDS = 5  # what a refused client is told to wait


@dataclass(slots=True)
class Work:
    """The requests that are being answered, and when they must end."""

    request_seconds: float = REQUEST_SECONDS
    max_body_bytes: int = MAX_BODY_BYTES
    num_running: int = 0
    is_stopping: bool = False  # new requests are refused
    _told: set[asyncio.Future[None]] = field(default_factory=set)  # one for each that waits

    @contextmanager
    def one(self) -> Iterator[None]:
        if self.is_stopping:
            raise _stopping()
        self.num_running += 1
        try:
            yield
        finally:
            self.num_running -= 1

    def end(self) -> None:
        """Whoever still waits is told."""
        for told in self._told:
            if not told.done():
                told.set_result(None)

    async def result(self, receive: Receive, work: Coroutine[Any, Any, Any], deadline: float) -> Any:
        """The work's; None if the client went away first. However it ends, the work is not left running."""
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(receive))
        told = asyncio.get_running_loop().create_future()
        self._told.add(told)
        try:
            await asyncio.wait({task, gone, told}, timeout=deadline - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if gone.done():
                return None
            raise _stopping() if told.done() else TimeoutError(f"the answer took more than {self.request_seconds:g} s")
        finally:
            self._told.discard(told)
            for unfinished in (task, gone):
                unfinished.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)


def _stopping() -> EngineClosed:
    return EngineClosed("the server is being stopped", hint="asking again, when it is back")


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# --- in --------------------------------------------------------------------------------------------------------------
async def form_body(request: Request, max_bytes: int) -> Any:
    """A form's fields, or JSON. (A browser lets any site's page send a form: access.py refuses other sites' by their
    origin.)"""
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        return await json_body(request, max_bytes)
    return parse_form(kind, await _whole(request, max_bytes))


async def json_body(request: Request, max_bytes: int) -> Any:
    kind = request.headers.get("content-type", "nothing").partition(";")[0].strip().lower()
    if kind != "application/json":  # keeps other sites' pages out: this type, a browser sends only where it was allowed to
        raise HTTPException(415, f"the content type must be application/json, got {kind[:80]}")
    return parse_json(await _whole(request, max_bytes))


async def _whole(request: Request, max_bytes: int) -> bytes:
    if (encoding := request.headers.get("content-encoding", "identity").strip().lower()) != "identity":
        raise HTTPException(415, f"the body must be sent as it is, without a content encoding, got {encoding[:80]}")
    if int(request.headers.get("content-length", "0")) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError:
        raise HTTPException(408, f"the request did not arrive within {BODY_SECONDS:g} s", {"Connection": "close"}) from None
    return bytes(body)


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"the request has more than {max_bytes} bytes", {"Connection": "close"})


# --- out -------------------------------------------------------------------------------------------------------------
class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return to_json(content)


def error_response(error: Exception) -> Response:
    """In OpenAI's form, whatever went wrong."""
    if isinstance(error, HTTPException):
        code = {401: "invalid_api_key"}.get(error.status_code)
        kind = "invalid_request_error"
        body: ErrorBody = {"error": {"message": error.detail, "type": kind, "param": None, "code": code}}
        status, headers = error.status_code, dict(error.headers or {})
    else:
        (status, body), headers = error_body(error), {}
    if status == 503:
        headers.setdefault("Retry-After", str(RETRY_SECONDS))
    return Json(body, status_code=status, headers=headers)


async def respond(
    work: Work, receive: Receive, answering: Coroutine[Any, Any, Answer], kind: "type[EventStream] | None" = None
) -> Response:
    """The whole answer, or a stream whose first chunk is here: what the engine refuses still is an HTTP error."""
    deadline = time.monotonic() + work.request_seconds
    begun = await work.result(receive, _begun(answering), deadline)
    if begun is None:
        return Response(status_code=499)  # nobody is there to read it
    first, rest = begun
    if isinstance(first, str):
        return PlainTextResponse(first)
    response = Json(first) if rest is None else (kind or EventStream)(first, rest, work, deadline)
    for warning in first.get("warnings", ()):
        words = warning.encode("ascii", "backslashreplace").decode().replace('"', "'")[:MAX_HEADER]
        response.headers.append("Warning", f'299 fanlight "{words}"')
    return response


Chunks = AsyncGenerator[Mapping[str, Any], None]


async def _begun(answering: Coroutine[Any, Any, Answer]) -> tuple[Mapping[str, Any] | str, Chunks | None]:
    answer = await answering
    if isinstance(answer, Mapping | str):
        return answer, None
    try:
        return await anext(answer), answer
    except BaseException:
        await answer.aclose()
        raise


class EventStream(Response):
    """Server-sent events. A client that goes away ends the generation."""

    media_type = "text/event-stream"
    end = b"data: [DONE]\n\n"

    def __init__(self, first: Mapping[str, Any], chunks: Chunks, work: Work, deadline: float) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._first, self._chunks, self._work, self._deadline = first, chunks, work, deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._chunks):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            try:
                if await self._work.result(receive, self._send_all(send), self._deadline) is None:
                    return
            except Exception as error:  # too late for a status: the error is an event, as the client libraries expect
                await self._send_one(send, error_body(error)[1])
            await send({"type": "http.response.body", "body": self.end, "more_body": False})

    async def _send_all(self, send: Send) -> bool:
        await self._send_one(send, self._first)
        async for chunk in self._chunks:
            await self._send_one(send, chunk)
        return True

    async def _send_one(self, send: Send, data: Mapping[str, Any]) -> None:
        await send({"type": "http.response.body", "body": self.item(to_json(data)), "more_body": True})

    def item(self, data: bytes) -> bytes:
        return b"data: " + data + b"\n\n"


class Lines(EventStream):
    """Ollama's: a line for each chunk."""

    media_type = "application/x-ndjson"
    end = b""

    def item(self, data: bytes) -> bytes:
        return data + b"\n"
