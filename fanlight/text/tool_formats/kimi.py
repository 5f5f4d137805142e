"""Kimi K2, whose ids say the function and which call of the conversation it is (in one line):

<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|>
<|tool_calls_section_end|>
"""

from typing import Any

from fanlight.text.calls import read_section
from fanlight.text.reader import NotThis, Reader, Steps, content_and_calls
from fanlight.text.structure import Format, const, regex, schema, sequence, tag
from fanlight.text.tool_formats import ToolFormat
from fanlight.text.values import read_value

FIRST, LAST = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
OPEN, ARGUMENTS, CLOSE = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (FIRST, OPEN), read_calls)


def read_calls(reader: Reader, mark: str) -> Steps:
    return read_section(reader, mark, OPEN, LAST, lambda: _read_call(reader))


def _read_call(reader: Reader) -> Steps:
    yield from reader.skip_spaces()
    name = yield from reader.name()
    number = ""
    if (yield from reader.take(":")):
        number = yield from reader.name()
    yield from reader.skip_spaces()
    if not name or not (yield from reader.take(ARGUMENTS)):
        raise NotThis("expected a name")
    yield from reader.skip_spaces()
    if not (yield from reader.stands("{")):
        raise NotThis("arguments are an object")
    reader.begin_call(name.removeprefix("functions."), f"{name}:{number}" if number else None)
    yield from read_value(reader, reader.arguments)
    reader.end_call()
    yield from reader.skip_spaces()
    yield from reader.take(CLOSE)


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    arguments = sequence(regex("[0-9]{1,3}"), const(ARGUMENTS), schema(parameters))
    return tag(f"{OPEN}functions.{name}:", arguments, CLOSE)


FORMATS = (
    ToolFormat(
        "kimi",
        lambda template: ARGUMENTS in template,
        read,
        call,
        marks=(FIRST, LAST, OPEN, ARGUMENTS, CLOSE),
        first=FIRST,
        separator="",
        last=LAST,
        trigger=FIRST,
    ),
)
