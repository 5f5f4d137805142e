"""Sources: files, memory, and a real web server on this machine with and without ranges, and with every fault we know of."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from fanlight.driver import run
from fanlight.errors import SourceError
from fanlight.formats import source as sources
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.gguf_writer import TensorData, write_gguf
from fanlight.formats.resolve import resolve_model
from fanlight.formats.source import BytesSource, FileSource, HttpSource, open_source

DATA = bytes(range(256)) * 40


# --- files and memory ------------------------------------------------------------------------------------------------
@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("kind", [lambda path: BytesSource("m", DATA), FileSource])
def test_exact_bytes(path, kind):
    source = kind(path)
    assert source.size == len(DATA)
    for offset, size in [(0, 0), (0, len(DATA)), (5, 300), (len(DATA), 0), (len(DATA) - 1, 1)]:
        data = run(source.read(offset, size))
        assert type(data) is bytes and data == DATA[offset : offset + size]
        view = source.view(offset, size)
        assert view.readonly and view == DATA[offset : offset + size]
    for offset, size in [(0, len(DATA) + 1), (len(DATA), 1), (-1, 1), (0, -1), (1 << 70, 1)]:
        with pytest.raises(SourceError, match="were asked for"):
            run(source.read(offset, size))
        with pytest.raises(SourceError, match="were asked for"):
            source.view(offset, size)


def test_files_that_cannot_be_read(tmp_path, path):
    for bad, message in [(tmp_path / "none", "No such file"), (tmp_path, "directory")]:
        with pytest.raises(SourceError, match=message) as caught:
            run(open_source(bad))
        assert caught.value.where == str(bad)
    empty = tmp_path / "empty"
    empty.touch()
    assert run(FileSource(empty).read(0, 0)) == b""
    with pytest.raises(SourceError):
        run(FileSource(empty).read(0, 1))


def test_closing_a_file(path):
    source = run(open_source(str(path)))
    view = source.view(0, 4)
    source.close()
    source.close()
    assert bytes(view) == DATA[:4]
    with pytest.raises(SourceError, match="is closed"):
        run(source.read(0, 1))


def test_a_file_shortened_while_in_use(path):
    source = FileSource(path)
    with open(path, "r+b") as file:
        file.truncate(10)
    with pytest.raises(SourceError, match="was shortened"):
        run(source.read(5000, 1))
    source.close()


# --- HTTP ------------------------------------------------------------------------------------------------------------
class Site(BaseHTTPRequestHandler):
    """/<behaviour>/<anything> serves DATA, each behaviour with its own fault; FILES serves whole files at their path."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {}
    requests: ClassVar[list[str]] = []
    ranges: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        Site.requests.append(f"{self.command} {self.path}")
        Site.ranges.append(self.headers["Range"])
        behaviour = self.path.strip("/").split("/")[0]
        getattr(self, f"do_{behaviour}", self.do_file)()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = True

    def wanted(self) -> tuple[int, int]:
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        return int(first), int(last) + 1

    def part(self, data: bytes, total: str | None = None) -> None:
        start, end = self.wanted()
        end = min(end, len(data))
        self.answer(206, data[start:end], Content_Range=f"bytes {start}-{end - 1}/{total or len(data)}")

    def do_file(self) -> None:
        data = Site.files.get(self.path)
        self.answer(404) if data is None else self.part(data)

    def do_good(self) -> None:
        self.part(DATA)

    def do_ignores(self) -> None:
        self.answer(200, DATA)

    def do_empty(self) -> None:
        self.answer(416, Content_Range="bytes */0")

    def do_moved(self) -> None:
        self.answer(302, Location="/good/there")

    def do_private(self) -> None:
        self.answer(401)

    def do_teapot(self) -> None:
        self.answer(418)

    def do_broken(self) -> None:
        self.answer(503)

    def do_flaky(self) -> None:
        self.answer(503) if len(Site.requests) % 2 else self.part(DATA)

    def do_hidden(self) -> None:
        if self.command == "HEAD":
            self.answer(200, length=len(DATA))
        else:
            self.part(DATA, total="*")

    def do_secretive(self) -> None:
        if self.command == "HEAD":
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
        else:
            self.part(DATA, total="*")

    def do_changing(self) -> None:
        self.part(DATA + bytes(len(Site.requests)))

    def do_elsewhere(self) -> None:
        self.answer(206, DATA[7:8], Content_Range=f"bytes 7-7/{len(DATA)}")

    def do_nonsense(self) -> None:
        self.answer(206, DATA[:1], Content_Range="bytes one-two/three")

    def do_packed(self) -> None:
        self.answer(206, DATA[:1], Content_Range=f"bytes 0-0/{len(DATA)}", Content_Encoding="gzip")

    def do_short(self) -> None:
        start, end = self.wanted()
        missing = 3 if end - start > 1 and len(Site.requests) == 2 else 0  # only the first answer after the probe
        body = DATA[start : end - missing]
        self.answer(206, body, length=end - start, Content_Range=f"bytes {start}-{end - 1}/{len(DATA)}")

    def do_floods(self) -> None:
        """More bytes than asked for, and a length to match."""
        start, end = self.wanted()
        self.answer(206, DATA[start:end] + bytes(100_000), Content_Range=f"bytes {start}-{end - 1}/{len(DATA)}")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def site(server, monkeypatch) -> str:
    monkeypatch.setattr(sources, "HTTP_RETRY_DELAYS_S", (0.0, 0.0))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    Site.requests.clear(), Site.ranges.clear(), Site.files.clear()
    return server


