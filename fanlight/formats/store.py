"""The files that were downloaded from URLs: one folder, each file beside a record of what it is.  What the hub gives is kept by
huggingface_hub, in its own cache.  Native only; knows no network."""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from fanlight.errors import SourceError
from fanlight.formats.source import display_url


@dataclass(frozen=True, slots=True)
class Record:
    """What the server said of the file. `name`: its URL without what may be secret in it."""

    name: str
    size: int
    etag: str | None
    modified: str | None
    is_complete: bool = False
    saved_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the store, whole or in part."""

    path: Path
    record: Record

    @property
    def num_bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0


class Store:
    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()

    def path(self, url: str) -> Path:
        """Where the URL's file is, or would be. The whole URL counts, also what is not shown of it."""
        name = re.sub(r"[^\w.-]", "_", display_url(url).rpartition("/")[2])[-100:]
        return self.folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"

    def blocks(self, url: str) -> Path:
        """Beside it, while it is downloaded: see Blocks."""
        return _blocks(self.path(url))

    def record(self, url: str) -> Record | None:
        return _read(_beside(self.path(url)))

    def write(self, url: str, record: Record) -> None:
        """At once or not at all."""
        beside = _beside(self.path(url))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = beside.with_suffix(".draft")
            draft.write_text(json.dumps(asdict(replace(record, saved_at=time.time()))))
            draft.replace(beside)
        except OSError as error:
            raise self.failed(error) from error

    def failed(self, error: OSError) -> SourceError:
        hint = "free disk space, or another folder in FANLIGHT_STORE"
        return SourceError(f"cannot be written: {error.strerror or error}", where=str(self.folder), hint=hint)

    def list(self) -> list[Kept]:
        found = [(path, _read(path)) for path in sorted(self.folder.glob("*.record"))]
        return [Kept(path.with_suffix(""), record) for path, record in found if record]

    def remove(self, kept: Kept) -> None:
        for path in (
            kept.path,
            _blocks(kept.path),
            _beside(kept.path),
        ):  # the record last: what is interrupted can be done again
            path.unlink(missing_ok=True)
        kept.path.with_name(f"{kept.path.name}.lock").unlink(missing_ok=True)

    def is_checked(self, path: Path, digest: str) -> bool:
        """Whether this file had this digest, and was not written to since. Of files that lie elsewhere: the hub's."""
        try:
            return self._mark(digest).read_text() == _state(path)
        except OSError:
            return False

    def mark_checked(self, path: Path, digest: str) -> None:
        try:
            self._mark(digest).parent.mkdir(parents=True, exist_ok=True)
            self._mark(digest).write_text(_state(path))
        except OSError:
            pass  # then it is checked again

    def _mark(self, digest: str) -> Path:
        return self.folder / "checked" / digest.replace(":", "-")

    @contextmanager
    def writing(self, url: str) -> Iterator[None]:
        """One program at a time writes a file; another is told."""
        path = self.path(url)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = open(path.with_name(f"{path.name}.lock"), "w")
        except OSError as error:
            raise self.failed(error) from error
        with file:
            if not _lock(file):
                raise SourceError("another program downloads it", where=display_url(url), hint="waiting until that is done")
            yield


def _state(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.record")


def _blocks(path: Path) -> Path:
    return path.with_name(f"{path.name}.blocks")


def _read(path: Path) -> Record | None:
    """None where there is none that can be read: then nothing is known of the file."""
    try:
        return Record(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _lock(file: IO[str]) -> bool:
    """Until the file is closed, or the program ends in whatever way."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
