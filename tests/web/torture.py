"""A server that misbehaves, by a seed, and a page whose tab is killed: what test_torture.py does to the store of models."""

import os
import random
import re
import signal
import socket
import struct
import threading
import time
from contextlib import AbstractContextManager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.web.browser import serving

FAULTS = (
    "cut",  # the connection breaks after some of the body
    "reset",  # it is reset, before an answer
    "short",  # a shorter body than the length says, and the connection stays open for a while
    "empty",  # 206 without a byte
    "busy",  # 503
    "many",  # 429
    "whole",  # the range is ignored: 200 with all of it
    "shifted",  # another range than was asked for, and said so
    "truncated",  # fewer bytes than were asked for, and said so
    "longer",  # more bytes than were asked for
    "dribble",  # a stall, then the rest
    "renamed",  # another ETag, same bytes
    "larger",  # Content-Range tells another size
)


class Torture:
    """One file, at any path. Of `rate` of all answers something is wrong; which, and where, the seed says."""

    def __init__(self, data: bytes, seed: int, rate: float) -> None:
        self.data, self.rate, self.random = data, rate, random.Random(seed)
        self.lock = threading.Lock()
        self.faults: dict[str, int] = dict.fromkeys(FAULTS, 0)
        self.num_requests = 0
        self.slow_s = 0.0  # before each 64 KiB

    def draw(self) -> tuple[str | None, float]:
        with self.lock:
            self.num_requests += 1
            fault = self.random.choice(FAULTS) if self.random.random() < self.rate else None
            if fault:
                self.faults[fault] += 1
            return fault, self.random.random()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    torture: Torture

    def log_message(self, *args: object) -> None:
        pass

    def do_OPTIONS(self) -> None:
        self.answer(204, b"", {"Access-Control-Allow-Headers": "range", "Access-Control-Max-Age": "600"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        fault, draw = self.torture.draw()
        data = self.torture.data
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, end = (int(asked[1]), min(int(asked[2] or len(data) - 1) + 1, len(data))) if asked else (0, len(data))
        total, etag = len(data), '"1"'
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        if fault in ("busy", "many"):
            return self.answer(503 if fault == "busy" else 429, b"", {})
        if fault == "whole":
            asked, start, end = None, 0, total
        if fault == "shifted" and start:
            start -= min(start, 1 + int(draw * 5000))
        if fault == "truncated":
            end = start + max(1, int(draw * (end - start)))
        if fault == "longer":
            end = min(total, end + 5000)
        if fault == "renamed":
            etag = f'"{draw}"'
        if fault == "larger":
            total += 1
        body = b"" if fault == "empty" else data[start:end]
        headers = {"ETag": etag, **({"Content-Range": f"bytes {start}-{end - 1}/{total}"} if asked else {})}
        size = len(body)
        if fault in ("cut", "short"):
            body = body[: int(draw * len(body))]
        self.answer(206 if asked else 200, body, headers, size, pause=fault == "dribble")
        if fault in ("cut", "short"):
            if fault == "short":
                time.sleep(0.3)
            self.close_connection = True

    def answer(self, status: int, body: bytes, headers: dict[str, str], size: int = 0, pause: bool = False) -> None:
        try:
            self.send_response(status)
            for name, value in {"Content-Length": str(size), "Access-Control-Allow-Origin": "*", **headers}.items():
                self.send_header(name, value)
            self.send_header("Access-Control-Expose-Headers", "Content-Range,ETag")
            self.end_headers()
            if self.command == "HEAD":
                return
            if pause:
                self.wfile.write(body[: len(body) // 2])
                time.sleep(0.2)
                body = body[len(body) // 2 :]
            if not self.torture.slow_s:
                self.wfile.write(body)
                return
            for at in range(0, len(body), 1 << 16):
                time.sleep(self.torture.slow_s)
                self.wfile.write(body[at : at + (1 << 16)])
        except OSError:
            self.close_connection = True  # the page hung up


def serve_torture(torture: Torture) -> AbstractContextManager[str]:
    return serving(type("Answering", (Handler,), {"torture": torture}))


def kill(browser: Any) -> None:
    """The tabs' processes, workers and all, as the system does when memory is short. Returns when the browser knows."""
    session = browser.new_browser_cdp_session()

    def tabs() -> set[int]:
        found = session.send("SystemInfo.getProcessInfo")["processInfo"]
        return {process["id"] for process in found if process["type"] == "renderer"}

    killed = tabs()
    for process in killed:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while killed & tabs() and time.monotonic() < deadline:
        time.sleep(0.01)
    session.detach()