@pytest.mark.parametrize("behaviour", ["good", "moved", "hidden", "flaky", "short", "floods"])
def test_http_reads_exact_bytes(site, monkeypatch, behaviour):
    monkeypatch.setattr(sources, "HTTP_PIECE_BYTES", 1000)
    source = run(open_source(f"{site}/{behaviour}/model.gguf?token=secret"))
    assert source.size == len(DATA) and source.name == f"{site}/{behaviour}/model.gguf"
    for offset, size in [(0, 2500), (0, 0), (5, 300), (len(DATA) - 1, 1), (2000, 1000)]:
        assert run(source.read(offset, size)) == DATA[offset : offset + size]
    with pytest.raises(SourceError, match="were asked for"):
        run(source.read(len(DATA), 1))


def test_http_reads_in_bounded_pieces(site, monkeypatch):
    monkeypatch.setattr(sources, "HTTP_PIECE_BYTES", 1000)
    source = run(HttpSource.open(f"{site}/good/x"))
    run(source.read(100, 2500))
    assert Site.ranges == ["bytes=0-0", "bytes=100-1099", "bytes=1100-2099", "bytes=2100-2599"]


def test_http_empty_file(site):
    source = run(HttpSource.open(f"{site}/empty/x"))
    assert source.size == 0 and run(source.read(0, 0)) == b""


@pytest.mark.parametrize(
    ("behaviour", "message", "attempts"),
    [
        ("nothing", "no such file on the server", 1),
        ("ignores", "ignores byte ranges: it answered 200", 1),
        ("private", "sign in", 1),
        ("teapot", "answered 418", 1),
        ("broken", "Service Unavailable.*3 attempts", 3),
        ("elsewhere", "another range than bytes 0", 1),
        ("nonsense", "another range", 1),
        ("packed", "another range", 1),
        ("secretive", "does not say how long", 2),
    ],
)
def test_http_faults_are_errors(site, behaviour, message, attempts):
    with pytest.raises(SourceError, match=message) as caught:
        run(HttpSource.open(f"{site}/{behaviour}/x?token=secret"))
    assert caught.value.where == f"{site}/{behaviour}/x" and "token" not in str(caught.value)
    assert len(Site.requests) == attempts


def test_http_file_that_changes(site):
    source = run(HttpSource.open(f"{site}/changing/x"))
    with pytest.raises(SourceError, match="changed on the server"):
        run(source.read(0, 10))


def test_http_without_a_network(site, monkeypatch):
    with pytest.raises(SourceError, match=r"could not be read: .*3 attempts\)") as caught:
        run(HttpSource.open("http://127.0.0.1:1/model.gguf"))
    assert "network" in caught.value.hint
    with pytest.raises(SourceError, match="could not be read"):
        run(HttpSource.open("http://"))


# --- models over HTTP ------------------------------------------------------------------------------------------------
def gguf_bytes(path, name: str, **split: int) -> bytes:
    write_gguf(path, {f"split.{k}": v for k, v in split.items()}, [TensorData(name, "F32", (2,), b"12345678")])
    return path.read_bytes()


def test_a_split_model_over_http(site, tmp_path):
    for number, name in enumerate("ab"):
        data = gguf_bytes(tmp_path / "x", name, no=number, count=2)
        Site.files[f"/m/x-{number + 1:05}-of-00002.gguf?download=true"] = data
    checkpoint = run(open_checkpoint(run(resolve_model(f"{site}/m/x-00002-of-00002.gguf?download=true"))))
    assert {n: t.source for n, t in checkpoint.tensors.items()} == {"a": 0, "b": 1}
    assert run(checkpoint.read("b")) == b"12345678"
    Site.files.popitem()
    with pytest.raises(SourceError, match="no such file on the server") as caught:
        run(resolve_model(f"{site}/m/x-00001-of-00002.gguf?download=true"))
    assert caught.value.where.endswith("/x-00002-of-00002.gguf")
