"""Calls as models write them, as JSON objects or as Python: read as they come, for the syntaxes in `tool_formats/`."""

import json
from collections.abc import Callable

from fanlight.text.reader import Asking, NotThis, Reader, Steps
from fanlight.text.values import JSON, PYTHON, Dialect, Sink, read_key, read_value

NAMES, ARGUMENTS, IDS = ("name", "tool_name"), ("arguments", "parameters", "args"), ("id", "tool_call_id", "call_id")


def read_json_call(reader: Reader, *, only_known: bool = False) -> Steps:
    """{"name": ..., "arguments": {...}} in whatever order, to its last bracket. `only_known`: of a tool of the request, and
    with arguments, since nothing else tells it from an answer in JSON."""
    call = _JsonCall(reader, only_known)
    yield from call.read()
    call.end()


class _JsonCall:
    def __init__(self, reader: Reader, only_known: bool) -> None:
        self._reader, self._only_known = reader, only_known
        self._name: str | None = None
        self._id: str | None = None
        self._early: str | None = None  # the arguments, where they come before the name
        self._has_begun = self._has_arguments = False

    def read(self, depth: int = 0) -> Steps:
        reader = self._reader
        if depth > 2 or not (yield from reader.take("{")):
            raise NotThis("expected {")
        yield from reader.skip_spaces()
        if (yield from reader.take("}")):
            return
        while True:
            key = yield from _collect(reader, read_key)
            yield from self._read_member(json.loads(key.rstrip().removesuffix(":")), depth)
            yield from reader.skip_spaces()
            found = yield from reader.take(",", "}")
            if found == "}" or (not found and self._has_arguments and (yield from reader.is_over())):
                return  # models may leave out the last bracket
            if not found:
                raise NotThis("expected , or }")
            yield from reader.skip_spaces()

    def _read_member(self, key: str, depth: int) -> Steps:
        if key == "function" and (yield from self._reader.stands("{")):
            yield from self.read(depth + 1)
        elif key in (*NAMES, "function") and self._name is None:
            self._set_name(json.loads((yield from _collect(self._reader))))
        elif key in ARGUMENTS and not self._has_arguments:
            yield from self._read_arguments()
            self._has_arguments = True
        elif key in IDS:
            found = json.loads((yield from _collect(self._reader)))
            self._id = found if isinstance(found, str) else None
        else:
            yield from _collect(self._reader)  # "type": "function" and the like

    def _set_name(self, name: object) -> None:
        if not isinstance(name, str) or not name or (self._only_known and name not in self._reader.tools):
            raise NotThis("no name of a function")
        self._name = name
        if self._early is not None:
            self._begin()
            self._reader.arguments(self._early)

    def _read_arguments(self) -> Steps:
        is_object = yield from self._reader.stands("{")
        if self._name is not None and is_object:
            self._begin()
            yield from read_value(self._reader, self._reader.arguments)
            return
        text = yield from _collect(self._reader)
        value = json.loads(text)
        if not isinstance(value, dict):  # some write the object as a text
            text = "{}" if value is None else value
            if not isinstance(text, str) or not is_json_object(text):
                raise NotThis("arguments are an object")
        self._early = text
        if self._name is not None:
            self._begin()
            self._reader.arguments(text)

    def _begin(self) -> None:
        assert self._name is not None
        self._reader.begin_call(self._name, self._id)
        self._has_begun = True

    def end(self) -> None:
        if not self._has_begun:
            if self._name is None or self._only_known:
                raise NotThis("no call")
            self._begin()
            self._reader.arguments("{}")
        self._reader.end_call()


def is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _collect(reader: Reader, read: Callable[[Reader, Sink, Dialect], Steps] = read_value) -> Asking:
    parts: list[str] = []
    yield from read(reader, parts.append, JSON)
    return "".join(parts)


def read_json_calls(reader: Reader, *, only_known: bool = False) -> Steps:
    """Calls as JSON objects in a list; or one, alone."""
    if not (yield from reader.take("[")):
        return (yield from read_json_call(reader, only_known=only_known))
    while True:
        yield from reader.skip_spaces()
        yield from read_json_call(reader, only_known=only_known)
        yield from reader.skip_spaces()
        found = yield from reader.take(",", "]")
        if found == "]" or (not found and (yield from reader.is_over())):
            return None
        if not found:
            raise NotThis("expected , or ]")
        reader.mark_start(found)  # of the next


def read_section(reader: Reader, mark: str, open: str, last: str, read_one: Callable[[], Steps]) -> Steps:
    """Calls that each begin with `open`, up to `last`. mark: what was just read, `open` or what stands before the first."""
    if mark != open:
        yield from reader.skip_spaces()
        if not (yield from reader.take(open)):
            raise NotThis("expected a call")
    while True:
        yield from read_one()
        yield from reader.skip_spaces()
        if not (yield from reader.take(open)):
            break
        reader.mark_start(open)
    yield from reader.take(last)


def read_closed_calls(reader: Reader, close: str) -> Steps:
    """As `read_json_calls`, with spaces around them and a mark behind."""
    yield from reader.skip_spaces()
    yield from read_json_calls(reader)
    yield from reader.skip_spaces()
    yield from reader.take(close)


def read_python_call(reader: Reader, name: str) -> Steps:
    """`key=value, ...)` after the function's name and bracket were read; arguments without a key take the names that the tool's
    parameters have, in their order."""
    reader.begin_call(name)
    order = list(reader.tools.get(name, {}).get("properties") or ())
    reader.arguments("{")
    count = 0
    yield from reader.skip_spaces()
    while not (yield from reader.take(")")):
        if count:
            if not (yield from reader.take(",")):
                raise NotThis("expected , or )")
            reader.arguments(", ")
            yield from reader.skip_spaces()
        key = yield from _python_key(reader)
        if not key and count >= len(order):
            raise NotThis("an argument without a name")
        reader.arguments(json.dumps(key or order[count], ensure_ascii=False) + ": ")
        yield from read_value(reader, reader.arguments, PYTHON)
        yield from reader.skip_spaces()
        count += 1
    reader.arguments("}")
    reader.end_call()


def _python_key(reader: Reader) -> Asking:
    name = yield from reader.name()
    spaces = yield from reader.skip_spaces()
    if name and (yield from reader.take("=")):
        yield from reader.skip_spaces()
        return name
    reader.back(name + spaces)
    return ""
