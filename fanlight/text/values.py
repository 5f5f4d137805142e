"""Values as models write them (JSON, Python's literals, strings between special tokens), read as they come, given on as JSON.

Each character is checked when it is read: what is no value raises NotThis at once, and the characters read so far are not lost.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fanlight.text.reader import Asking, NotThis, Reader, Steps
from fanlight.text.structure import is_text

Sink = Callable[[str], None]
MAX_DEPTH = 64
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
JSON_WORDS = {"true": "true", "false": "false", "null": "null"}
PYTHON_WORDS = {"True": "true", "False": "false", "None": "null", **JSON_WORDS}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "0": "\0", "\n": ""}
CODES = {"x": 2, "u": 4, "U": 8}


@dataclass(frozen=True, slots=True)
class Dialect:
    quotes: tuple[str, ...]  # which end a string as they began it
    words: dict[str, str] = field(default_factory=lambda: JSON_WORDS)
    escapes: str = "json"  # "json", "python" or "none"
    bare_keys: bool = False


JSON = Dialect(('"',))
PYTHON = Dialect(('"', "'"), PYTHON_WORDS, "python")


def read_value(reader: Reader, sink: Sink, dialect: Dialect = JSON, depth: int = 0) -> Steps:
    """One value, from its first character to its last."""
    if depth > MAX_DEPTH:
        raise NotThis("nested too deeply")
    if quote := (yield from reader.take(*dialect.quotes)):
        yield from _read_string(reader, sink, dialect, quote)
    elif (yield from reader.take("{")):
        yield from _read_items(reader, sink, dialect, depth, "{}")
    elif (yield from reader.take("[")):
        yield from _read_items(reader, sink, dialect, depth, "[]")
    else:
        yield from _read_word(reader, sink, dialect)


def _read_items(reader: Reader, sink: Sink, dialect: Dialect, depth: int, brackets: str) -> Steps:
    """An object or a list, whose first bracket was read."""
    sink(brackets[0])
    sink((yield from reader.skip_spaces()))
    if (yield from reader.take(brackets[1])):
        return sink(brackets[1])
    while True:
        if brackets == "{}":
            yield from read_key(reader, sink, dialect)
        yield from read_value(reader, sink, dialect, depth + 1)
        spaces = yield from reader.skip_spaces()
        found = yield from reader.take(",", brackets[1])
        if not found:
            raise NotThis(f"expected , or {brackets[1]}")
        sink(spaces + found)
        if found != ",":
            return None
        sink((yield from reader.skip_spaces()))


def read_key(reader: Reader, sink: Sink, dialect: Dialect) -> Steps:
    """A key and its colon."""
    if quote := (yield from reader.take(*dialect.quotes)):
        yield from _read_string(reader, sink, dialect, quote)
    elif dialect.bare_keys and (name := (yield from reader.name())):
        sink(json.dumps(name, ensure_ascii=False))
    else:
        raise NotThis("expected a key")
    sink((yield from reader.skip_spaces()))
    if not (yield from reader.take(":")):
        raise NotThis("expected :")
    sink(":")
    sink((yield from reader.skip_spaces()))


def _read_string(reader: Reader, sink: Sink, dialect: Dialect, quote: str) -> Steps:
    sink('"')
    stops = quote[0] if dialect.escapes == "none" else quote[0] + "\\"
    while not (yield from reader.take(quote)):
        if text := reader.run(stops):
            sink(in_string(text))
        elif not (c := (yield from reader.next())):
            raise NotThis("the string does not end")
        elif c == "\\" and dialect.escapes != "none":
            sink((yield from (_json_escape(reader) if dialect.escapes == "json" else _python_escape(reader))))
        else:
            sink(in_string(c))  # line ends, too, which JSON does not allow and models write
    sink('"')


def in_string(text: str) -> str:
    """As it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _json_escape(reader: Reader) -> Asking:
    c = yield from reader.next()
    if c == "u":
        return "\\u" + (yield from _hex_digits(reader, 4))
    if not c or c not in '"\\/bfnrt':
        reader.back(c)
        raise NotThis("no escape of JSON")
    return "\\" + c


def _python_escape(reader: Reader) -> Asking:
    c = yield from reader.next()
    if c in CODES:
        code = int((yield from _hex_digits(reader, CODES[c])), 16)
        if code > 0x10FFFF:
            raise NotThis("no character")
        return in_string(chr(code)) if not 0xD800 <= code < 0xE000 else f"\\u{code:04x}"
    return in_string(ESCAPES.get(c, c if c in "\\'\"" else "\\" + c))


def _hex_digits(reader: Reader, count: int) -> Asking:
    digits = ""
    while len(digits) < count:
        c = yield from reader.next()
        if not c or c not in "0123456789abcdefABCDEF":
            reader.back(c)
            raise NotThis("expected a hexadecimal digit")
        digits += c
    return digits


def _read_word(reader: Reader, sink: Sink, dialect: Dialect) -> Steps:
    """A number, or one of the dialect's words."""
    word = ""
    while (c := (yield from reader.next())) and ((c.isascii() and c.isalnum()) or c in "+-."):
        word += c
        if len(word) > 400:  # longer than any number that a program can hold
            break
    else:
        reader.back(c)
    if NUMBER.fullmatch(word):
        sink(word)
    elif word in dialect.words:
        sink(dialect.words[word])
    else:
        reader.back(word)
        raise NotThis("no value")
    return None


def read_typed(reader: Reader, found: Any, ends: tuple[str, ...]) -> Steps:
    """A value up to one of `ends`: of a parameter that is a text by its schema the text as it stands, else JSON."""
    if is_text(found):
        reader.arguments('"')
        stops = "".join({end[0] for end in ends})
        while not (yield from reader.take(*ends)):
            if text := reader.run(stops):
                reader.arguments(in_string(text))
                continue
            if not (c := (yield from reader.next())):
                raise NotThis("the value does not end")
            reader.arguments(in_string(c))
        reader.arguments('"')
        return
    text = ""
    while not (yield from reader.take(*ends)):
        if not (c := (yield from reader.next())):
            raise NotThis("the value does not end")
        text += c
    reader.arguments(_typed(text, found.get("type") if isinstance(found, dict) else None))


def _typed(text: str, kind: Any) -> str:
    try:
        value = json.loads(PYTHON_WORDS.get(text.strip(), text))
    except (ValueError, RecursionError):
        return f'"{in_string(text)}"'
    if isinstance(kind, list) and "string" in kind and not isinstance(value, (dict, list, type(None))):
        return f'"{in_string(text)}"'
    return json.dumps(value, ensure_ascii=False) if text.strip() in PYTHON_WORDS else text.strip()
