"""Files of a real web server on this machine, with and without ranges, and with every fault we know of."""

import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from fanlight.driver import run
from fanlight.errors import SourceError
from fanlight.formats import blocks, download
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.download import UrlSource, open_url
from fanlight.formats.gguf_writer import TensorData, write_gguf
from fanlight.formats.resolve import resolve_model
from fanlight.formats.source import FileSource
from fanlight.formats.store import Store

DATA = bytes(range(256)) * 4000
CHUNK = 10_000


class Site(BaseHTTPRequestHandler):
    """/<behaviour>/<anything> serves `data`, each behaviour with its own fault; FILES serves whole files at their path."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {}
    requests: ClassVar[list[str]] = []
    ranges: ClassVar[list[str | None]] = []
    data: ClassVar[bytes] = DATA
    etag: ClassVar[str | None] = '"1"'
    modified: ClassVar[float] = 1e9

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
            try:
                self.wfile.write(body)
            except OSError:
                pass  # who reads no more hung up
        self.close_connection = True

    @property
    def marks(self) -> dict[str, str]:
        etag = {"ETag": Site.etag} if Site.etag else {}
        return {**etag, "Last_Modified": formatdate(Site.modified, usegmt=True)}

    def wanted(self, size: int) -> tuple[int, int]:
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        return int(first), min(int(last) + 1 if last else size, size)

    def part(self, data: bytes, total: str | None = None, honest: bool = True) -> None:
        """honest: as If-Range wants it."""
        wanted = self.headers["If-Range"]
        if honest and wanted not in (None, *self.marks.values()):
            return self.answer(200, data, **self.marks)
        start, end = self.wanted(len(data))
        self.answer(206, data[start:end], Content_Range=f"bytes {start}-{end - 1}/{total or len(data)}", **self.marks)

    def do_file(self) -> None:
        data = Site.files.get(self.path)
        self.answer(404) if data is None else self.part(data)

    def do_good(self) -> None:
        self.part(Site.data)

    def do_careless(self) -> None:
        self.part(Site.data, honest=False)

    def do_whole(self) -> None:
        self.answer(200, Site.data, **self.marks)

    def do_whole_but_breaks(self) -> None:
        size = len(DATA) // 3 if len(Site.requests) == 1 else len(DATA)
        self.answer(200, DATA[:size], length=len(DATA), **self.marks)

    def do_endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True

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

    def do_elsewhere(self) -> None:
        self.answer(206, DATA[7:8], Content_Range=f"bytes 7-7/{len(DATA)}")

    def do_nonsense(self) -> None:
        self.answer(206, DATA[:1], Content_Range="bytes one-two/three")

    def do_packed(self) -> None:
        self.answer(206, DATA[:1], Content_Range=f"bytes 0-0/{len(DATA)}", Content_Encoding="gzip")

    def do_breaks(self) -> None:
        """A third of the file, then the connection is gone."""
        start, end = self.wanted(len(DATA))
        body = DATA[start : min(end, start + len(DATA) // 3)]
        self.answer(206, body, length=end - start, Content_Range=f"bytes {start}-{end - 1}/{len(DATA)}")

    def do_floods(self) -> None:
        """More bytes than asked for, and a length to match."""
        start, end = self.wanted(len(DATA))
        self.answer(206, DATA[start:end] + bytes(100_000), Content_Range=f"bytes {start}-{end - 1}/{len(DATA)}")

    def do_drips(self) -> None:
        start, end = self.wanted(len(DATA))
        if end - start == 1:
            return self.part(DATA)
        self.answer(206, length=end - start, Content_Range=f"bytes {start}-{end - 1}/{len(DATA)}")
        try:
            for at in range(start, end):
                time.sleep(0.05)
                self.wfile.write(DATA[at : at + 1])
        except OSError:
            pass

    def do_drips_its_head(self) -> None:
        try:
            for character in b"HTTP/1.1 206 Partial Content\r\n" + b"X: y\r\n" * 1000:
                time.sleep(0.05)
                self.wfile.write(bytes([character]))
        except OSError:
            self.close_connection = True


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def site(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setattr(download, "RETRY_DELAYS_S", (0.0, 0.0))
    monkeypatch.setattr(download, "CHUNK_BYTES", CHUNK)
    monkeypatch.setattr(download, "PROGRESS_BYTES", CHUNK)
    monkeypatch.setenv("FANLIGHT_STORE", str(tmp_path / "store"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    Site.requests.clear(), Site.ranges.clear(), Site.files.clear()
    Site.data, Site.etag, Site.modified = DATA, '"1"', 1e9
    return server


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


SPANS = [(0, 2500), (0, 0), (5, 300), (len(DATA) - 1, 1), (200_000, 1000), (0, len(DATA))]


@pytest.mark.parametrize(
    "behaviour", ["good", "careless", "moved", "hidden", "flaky", "breaks", "floods", "whole", "whole_but_breaks"]
)
def test_exact_bytes_and_only_once(site: str, store: Store, behaviour: str) -> None:
    url = f"{site}/{behaviour}/model.gguf?token=secret"
    source = run(open_url(url, store))
    assert source.size == len(DATA) and source.name == f"{site}/{behaviour}/model.gguf"
    for offset, size in SPANS:
        assert run(source.read(offset, size)) == DATA[offset : offset + size]
    with pytest.raises(SourceError, match="were asked for"):
        run(source.read(len(DATA), 1))
    source.close()
    again = run(open_url(url, store))
    assert isinstance(again, FileSource) and run(again.read(0, len(DATA))) == DATA
    again.close()
    assert not any("secret" in path.name or "secret" in path.read_text("latin1") for path in store.folder.iterdir())


def test_no_more_is_fetched_than_was_read(site: str, store: Store) -> None:
    source = run(open_url(f"{site}/good/x", store))
    run(source.read(100, 2500))
    assert isinstance(source, UrlSource) and source._have <= 2600 + CHUNK < len(DATA)
    run(source.read(200_000, 10))
    assert Site.ranges == ["bytes=0-0", "bytes=0-"]  # one connection goes on
    source.close()


def test_an_interrupted_download_goes_on(site: str, store: Store) -> None:
    url = f"{site}/good/x"
    source = run(open_url(url, store))
    run(source.read(0, 300_000))
    have = source._have  # type: ignore[attr-defined]
    source.close()
    Site.ranges.clear()
    source = run(open_url(url, store))
    assert run(source.read(0, 300_000)) == DATA[:300_000] and Site.ranges == ["bytes=0-0"]
    assert run(source.read(0, len(DATA))) == DATA and Site.ranges == ["bytes=0-0", f"bytes={have}-"]
    source.close()


@pytest.mark.parametrize("at", [3, 70_000, 250_000, 299_999])
@pytest.mark.parametrize("harm", ["changed", "cut", "zeroed"])
@pytest.mark.parametrize("is_killed", [False, True])
def test_what_was_harmed_meanwhile_is_fetched_again(
    site: str, store: Store, monkeypatch: pytest.MonkeyPatch, at: int, harm: str, is_killed: bool
) -> None:
    """From the first block that is not what it was; who was killed has no digest of the last, unfinished one."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 65_536)
    url = f"{site}/good/x"
    source = run(open_url(url, store))
    run(source.read(0, 300_000))
    have = source._have  # type: ignore[attr-defined]
    recorded = store.blocks(url).read_bytes()
    source.close()
    if is_killed:
        store.blocks(url).write_bytes(recorded)
    with open(store.path(url), "r+b") as file:
        file.seek(at)
        (old,) = file.read(1)
        file.seek(at)
        file.truncate() if harm == "cut" else file.write(bytes([old ^ 1]) if harm == "changed" else bytes(have - at))
    Site.ranges.clear()
    source = run(open_url(url, store))
    assert run(source.read(0, len(DATA))) == DATA
    assert Site.ranges == ["bytes=0-0", f"bytes={at // 65_536 * 65_536}-"]
    source.close()
    assert not store.blocks(url).exists() and store.path(url).read_bytes() == DATA


