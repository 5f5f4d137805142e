"""Tool calls as Hermes and Qwen models write them:  <tool_call>{"name": ..., "arguments": {...}}</tool_call>

Text in, text and calls out, as soon as they are certain. What is no valid call is given back as the text that it is.
"""

import json
from dataclasses import dataclass

from fanlight.text.stop import longest_beginning

OPEN, CLOSE = "<tool_call>", "</tool_call>"
MARKS = (OPEN, CLOSE)


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: str  # JSON


class HermesParser:
    """Whitespace around calls belongs to them, not to the content."""

    def __init__(self) -> None:
        self._held = ""
        self._in_call = False
        self._follows_call = False  # nothing but whitespace came since a call
        self.num_calls = 0

    def feed(self, text: str) -> list[str | ToolCall]:
        """What became certain: pieces of content and whole calls, in order."""
        self._held += text
        found: list[str | ToolCall] = []
        while (mark := CLOSE if self._in_call else OPEN) in self._held:
            before, self._held = self._held.split(mark, 1)
            found += self._call(before, CLOSE) if self._in_call else self._content(before.rstrip())
            self._in_call = not self._in_call
        if not self._in_call:
            certain = self._held[: len(self._held) - longest_beginning(self._held, OPEN)].rstrip()
            self._held = self._held[len(certain) :]
            found += self._content(certain)
        return found

    def flush(self) -> list[str | ToolCall]:
        """What is held back, when the answer ends here: models may leave out the last mark."""
        held, self._held = self._held, ""
        if self._in_call:
            return self._call(held, "")
        return self._content(held if self.num_calls == 0 else held.rstrip())

    def _content(self, text: str) -> list[str | ToolCall]:
        text = text.lstrip() if self._follows_call else text
        self._follows_call = self._follows_call and not text
        return [text] if text else []

    def _call(self, text: str, close: str) -> list[str | ToolCall]:
        call = parse_call(text)
        self._follows_call = call is not None
        if call is None:
            return [f"{OPEN}{text}{close}"]
        self.num_calls += 1
        return [call]


def parse_call(text: str) -> ToolCall | None:
    try:
        call = json.loads(text)
        name, arguments = call["name"], call.get("arguments", call.get("parameters", {}))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if not isinstance(name, str) or not isinstance(arguments, (dict, str)):
        return None
    return ToolCall(name, arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False))
