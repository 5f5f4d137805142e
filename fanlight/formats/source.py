"""Bytes by range.  A Source knows no format; a reader that asks for bytes past the end gets a SourceError, never fewer bytes.

BytesSource (memory) and FileSource (memory-mapped) also give `view`, a window without a copy; what is on a web server is read
in download.py. In a browser the sources are JavaScript's (Blob, OPFS, fetch), so what only native sources need is imported when
one is opened.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

from fanlight.errors import SourceError

if TYPE_CHECKING:
    import mmap


class Source(Protocol):
    name: str
    size: int  # bytes

    async def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes. Raises SourceError."""


def file_name(source: Source) -> str:
    """The last part of the source's name: 'config.json' of a path or of a URL."""
    return file_name_of(source.name)


def file_name_of(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]


def folder_name(source: Source) -> str:
    """The part before it: '1_Pooling' of '1_Pooling/config.json'."""
    return next(iter(re.split(r"[/\\]", source.name)[-2:-1]), "")


def start_in_words(start: bytes) -> str:
    """How a file begins: as text where it is such."""
    is_text = start.isascii() and start.decode("ascii").isprintable()
    return f"'{start.decode('ascii')}'" if is_text else f"the bytes {start.hex(' ')}"


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
        import asyncio

        await asyncio.sleep(0)  # nothing here waits, and a model is thousands of reads: others want their turns
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


def is_url(spec: str) -> bool:
    return re.match(r"https?://", spec, re.IGNORECASE) is not None


def display_url(url: str) -> str:
    """The URL as errors and logs may show it: a query or a user name may hold a secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], unquote(parts.path), "", ""))
