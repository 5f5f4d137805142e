"""Bytes by range.  A Source knows no format; a reader that asks for bytes past the end gets a SourceError, never fewer bytes."""

from typing import Protocol


class Source(Protocol):
    name: str
    size: int  # bytes

    async def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes. Raises SourceError."""
