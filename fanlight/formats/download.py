"""A file on a web server, kept on the disk as it is read: what was downloaded once is not again, what was interrupted goes on
from where what is here is unharmed, and what changed on the server meanwhile is an error, never a mixture.  Native only; knows
no format.

A reader asks for bytes, and the file is filled from its start to there over one connection (RFC 9110, sections 13 and 14). A
server without ranges is read once, as a stream.
"""

import http.client
import os
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from http.client import HTTPResponse
from typing import TypeVar

from fanlight.errors import SourceError
from fanlight.formats.blocks import Blocks
from fanlight.formats.source import BytesSource, FileSource, Source, check_range, display_url
from fanlight.formats.store import Record, Store

T = TypeVar("T")

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0  # without a byte, and for an answer's head
WINDOW_S = 30.0  # over which the rate is judged
MIN_BYTES_PER_S = 1024
RETRY_DELAYS_S = (0.5, 2.0, 8.0, 30.0)
PROGRESS_BYTES = 1 << 20  # whoever gets so far begins to count failures anew
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
HEADERS = {"User-Agent": "fanlight", "Accept-Encoding": "identity"}


async def open_url(url: str, store: Store) -> Source:
    """The file at the URL: from the store, if it is whole there and still the server's. Raises SourceError."""
    kept = store.record(url)
    try:
        found, answer = with_retries(url, lambda: probe(url))
    except SourceError:
        if kept and kept.is_complete and store.path(url).is_file():
            return FileSource(store.path(url))  # offline, or gone: what is here is whole
        raise
    if found.size == 0:
        return BytesSource(display_url(url), b"")
    if kept and kept.is_complete and is_same(kept, found) and store.path(url).is_file():
        _close(answer)
        return FileSource(store.path(url))
    return UrlSource(url, store, found, answer)


def is_same(before: Record, now: Record) -> bool:
    """Whether it can be one file. A server that tells less than before tells nothing."""
    pairs = ((before.etag, now.etag), (before.modified, now.modified))
    return before.size == now.size and all(a == b for a, b in pairs if a and b)


class UrlSource:
    """Made by `open_url`. answer: of a server without ranges, the whole file's, unread."""

    def __init__(self, url: str, store: Store, record: Record, answer: HTTPResponse | None) -> None:
        self.url, self.name, self.size = url, record.name, record.size
        self._store, self._record, self._answer = store, record, answer
        self._has_ranges = answer is None
        self._held, self._lock = ExitStack(), ExitStack()
        self._lock.enter_context(store.writing(url))
        kept, path = store.record(url), store.path(url)
        try:
            self._file = self._held.enter_context(open(path, "r+b" if path.exists() else "w+b"))
            there = os.fstat(self._file.fileno()).st_size if kept is not None and is_same(kept, record) else 0
            self._blocks = Blocks(store.blocks(url), self._file, min(there, self.size))
            self._held.callback(self._blocks.close)
            free = shutil.disk_usage(store.folder).free
        except OSError as error:
            self.close()
            raise store.failed(error) from error
        store.write(url, record)
        if free < self.size - self._have:
            self.close()
            message = f"{self.size - self._have} bytes are still to come, and the disk has {free} free"
            raise SourceError(message, where=str(store.folder), hint="free disk space, or another folder in FANLIGHT_STORE")
        self._at = 0  # where the answer goes on

    @property
    def _have(self) -> int:
        return self._blocks.size

    async def read(self, offset: int, size: int) -> bytes:
        check_range(self.name, self.size, offset, size)
        end = offset + size
        self.fill(end if self.size - end > CHUNK_BYTES else self.size)  # of small files all; what is left behind tensors, too
        self._file.seek(offset)
        return self._file.read(size)

    def fill(self, end: int) -> None:
        """Download up to there, at least."""
        end = min(end, self.size)
        while self._have < end:
            before = self._have
            for delay in (*RETRY_DELAYS_S, None):
                failure = self._fill_until_broken(end)
                if failure is None or self._have - before >= PROGRESS_BYTES:
                    break
                if delay is None:
                    raise unreadable(self.url, failure, len(RETRY_DELAYS_S) + 1) from failure
                time.sleep(delay)
        if self._have == self.size and not self._record.is_complete:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._record = replace(self._record, is_complete=True)
            self._store.write(self.url, self._record)
            self._blocks.remove()
            self._hang_up()
            self._lock.close()

    def close(self) -> None:
        self._hang_up()
        self._held.close()
        self._lock.close()

    __del__ = close

    def _fill_until_broken(self, end: int) -> Exception | None:
        """What broke the connection, if it may pass; what cannot pass is raised."""
        try:
            self._stream(end)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in TRANSIENT:
                raise status_error(self.name, error.code) from error
            self._hang_up()
            return error
        except (http.client.HTTPException, OSError) as error:
            self._hang_up()
            return error
        return None

    def _stream(self, end: int) -> None:
        answer = self._answer = self._answer or self._ask()
        began, num_bytes = time.monotonic(), 0
        while self._have < end:
            piece = answer.read1(CHUNK_BYTES)
            if not piece:
                raise ConnectionError(f"the connection ended at {self._at} of {self.size} bytes")
            self._keep(piece[: self.size - self._at])
            num_bytes += len(piece)
            if (passed := time.monotonic() - began) >= WINDOW_S:
                if num_bytes < MIN_BYTES_PER_S * passed:
                    raise TimeoutError(f"{num_bytes} bytes came in {passed:.0f} s")
                began, num_bytes = time.monotonic(), 0

    def _keep(self, piece: bytes) -> None:
        """A server without ranges sends again what is here already."""
        new = piece[max(0, self._have - self._at) :]
        self._at += len(piece)
        if new:
            try:
                self._file.seek(self._have)
                self._file.write(new)
                self._blocks.add(new)
            except OSError as error:
                raise self._store.failed(error) from error

    def _ask(self) -> HTTPResponse:
        answer = request(self.url, self._have if self._has_ranges else None, self._record)
        self._at = self._have if self._has_ranges else 0
        try:
            if self._has_ranges and answer.status != 206:  # what If-Range was sent for
                raise changed(self.name)
            start, size = content_range(self.url, answer) if answer.status == 206 else (0, content_length(answer))
            if start != self._at:
                raise SourceError(f"the server answered from byte {start}, asked for {self._at}", where=self.name)
            if not is_same(self._record, described(self.url, answer, self.size if size is None else size)):
                raise changed(self.name)
        except SourceError:
            _close(answer)
            raise
        return answer

    def _hang_up(self) -> None:
        if self._answer is not None:
            _close(self._answer)
            self._answer = None


