"""Small texts that are kept between loads, by name: natively files in the user's cache folder, in a page OPFS (browser.py)."""

import os
from pathlib import Path
from typing import Protocol


class Notes(Protocol):
    """A lost note costs time, never an answer: nothing here raises."""

    async def read(self, name: str) -> str | None: ...

    async def write(self, name: str, text: str) -> None: ...


class FileNotes:
    def __init__(self, folder: str):
        self.folder = Path(folder).expanduser()

    async def read(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text()
        except (OSError, UnicodeDecodeError):
            return None

    async def write(self, name: str, text: str) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = self.folder / f"{name}.{os.getpid()}"
            draft.write_text(text)
            draft.replace(self.folder / name)
        except OSError:
            return


class MemoryNotes:
    """For as long as the process lives."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    async def read(self, name: str) -> str | None:
        return self.texts.get(name)

    async def write(self, name: str, text: str) -> None:
        self.texts[name] = text
