"""Functionary 3.1, which writes calls into its text, and 3.2, whose answers have parts: for all, or for a function.

<function=f>{"a": 1}</function>

all
Some text.>>>f
{"a": 1}
"""

from typing import Any

from fanlight.text.reader import NotThis, Reader, Steps, attempt, content_and_calls
from fanlight.text.structure import Format, any_text, const, schema, sequence, tag
from fanlight.text.tool_formats import ToolFormat
from fanlight.text.values import read_value

OPEN, CLOSE, TO, ALL = "<function=", "</function>", ">>>", "all\n"


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (OPEN,), read_call)


def read_call(reader: Reader, mark: str) -> Steps:
    name = yield from reader.name()
    if not name or not (yield from reader.take(">")):
        raise NotThis("expected a name")
    yield from _read_arguments(reader, name)
    yield from reader.take(CLOSE)


def _read_arguments(reader: Reader, name: str) -> Steps:
    yield from reader.skip_spaces()
    if not (yield from reader.stands("{")):
        raise NotThis("arguments are an object")
    reader.begin_call(name)
    yield from read_value(reader, reader.arguments)
    reader.end_call()
    yield from reader.skip_spaces()


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f"{OPEN}{name}>", schema(parameters), CLOSE)


def read_parts(reader: Reader) -> Steps:
    """The prompt may end with the mark before the first recipient."""
    mark = yield from reader.take(TO)
    while not (yield from reader.is_over()):
        if not (yield from reader.take(ALL)):
            yield from attempt(reader, mark, _read_part(reader))
        while not (mark := (yield from reader.take(TO))):
            text = reader.run(TO[0]) or (yield from reader.next())
            if not text:
                return
            reader.content(text)


def _read_part(reader: Reader) -> Steps:
    name = yield from reader.name()
    if name not in reader.tools or not (yield from reader.take("\n")):
        raise NotThis("no name of a tool")
    yield from _read_arguments(reader, name)


def call_part(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f"{name}\n", schema(parameters), "")


def frame(answer: Format, is_text: bool) -> Format:
    return sequence(const(ALL), answer) if is_text else answer


FORMATS = (
    ToolFormat(
        "functionary",
        lambda template: OPEN in template and "<parameter=" not in template and TO not in template,
        read,
        call,
        trigger=OPEN,
    ),
    ToolFormat(
        "functionary_parts",
        lambda template: TO in template and f"{TO}all" in template,
        read_parts,
        call_part,
        separator=TO,
        free=sequence(const(ALL), any_text()),
        frame=frame,
        begin_text=ALL,
    ),
)
