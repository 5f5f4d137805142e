"""Bytes by range.  A Source knows no format; a reader that asks for bytes past the end gets a SourceError, never fewer bytes.

BytesSource (memory) and FileSource (memory-mapped) also give `view`, a window without a copy. HttpSource asks a web server for
byte ranges (RFC 9110, section 14) and never reads more than it asked for. In a browser the sources are JavaScript's (Blob,
OPFS, fetch), so what only native sources need is imported when one is opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from fanlight.errors import SourceError

if TYPE_CHECKING:
    import mmap
    from http.client import HTTPResponse

T = TypeVar("T")

HTTP_PIECE_BYTES = 16 << 20  # of one request
HTTP_TIMEOUT_S = 30.0
HTTP_RETRY_DELAYS_S = (0.25, 1.0)
HTTP_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class Source(Protocol):
    name: str
    size: int  # bytes

    async def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes. Raises SourceError."""


def file_name(source: Source) -> str:
    """The last part of the source's name: 'config.json' of a path or of a URL."""
    return re.split(r"[/\\]", source.name)[-1]


def check_range(name: str, total: int, offset: int, size: int) -> None:
    if offset < 0 or size < 0 or offset + size > total:
        raise SourceError(f"bytes {offset}..{offset + size} were asked for, but there are {total}", where=name)


class BytesSource:
    """A file that is in memory."""

    def __init__(self, name: str, data: bytes):
        self.name, self.size, self._data = name, len(data), data

    def view(self, offset: int, size: int) -> memoryview:
        check_range(self.name, self.size, offset, size)
        return memoryview(self._data)[offset : offset + size]

    async def read(self, offset: int, size: int) -> bytes:
        return bytes(self.view(offset, size))


class FileSource:
    """A local file, memory-mapped: the system reads the pages that are touched and may drop them again."""

    def __init__(self, path: str | Path):
        self.name = str(path)
        try:
            with open(path, "rb") as file:
                self.size = os.fstat(file.fileno()).st_size
                self._map = map_file(file.fileno()) if self.size else None  # an empty file cannot be mapped
        except (OSError, ValueError) as error:
            raise SourceError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=self.name) from error

    def view(self, offset: int, size: int) -> memoryview:
        """The bytes without a copy; valid until `close`, which waits for the views."""
        self._check(offset, size)
        return memoryview(self._map or b"")[offset : offset + size]

    async def read(self, offset: int, size: int) -> bytes:
        self._check(offset, size)
        return self._map[offset : offset + size] if self._map else b""

    def close(self) -> None:
        if self._map:
            try:
                self._map.close()
            except BufferError:  # a view still looks at it; the map goes with the last view
                pass
            self._map = None

    def _check(self, offset: int, size: int) -> None:
        check_range(self.name, self.size, offset, size)
        if self._map is None and self.size:
            raise SourceError("is closed", where=self.name)
        # Touching a mapped page behind the end of a shortened file kills the process.
        if self._map and self._map.size() < self.size:
            raise SourceError("was shortened while in use", where=self.name, hint="load the model again")


def map_file(descriptor: int) -> mmap.mmap:
    import mmap

    return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)


class HttpSource:
    """A file on a web server that answers range requests. Made by `HttpSource.open`."""

    def __init__(self, url: str, size: int):
        self.url, self.name, self.size = url, display_url(url), size

    @staticmethod
    async def open(url: str) -> HttpSource:
        return HttpSource(url, probe_size(url))

    async def read(self, offset: int, size: int) -> bytes:
        check_range(self.name, self.size, offset, size)
        end = offset + size
        pieces = [
            fetch_range(self.url, start, min(HTTP_PIECE_BYTES, end - start), self.size)
            for start in range(offset, end, HTTP_PIECE_BYTES)
        ]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def open_source(spec: str | Path) -> Source:
    """The file or URL `spec`, opened."""
    if isinstance(spec, str) and is_url(spec):
        return await HttpSource.open(spec)
    return FileSource(spec)


def is_url(spec: str) -> bool:
    return re.match(r"https?://", spec, re.IGNORECASE) is not None