# --- HTTP ------------------------------------------------------------------------------------------------------------
def probe(url: str) -> tuple[Record, HTTPResponse | None]:
    """What the file is; of a server without ranges also its answer, which has the whole file."""
    try:
        answer = request(url, 0, end=1)
    except urllib.error.HTTPError as error:
        # The only answer that an empty file allows.
        if error.code == 416 and error.headers.get("Content-Range", "").replace(" ", "") == "bytes*/0":
            error.close()
            return Record(display_url(url), 0, None, None), None
        raise
    if answer.status == 206:
        with answer:
            start, size = content_range(url, answer)
            if start != 0:
                raise SourceError(f"the server answered from byte {start}, asked for 0", where=display_url(url))
            return described(url, answer, head_size(url) if size is None else size), None
    try:
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise SourceError("the server sends it compressed", where=display_url(url), hint="downloading it first")
        size = content_length(answer)
        if size is None:
            hint = "downloading it first"
            raise SourceError(
                "the server does not say how long the file is, nor knows ranges", where=display_url(url), hint=hint
            )
        return described(url, answer, size), answer
    except BaseException:
        _close(answer)
        raise


def described(url: str, answer: HTTPResponse, size: int) -> Record:
    return Record(display_url(url), size, answer.headers.get("ETag"), answer.headers.get("Last-Modified"))


def head_size(url: str) -> int:
    """For servers whose Content-Range hides the total ('bytes 0-0/*')."""
    with request(url, method="HEAD") as answer:
        size = content_length(answer)
    if size is None:
        raise SourceError("the server does not say how long the file is", where=display_url(url), hint="downloading it first")
    return size


def request(
    url: str, start: int | None = None, record: Record | None = None, *, end: int | None = None, method: str = "GET"
) -> HTTPResponse:
    headers = dict(HEADERS)
    if start is not None:
        headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
    # Whose file changed sends all of the new one, not a part that would not fit. Only a strong tag may be used so.
    if start is not None and record is not None:
        validator = record.etag if record.etag and not record.etag.startswith("W/") else record.modified
        headers |= {"If-Range": validator} if validator else {}
    asked = urllib.request.Request(url, headers=headers, method=method)
    return within(TIMEOUT_S, lambda: urllib.request.urlopen(asked, timeout=TIMEOUT_S))


def within(seconds: float, call: Callable[[], T]) -> T:
    """call(), in a thread: a head that drips in, byte by byte, has no time limit of its own."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]


def content_range(url: str, answer: HTTPResponse) -> tuple[int, int | None]:
    """Where the answer's bytes start, and the file's size if the server tells."""
    header = answer.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", header.strip(), re.ASCII)
    # Compressed on the way, offsets would mean nothing.
    if not match or answer.headers.get("Content-Encoding", "identity") != "identity":
        raise SourceError(f"the server answered another range than was asked for: {header!r}", where=display_url(url))
    return int(match[1]), None if match[3] == "*" else int(match[3])


def content_length(answer: HTTPResponse) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"\d{1,18}", length, re.ASCII) else None


def _close(answer: HTTPResponse | None) -> None:
    if answer is not None:
        answer.close()


# --- failures --------------------------------------------------------------------------------------------------------
def with_retries(url: str, ask: Callable[[], T]) -> T:
    """ask(), again after a pause if the network or the server failed in a way that may pass."""
    for delay in (*RETRY_DELAYS_S, None):
        try:
            return ask()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in TRANSIENT:
                raise status_error(display_url(url), error.code) from error
            failure: Exception = error
        except (http.client.HTTPException, OSError, ValueError) as error:
            failure = error
        if delay is None:
            break
        time.sleep(delay)
    raise unreadable(url, failure, len(RETRY_DELAYS_S) + 1) from failure


def unreadable(url: str, failure: Exception, attempts: int) -> SourceError:
    reason = getattr(failure, "reason", "") or failure
    hint = "the URL and the network connection; what has arrived is kept"
    return SourceError(f"could not be read: {reason} ({attempts} attempts)", where=display_url(url), hint=hint)


def changed(where: str) -> SourceError:
    return SourceError("the file changed on the server while it was read", where=where, hint="loading the model again")


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