def test_records_of_blocks_that_are_none(site: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 65_536)
    url = f"{site}/good/x"
    for text in (None, "", "65536", "65536 0", "x y\n", "99999999 aa\n", f"{'9' * 5000} aa\n", "\xe9", "0 \n", "\n\n"):
        source = run(open_url(url, store))
        run(source.read(0, 100_000))
        source.close()
        store.blocks(url).unlink() if text is None else store.blocks(url).write_text(text, "latin1")
        Site.ranges.clear()
        source = run(open_url(url, store))
        assert run(source.read(0, 300_000)) == DATA[:300_000] and Site.ranges[1:] == ["bytes=0-"]
        source.close()
        for kept in store.list():
            store.remove(kept)


@pytest.mark.parametrize("behaviour", ["good", "careless", "whole"])
@pytest.mark.parametrize("what", ["etag", "modified", "size"])
def test_a_file_that_was_replaced_is_no_mixture(site: str, store: Store, monkeypatch, behaviour: str, what: str) -> None:
    """Of the same size, while it is read: an error; the next load takes the new one, whole."""
    url, new = f"{site}/{behaviour}/x", bytes(reversed(DATA))
    source = run(open_url(url, store))
    assert run(source.read(0, 300_000)) == DATA[:300_000]
    source._hang_up()  # type: ignore[attr-defined]
    Site.data = new + b"more" if what == "size" else new
    if what == "etag":
        Site.etag = '"2"'
    elif what == "modified":
        Site.etag, Site.modified = None, 1.1e9
    with pytest.raises(SourceError, match="changed on the server"):
        run(source.read(0, len(DATA)))
    source.close()
    source = run(open_url(url, store))
    assert run(source.read(0, source.size)) == Site.data
    source.close()


