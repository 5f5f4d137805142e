"""Stop strings: text goes out only when it can no longer become part of one.  Knows no tokens and no model.

The text ends at the stop string that is complete first; of several complete at the same character, the longest counts. So the
result does not depend on how the text was cut into pieces.
"""

from collections.abc import Sequence


class StopStrings:
    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(s for s in stops if s)
        self._held = ""
        self.matched: str | None = None

    def feed(self, text: str) -> str:
        """What may go out now. Once `matched` is set, nothing more does."""
        if self.matched is not None:
            return ""
        if not self._stops:
            return text
        text = self._held + text
        self._held = ""
        found = [(start + len(stop), start, stop) for stop in self._stops if (start := text.find(stop)) >= 0]
        if found:
            _, start, self.matched = min(found)
            return text[:start]
        held = max(longest_beginning(text, stop) for stop in self._stops)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def flush(self) -> str:
        """The text held back, when no more follows."""
        held, self._held = self._held, ""
        return held


def longest_beginning(text: str, stop: str) -> int:
    """The length of the longest end of `text` that begins `stop` without being all of it."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
