"""Serves the pages, models and engines to one browser, and takes what they report.  Standard library only.

Bytes go from file to socket inside the kernel, so that loading times are the engines' and not this server's. Pages are
cross-origin isolated, as fine clocks and threads need."""

import mimetypes
import os
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Accept-Ranges": "bytes",
}
TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm", ".gguf": "application/octet-stream"}
OnPost = Callable[[str, bytes], str | None]  # path, body -> what to answer, once there is something


def free_port() -> int:
    """What a page keeps belongs to its origin, port included: who wants to find it again serves it from there."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


class Server(ThreadingHTTPServer):
    """folders: URL prefix -> folder, the longest prefix first. texts: path -> content that is no file. before: path -> script
    that goes before the file's own."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        folders: Mapping[str, Path],
        texts: Mapping[str, str],
        before: Mapping[str, str],
        on_post: OnPost,
        port: int = 0,
    ):
        self.folders, self.texts, self.before, self.on_post = folders, texts, before, on_post
        self.sent: Counter[str] = Counter()  # bytes of files, by path
        super().__init__(("127.0.0.1", port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def find(self, path: str) -> Path | None:
        for prefix, folder in self.folders.items():
            if path.startswith(prefix):
                found = (folder / path.removeprefix(prefix)).resolve()
                return found if found.is_file() and found.is_relative_to(folder.resolve()) else None
        return None

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._text(self.server.on_post(urlsplit(self.path).path, body) or "ok")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path in self.server.texts:
            return self._text(self.server.texts[path], path)
        found = self.server.find(path)
        if found is None:
            return self._text("there is no such file", status=404)
        if path in self.server.before:
            return self._text(self.server.before[path] + "\n" + found.read_text(), path)
        self._file(found, path)

    def _head(self, status: int, length: int, name: str, **extra: str) -> None:
        self.send_response(status)
        kind = TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        for key, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(length), **extra}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()

    def _text(self, text: str, name: str = ".txt", status: int = 200) -> None:
        data = text.encode()
        self._head(status, len(data), name, Cache_Control="no-store")
        if self.command != "HEAD":
            self.wfile.write(data)

    def _file(self, path: Path, asked_path: str) -> None:
        with path.open("rb") as file:
            total = os.fstat(file.fileno()).st_size
            etag = f'"{total:x}-{os.fstat(file.fileno()).st_mtime_ns:x}"'
            start, stop, status = 0, total, 200
            if asked := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or ""):
                start = int(asked[1]) if asked[1] else max(0, total - int(asked[2] or 0))
                stop, status = min(int(asked[2]) + 1 if asked[1] and asked[2] else total, total), 206
            if start >= stop and total:
                return self._head(416, 0, path.name, Content_Range=f"bytes */{total}")
            span = {"Content_Range": f"bytes {start}-{stop - 1}/{total}"} if status == 206 else {}
            self._head(status, stop - start, path.name, ETag=etag, **span)
            if self.command == "HEAD":
                return
            self.wfile.flush()
            while start < stop and (sent := os.sendfile(self.connection.fileno(), file.fileno(), start, stop - start)):
                start += sent
                self.server.sent[asked_path] += sent