def display_url(url: str) -> str:
    """The URL as errors and logs may show it: a query or a user name may hold a secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], unquote(parts.path), "", ""))


# --- HTTP ------------------------------------------------------------------------------------------------------------
def probe_size(url: str) -> int:
    """The file's size, by asking for its first byte: that also shows whether the server knows ranges."""
    import urllib.error

    def ask() -> int | None:
        try:
            with request(url, 0, 1) as response:
                return content_range(url, response, 0)[1]
        except urllib.error.HTTPError as error:
            # The only answer that an empty file allows.
            if error.code == 416 and error.headers.get("Content-Range", "").replace(" ", "") == "bytes*/0":
                error.close()
                return 0
            raise

    size = with_retries(url, ask)
    return with_retries(url, lambda: head_size(url)) if size is None else size


def head_size(url: str) -> int:
    """For servers whose Content-Range hides the total ('bytes 0-0/*')."""
    with request(url, method="HEAD") as response:
        length = response.headers.get("Content-Length", "")
    if not length.isascii() or not length.isdigit():
        raise SourceError("the server does not say how long the file is", where=display_url(url), hint="download it first")
    return int(length)


def fetch_range(url: str, offset: int, size: int, total: int) -> bytes:
    """Exactly `size` bytes of the file, whose length must still be `total`."""

    def ask() -> bytes:
        with request(url, offset, size) as response:
            end, now = content_range(url, response, offset)
            if now is not None and now != total:
                message = f"the file changed on the server while it was read: {total} bytes before, {now} now"
                raise SourceError(message, where=display_url(url), hint="load the model again")
            data = response.read(size)
            if len(data) != size or end != offset + size:
                raise ConnectionError(f"{len(data)} of {size} bytes arrived")
            return data

    return with_retries(url, ask)


def request(url: str, offset: int | None = None, size: int = 0, method: str = "GET") -> HTTPResponse:
    import urllib.request

    headers = {"User-Agent": "fanlight"}
    if offset is not None:
        headers["Range"] = f"bytes={offset}-{offset + size - 1}"
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method), timeout=HTTP_TIMEOUT_S)


def content_range(url: str, response: HTTPResponse, offset: int) -> tuple[int, int | None]:
    """Where the answer's bytes end, and the file's size if the server tells. Raises unless the answer starts at `offset`."""
    where = display_url(url)
    if response.status != 206:
        message = f"the server ignores byte ranges: it answered {response.status} to a range request instead of 206"
        raise SourceError(message, where=where, hint="download the file and give its path, or use another server")
    header = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", header.strip(), re.ASCII)
    # Compressed on the way, offsets would mean nothing.
    if not match or int(match[1]) != offset or response.headers.get("Content-Encoding", "identity") != "identity":
        raise SourceError(f"the server answered another range than bytes {offset}-...: Content-Range {header!r}", where=where)
    return int(match[2]) + 1, None if match[3] == "*" else int(match[3])


def with_retries(url: str, ask: Callable[[], T]) -> T:
    """ask(), again after a pause if the network or the server failed in a way that may pass."""
    import http.client
    import time
    import urllib.error

    where = display_url(url)
    for delay in (*HTTP_RETRY_DELAYS_S, None):
        try:
            return ask()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in HTTP_TRANSIENT:
                raise status_error(where, error.code) from error
            failure: Exception = error
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
            failure = error
        if delay is None:
            break
        time.sleep(delay)
    reason = getattr(failure, "reason", "") or failure
    message = f"could not be read: {reason} ({len(HTTP_RETRY_DELAYS_S) + 1} attempts)"
    raise SourceError(message, where=where, hint="check the URL and the network connection") from failure


def status_error(where: str, status: int) -> SourceError:
    reasons = {
        401: ("the server wants you to sign in (401)", "download the file and give its path"),
        403: ("the server refuses access (403)", "download the file and give its path"),
        404: ("there is no such file on the server (404)", "check the URL"),
        410: ("the file was removed from the server (410)", "check the URL"),
        416: ("the server has fewer bytes than it said (416)", "load the model again"),
    }
    message, hint = reasons.get(status, (f"the server answered {status}", "check the URL"))
    return SourceError(message, where=where, hint=hint)
