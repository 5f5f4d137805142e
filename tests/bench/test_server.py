"""What the bench server sends, as a client of the standard library reads it: ranges, types, isolation, and nothing outside."""

import urllib.error
import urllib.request

import pytest

from bench.server import Server

DATA = bytes(range(256)) * 8


@pytest.fixture
def served(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/model.gguf").write_bytes(DATA)
    (tmp_path / "inside/worker.js").write_text("rest")
    (tmp_path / "secret").write_text("not for a page")
    posted = []

    def on_post(path, body):
        posted.append((path, body))
        return "next" if path == "/command" else None

    before = {"/worker.js": "first"}
    with Server({"/": tmp_path / "inside"}, {"/about.json": "{}"}, before, on_post) as server:
        server.posted = posted
        yield server


def get(server, path, method="GET", body=None, **headers):
    request = urllib.request.Request(
        server.url + path, body, {k.replace("_", "-"): v for k, v in headers.items()}, method=method
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read(), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-5", slice(-5, None)),
        ("bytes=2040-9999", slice(2040, None)),
    ],
)
def test_ranges(served, asked, part):
    status, body, headers = get(served, "/model.gguf", Range=asked)
    assert (status, body) == (206, DATA[part])
    start = range(len(DATA))[part].start
    assert headers["Content-Range"] == f"bytes {start}-{start + len(body) - 1}/{len(DATA)}"


def test_a_range_beyond_the_end_is_refused(served):
    status, _, headers = get(served, "/model.gguf", Range="bytes=5000-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")


def test_whole_files_texts_and_heads(served):
    status, body, headers = get(served, "/model.gguf?config=1")
    assert (status, body, headers["Content-Length"]) == (200, DATA, str(len(DATA)))
    assert headers["ETag"] and headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert get(served, "/model.gguf", "HEAD")[1] == b""
    assert get(served, "/about.json")[1] == b"{}"
    status, body, headers = get(served, "/worker.js")
    assert (body, headers["Content-Type"]) == (b"first\nrest", "text/javascript")


@pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "/nothing", "/"])
def test_nothing_else_is_there(served, path):
    assert get(served, path)[0] == 404


def test_posts_are_handed_on_and_answered(served):
    assert get(served, "/mark", "POST", b"load")[1] == b"ok"
    assert get(served, "/command", "POST", b"{}")[1] == b"next"
    assert served.posted == [("/mark", b"load"), ("/command", b"{}")]