def test_a_complete_file_that_was_replaced_is_fetched_anew_and_serves_without_a_network(site: str, store: Store) -> None:
    url = f"{site}/good/x"
    for etag, data in (('"1"', DATA), ('"2"', bytes(reversed(DATA)))):
        Site.etag, Site.data = etag, data
        source = run(open_url(url, store))
        assert run(source.read(0, len(data))) == data
        source.close()
    record = store.record(url)
    assert record and record.is_complete and record.etag == '"2"'
    gone = "http://127.0.0.1:1/x"
    store.path(gone).write_bytes(data)
    store.write(gone, record)
    source = run(open_url(gone, store))
    assert run(source.read(0, len(data))) == data
    source.close()


@pytest.mark.parametrize("behaviour", ["drips", "drips_its_head"])
def test_one_byte_now_and_then_is_not_waited_for(site: str, store: Store, monkeypatch, behaviour: str) -> None:
    monkeypatch.setattr(download, "WINDOW_S", 0.3)
    monkeypatch.setattr(download, "TIMEOUT_S", 0.3)
    began = time.monotonic()
    with pytest.raises(SourceError, match=r"(bytes came in|no answer within).*3 attempts"):
        source = run(open_url(f"{site}/{behaviour}/x", store))
        run(source.read(0, 1000))
    assert time.monotonic() - began < 20
    if behaviour == "drips":
        source.close()


def test_two_programs_do_not_write_one_file(site: str, store: Store) -> None:
    source = run(open_url(f"{site}/good/x", store))
    with pytest.raises(SourceError, match="another program downloads it"):
        run(open_url(f"{site}/good/x", store))
    run(source.read(0, len(DATA)))
    second = run(open_url(f"{site}/good/x", store))
    assert run(second.read(5, 5)) == DATA[5:10]
    source.close(), second.close()


def test_a_disk_without_room(site: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: type("", (), {"free": 1000}))
    with pytest.raises(SourceError, match="the disk has 1000 free"):
        run(open_url(f"{site}/good/x", store))
    store.folder.joinpath("file").write_text("")
    with pytest.raises(SourceError, match="cannot be written") as caught:
        run(open_url(f"{site}/good/x", Store(store.folder / "file")))
    assert "FANLIGHT_STORE" in caught.value.hint


def test_an_empty_file(site: str, store: Store) -> None:
    source = run(open_url(f"{site}/empty/x", store))
    assert source.size == 0 and run(source.read(0, 0)) == b""


@pytest.mark.parametrize(
    ("behaviour", "message", "attempts"),
    [
        ("nothing", "no such file on the server", 1),
        ("private", "sign in", 1),
        ("teapot", "answered 418", 1),
        ("broken", "Service Unavailable.*3 attempts", 3),
        ("elsewhere", "from byte 7, asked for 0", 1),
        ("nonsense", "another range", 1),
        ("packed", "another range", 1),
        ("secretive", "does not say how long", 2),
        ("endless", "does not say how long", 1),
    ],
)
def test_faults_are_errors(site: str, store: Store, behaviour: str, message: str, attempts: int) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        run(open_url(f"{site}/{behaviour}/x?token=secret", store))
    assert caught.value.where == f"{site}/{behaviour}/x" and "token" not in str(caught.value)
    assert len(Site.requests) == attempts


def test_without_a_network(site: str, store: Store) -> None:
    for url in ("http://127.0.0.1:1/model.gguf", "http://"):
        with pytest.raises(SourceError, match=r"could not be read: .*3 attempts\)") as caught:
            run(open_url(url, store))
        assert "network" in caught.value.hint


# --- models ----------------------------------------------------------------------------------------------------------
def gguf_bytes(path: Path, name: str, **split: int) -> bytes:
    write_gguf(path, {f"split.{k}": v for k, v in split.items()}, [TensorData(name, "F32", (2,), b"12345678")])
    return path.read_bytes()


def test_a_split_model(site: str, tmp_path: Path, store: Store) -> None:
    for number, name in enumerate("ab"):
        data = gguf_bytes(tmp_path / "x", name, no=number, count=2)
        Site.files[f"/m/x-{number + 1:05}-of-00002.gguf?download=true"] = data
    sources = run(resolve_model(f"{site}/m/x-00002-of-00002.gguf?download=true"))
    checkpoint = run(open_checkpoint(sources))
    assert {n: t.source for n, t in checkpoint.tensors.items()} == {"a": 0, "b": 1}
    assert run(checkpoint.read("b")) == b"12345678"
    for source in sources:
        source.close()
    for kept in store.list():
        assert kept.record.is_complete and kept.num_bytes == kept.record.size
        store.remove(kept)
    assert not any(store.folder.iterdir())
    Site.files.popitem()
    with pytest.raises(SourceError, match="no such file on the server") as caught:
        run(resolve_model(f"{site}/m/x-00001-of-00002.gguf?download=true"))
    assert caught.value.where.endswith("/x-00002-of-00002.gguf")
