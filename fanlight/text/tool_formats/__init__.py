"""How models write tool calls: one file a syntax, whose `FORMATS` say how it is recognised, read and forced.

A file here is a registration. `choose` takes the syntax that the text of a chat template shows.
"""

import importlib
import pkgutil
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from fanlight.text.reader import Syntax
from fanlight.text.structure import Format, either, separated, tag, triggered

Tag = Callable[[str, dict[str, Any], str], Format]  # a function's name, its parameters, where they stand in the request
Frame = Callable[[Format, bool], Format]  # an answer, whether it is text (or calls)


def openai_id() -> str:
    return f"call_{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """`call` is the grammar of one call, `first`, `separator` and `last` what stands around and between several. `trigger` is
    what tells a call from other text; None where only a whole answer can be calls. The marks are special tokens that have to
    be seen; `no_stops` are some that end other models' turns."""

    name: str
    recognises: Callable[[str], bool]
    read: Syntax
    call: Tag
    marks: tuple[str, ...] = ()
    first: str = ""
    separator: str = "\n"
    last: str = ""
    trigger: str | None = None
    free: Format | None = None  # without a trigger: what is text and begins no call
    is_single: bool = False  # an answer ends with its first call
    lists_parameters: bool = False  # one by one, so that only those can be given which a schema names
    no_stops: tuple[str, ...] = ()
    new_id: Callable[[], str] = openai_id
    prepare: Callable[[list[dict[str, Any]], list[dict[str, Any]]], list[dict[str, Any]]] | None = None
    """Messages and tools -> the messages, where tools reach the template by them."""
    frame: Frame | None = None
    """Around an answer, where a syntax has its own for that; it then reads its own reasoning, and `no_thought` and
    `end_thought` are what an answer without any begins with, and what ends it; `begin_thought` and `begin_text` stand before
    the reasoning and before the text."""
    no_thought: str = ""
    end_thought: str = ""
    begin_thought: str = ""
    begin_text: str = ""

    def forced(self, calls: Sequence[Format], *, only_one: bool) -> Format:
        """Nothing but calls, one or more."""
        return tag(self.first, separated(calls, self.separator, only_one=only_one or self.is_single), self.last)

    def allowed(self, calls: Sequence[Format], *, only_one: bool) -> Format:
        """Text, and calls in it."""
        if self.trigger is None:
            forced = self.forced(calls, only_one=only_one)
            return forced if self.free is None else either([forced, self.free])
        tags = calls if not self.first else [self.forced(calls, only_one=only_one)]
        return triggered([self.trigger], tags, only_one=only_one or bool(self.first))


def json_list(name: str, recognises: Callable[[str], bool], read: Syntax, call: Tag, marks: tuple[str, str]) -> ToolFormat:
    """Calls as JSON in one list, between two marks."""
    first, last = marks
    return ToolFormat(
        name, recognises, read, call, marks=marks, first=f"{first}[", separator=", ", last=f"]{last}", trigger=first
    )


@cache
def tool_formats() -> dict[str, ToolFormat]:
    """By name, in the order of the files."""
    found: dict[str, ToolFormat] = {}
    for file in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        for format in importlib.import_module(f"{__name__}.{file}").FORMATS:
            found[format.name] = format
    return found


def choose(template: str) -> ToolFormat:
    """The syntax that the template shows; plain JSON where it shows none."""
    found = [f for f in tool_formats().values() if f.recognises(template)]
    return found[0] if found else tool_formats()["plain_json"]
