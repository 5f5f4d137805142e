"""What stands among a prompt's tokens and is none, and where: a picture or a sound, of which an encoder makes rows."""

from dataclasses import dataclass
from typing import Protocol


class Taken(Protocol):
    """images.Image, or sounds.Sound: what an encoder takes in at once."""

    @property
    def digest(self) -> bytes:
        """Of all that it depends on."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What a prompt's tokens from `start` on stand for, so many as it has rows. line: rows side by side, after which, but for
    the last of them, comes a token that stands for none; 0: there are no such tokens."""

    start: int
    image: Taken
    num_rows: int
    line: int = 0

    @property
    def end(self) -> int:
        return self.start + self.num_rows + ((self.num_rows - 1) // self.line if self.line else 0)

    def row_of(self, token: int) -> int | None:
        """Which of its rows a token from `start` to `end` stands for."""
        if not self.line:
            return token - self.start
        above, right = divmod(token - self.start, self.line + 1)
        return None if right == self.line else above * self.line + right
