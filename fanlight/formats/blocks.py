"""The digests of a growing file's blocks, by which a download that goes on later knows what of it is unharmed.  They lie beside
the file, a line for each block of 4 MiB, and one for what came of the next when the download was closed.  Native only."""

import hashlib
import re
from contextlib import suppress
from pathlib import Path
from typing import IO

BLOCK_BYTES = 4 << 20
LINE = re.compile(r"(\d{1,18}) ([0-9a-f]{64})\n", re.ASCII)


class Blocks:
    """Of the file that is open, which has `size` bytes so far; after the last good one of them it is cut off."""

    def __init__(self, path: Path, file: IO[bytes], size: int) -> None:
        self._block = hashlib.sha256()  # of what is here since the last whole block
        self._path, self.size = path, 0
        good = self._good(file, size)
        file.truncate(self.size)
        self._record = open(path, "w", buffering=1)  # each line is written at once
        self._record.writelines(good)

    def add(self, data: bytes | memoryview) -> None:
        """What was written after the last."""
        data = memoryview(data)
        while data:
            piece = data[: BLOCK_BYTES - self.size % BLOCK_BYTES]
            self._block.update(piece)
            self.size += len(piece)
            if self.size % BLOCK_BYTES == 0:
                self._note()
                self._block = hashlib.sha256()
            data = data[len(piece) :]

    def close(self) -> None:
        with suppress(OSError):  # then these bytes are fetched again
            if not self._record.closed and self.size % BLOCK_BYTES:
                self._note()
            self._record.close()

    def remove(self) -> None:
        """The file is whole."""
        self._record.close()
        self._path.unlink(missing_ok=True)

    def _note(self) -> None:
        self._record.write(f"{self.size} {self._block.hexdigest()}\n")

    def _good(self, file: IO[bytes], size: int) -> list[str]:
        """The lines before the first that does not hold; reads their bytes."""
        text = self._path.read_text("ascii", errors="replace") if self._path.exists() else ""
        lines = text.splitlines(keepends=True)
        file.seek(0)
        for i, line in enumerate(lines):
            match = LINE.fullmatch(line)
            end = int(match[1]) if match else 0
            if match is None or not self.size < end <= min(size, self.size + BLOCK_BYTES):
                return lines[:i]
            block = hashlib.sha256(file.read(end - self.size))
            if block.hexdigest() != match[2]:
                return lines[:i]
            self.size = end
            if self.size % BLOCK_BYTES:
                self._block = block
                return lines[:i]
        return lines
