"""A page in headless Chromium on SwiftShader, and the server that it asks.  Kernel tests run Programs through `run_program`."""

import base64
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fanlight.api.page import HEADERS  # the policies that users get

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".wasm": "application/wasm",
    ".json": "application/json",
}


def first_byte(asked: str | None) -> int:
    """Of a Range header."""
    return int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0


class Served:
    """What the test server answers: folders by URL prefix, and bytes by URL path. Counts requests; may be told to misbehave."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.folders = dict(folders)
        self.files: dict[str, bytes] = {}
        self.policies: dict[str, str] = {}  # Content-Security-Policy by URL prefix, where it is not what users get
        self.is_isolated = True  # for pages with SharedArrayBuffer, as ours are served
        self.etags: dict[str, str] = {}
        self.modified: dict[str, str] = {}  # Last-Modified
        self.drip_s = 0.0  # a model comes byte by byte, after so long each
        self.headers: dict[str, str] = {}  # of every answer, beside or in place of the page's policies
        self.ranges = True  # answer Range requests with 206
        self.cut_after: int | None = None  # bytes of a model after which the connection breaks, once
        self.delay_s = 0.0  # before each 64 KiB of a model,
        self.slow_from = 0  # where they are asked for from this byte on
        self.requests: list[tuple[str, str | None]] = []  # path, Range header

    def body(self, path: str) -> bytes | None:
        if path in self.files:
            return self.files[path]
        for prefix, folder in self.folders.items():
            file = folder / path.removeprefix(prefix)
            if path.startswith(prefix) and ".." not in path and file.is_file():
                return file.read_bytes()
        return None


def _handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            asked = self.headers.get("Range")
            served.requests.append((path, asked))
            body = served.body(path)
            if body is None:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            status, headers = (
                200,
                {"Content-Type": TYPES.get(".html" if path.endswith("/") else Path(path).suffix, "application/octet-stream")},
            )
            headers |= {"ETag": etag} if (etag := served.etags.get(path, '"1"')) else {}
            headers |= {"Last-Modified": served.modified[path]} if path in served.modified else {}
            total = len(body)
            if asked and served.ranges:
                first, _, last = asked.removeprefix("bytes=").partition("-")
                start, stop = int(first), min(int(last) + 1 if last else total, total)
                if start >= total:
                    status, body = 416, b""
                    headers["Content-Range"] = f"bytes */{total}"
                else:
                    status, body = 206, body[start:stop]
                    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{total}"
            self.send_response(status)
            policies = (policy for prefix, policy in served.policies.items() if path.startswith(prefix))
            policy = next(policies, HEADERS["Content-Security-Policy"])
            headers |= {**HEADERS, "Content-Security-Policy": policy, **served.headers, "Content-Length": str(len(body))}
            if not served.is_isolated:
                headers = {name: value for name, value in headers.items() if not name.startswith("Cross-Origin-")}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            if path.endswith(".gguf") and served.cut_after is not None and len(body) > served.cut_after:
                body, served.cut_after = body[: served.cut_after], None
                self.wfile.write(body)
                self.close_connection = True
                return
            if served.drip_s and path.endswith(".gguf"):
                return self.write_slowly(body, 1, served.drip_s)
            if served.delay_s and path.endswith(".gguf") and first_byte(self.headers.get("Range")) >= served.slow_from:
                self.write_slowly(body, 1 << 16, served.delay_s)
            else:
                self.wfile.write(body)

        def write_slowly(self, body: bytes, size: int, delay_s: float) -> None:
            try:
                for start in range(0, len(body), size):
                    time.sleep(delay_s)
                    self.wfile.write(body[start : start + size])
            except OSError:
                self.close_connection = True  # the browser hung up, as the tests of aborting want

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Silent when the browser hung up."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def serve(served: Served) -> AbstractContextManager[str]:
    """The server's address, ending without a slash."""
    return serving(_handler(served))


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server whose requests are the handler's."""
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


RUN_PROGRAM = """
async ({ program, writes, step, inputs, reads }) => {
  const { openGpu, Replayer } = await import("/fanlight/replay.js");
  const toBytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const toText = async (bytes) => {
    const url = await new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.readAsDataURL(new Blob([bytes]));
    });
    return url.slice(url.indexOf(",") + 1);
  };
  const replayer = new Replayer(globalThis.fanlightGpu ??= await openGpu());
  try {
    await replayer.prepare(program);
    for (const [buffer, offset, data] of writes) replayer.write(buffer, offset, toBytes(data));
    replayer.run(step, inputs === null ? null : toBytes(inputs));
    const found = [];
    for (const [buffer, offset, size] of reads) found.push(await toText(await replayer.read(buffer, offset, size)));
    return found;
  } finally {
    replayer.release();
  }
}
"""


def run_program(
    page: Any,
    program_json: str,
    writes: Iterable[tuple[str, int, bytes]],
    step: str,
    inputs: bytes | None,
    reads: Iterable[tuple[str, int, int]],
) -> list[bytes]:
    """Run one step of a Program in `page` after `writes` (buffer, offset, bytes); the bytes of each of `reads` (buffer, offset,
    size). Without `inputs` nothing is written to the buffer `inputs`, so a program of one kernel needs no reserved buffers."""
    found = page.evaluate(
        RUN_PROGRAM,
        {
            "program": program_json,
            "writes": [[buffer, offset, base64.b64encode(data).decode()] for buffer, offset, data in writes],
            "step": step,
            "inputs": None if inputs is None else base64.b64encode(inputs).decode(),
            "reads": [list(read) for read in reads],
        },
    )
    return [base64.b64decode(text) for text in found]


RUN_PYTHON = """
({ code, gpu }) => new Promise((resolve, reject) => {
  const worker = new Worker("/pages/python_worker.js", { type: "module" });
  worker.onmessage = ({ data }) => {
    worker.terminate();
    data.error ? reject(new Error(data.error)) : resolve(data);
  };
  worker.onerror = (event) => reject(new Error(`worker: ${event.message}`));
  worker.postMessage({ code, gpu });
})
"""


def run_python(page: Any, code: str, gpu: bool = False) -> dict[str, Any]:
    """Run Python text in a fresh worker, booted as the package boots it: {'result': its last value, 'bootMs': time of boot}."""
    return page.evaluate(RUN_PYTHON, {"code": code, "gpu": gpu})


Goto = Callable[[str], None]
