"""From an address to a running server: the port is taken before the model loads, connections that are half open or not read are
closed, and a stop lets answers finish.  Native only; knows uvicorn, and no request.
"""

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from fanlight.api.answers import Work, error_response
from fanlight.errors import EngineBusy, FanlightError

HEAD_SECONDS = 15.0  # for a request's head to arrive
READER_SECONDS = 60.0  # for a reader to take something of what is ready
KEEP_ALIVE_SECONDS = 30
MAX_CONNECTIONS = 512
SHUTDOWN_SECONDS = 30.0
LAST_WORDS_SECONDS = 3  # for those who are told that the server stops to hear it

log = logging.getLogger("fanlight.server")


def bind(host: str, port: int) -> socket.socket:
    """Takes the address; nobody is answered yet. Raises FanlightError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # elsewhere the option lets two programs share a port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise FanlightError(
            f"cannot listen on {host}:{port}: {reason}", hint="another --port, or --port 0 for a free one"
        ) from None
    return listener


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    busy = EngineBusy(f"this server answers {MAX_CONNECTIONS} requests already", hint="asking again, later")
    response = error_response(busy)
    response.headers["Connection"] = "close"
    await response(scope, receive, send)


class Connection(H11Protocol):
    """uvicorn's, which waits for ever for who sends half a request, and for who does not read, and takes any number of them."""

    _head: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None
    _idle_since = 0.0  # on the loop's clock

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._head = self.loop.call_later(HEAD_SECONDS, self._end_head)
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()

    def _make_room(self) -> None:
        """Whoever waits for longest without a request goes; where all are answered, this one is told. It is idle then, so who
        comes next takes its place: there is never more than one too many."""
        others = [other for other in self.connections if isinstance(other, Connection) and other is not self]
        there = [other for other in others if not other.transport.is_closing()]
        if len(there) < MAX_CONNECTIONS:
            return
        idle = [other for other in there if not other._is_answering]
        if idle:
            min(idle, key=lambda other: other._idle_since).transport.abort()
        else:
            self.app = refuse

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def on_response_complete(self) -> None:
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering:
            self._head = _no_longer(self._head)
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self._end_head)

    def _end_head(self) -> None:
        self._head = None
        if not self.transport.is_closing() and not self._is_answering:
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        _no_longer(self._reader)
        self._reader = self.loop.call_later(READER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reader = _no_longer(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head, self._reader = _no_longer(self._head), _no_longer(self._reader)
        super().connection_lost(exc)


def _no_longer(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    if timer is not None:
        timer.cancel()
    return None


class Server(uvicorn.Server):
    """Stops in three steps: new requests are refused and the running ones go on; after `shutdown_seconds` these are told; then
    the connections are closed. A second signal skips the first step."""

    def __init__(
        self, app: Starlette, work: Work, on_ready: Callable[[], None], shutdown_seconds: float = SHUTDOWN_SECONDS
    ) -> None:
        config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            log_level="error",
            access_log=False,
            proxy_headers=False,  # who asks is who is connected
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=LAST_WORDS_SECONDS,
        )
        super().__init__(config)
        self._work, self._on_ready, self._shutdown_seconds = work, on_ready, shutdown_seconds
        self._ends: float | None = None  # on the monotonic clock, once it is to stop

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._ends is None and self._work.num_running:
            seconds = f"{self._shutdown_seconds:g} s"
            print(f"finishing {self._work.num_running} answers, for {seconds} at most; again to end them now", file=sys.stderr)
        now = time.monotonic()
        self._ends = now + self._shutdown_seconds if self._ends is None else now
        self._work.is_stopping = True

    async def on_tick(self, counter: int) -> bool:
        if self._ends is not None and (self._work.num_running == 0 or time.monotonic() >= self._ends):
            self._work.end()
            self.should_exit = True
        return await super().on_tick(counter)

    def run(self, sockets: Any = None) -> None:
        try:
            super().run(sockets)
        except OSError as error:  # somebody else listens where we were the first to bind
            raise FanlightError(f"cannot listen: {error}", hint="another --port") from None


def serve(
    app: Starlette,
    work: Work,
    listener: socket.socket,
    on_ready: Callable[[], None] = lambda: None,
    shutdown_seconds: float = SHUTDOWN_SECONDS,
) -> None:
    """Until a signal stops it."""
    server = Server(app, work, on_ready, shutdown_seconds)
    server.run(sockets=[listener])
    if not server.started:
        raise FanlightError("the server did not start")
