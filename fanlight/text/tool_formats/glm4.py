"""GLM-4.5 to 4.7, whose values are texts as they are and everything else as JSON; and GLM-4-9B, whose whole answer is one call.

<tool_call>f
<arg_key>a</arg_key>
<arg_value>1</arg_value>
</tool_call>

f
{"a": 1}
"""

import json
from typing import Any

from fanlight.text.reader import NotThis, Reader, Steps, attempt, content_and_calls
from fanlight.text.structure import Format, const, optional, properties, raw_text, schema, sequence, tag
from fanlight.text.tool_formats import ToolFormat
from fanlight.text.values import read_typed, read_value

OPEN, CLOSE = "<tool_call>", "</tool_call>"
KEY, VALUE = ("<arg_key>", "</arg_key>"), ("<arg_value>", "</arg_value>")


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (OPEN,), read_call)


def read_call(reader: Reader, mark: str) -> Steps:
    yield from reader.skip_spaces()
    name = yield from reader.name()
    yield from reader.skip_spaces()
    if not name or not ((yield from reader.stands(KEY[0], CLOSE)) or (yield from reader.is_over())):
        raise NotThis("expected a name")
    reader.begin_call(name)
    yield from _read_arguments(reader, reader.tools.get(name, {}).get("properties") or {})
    reader.end_call()
    yield from reader.take(CLOSE)


def _read_arguments(reader: Reader, schemas: dict[str, Any]) -> Steps:
    reader.arguments("{")
    separator = ""
    while (yield from reader.take(KEY[0])):
        key = (yield from reader.until(KEY[1])).strip()
        yield from reader.skip_spaces()
        if not (yield from reader.take(VALUE[0])):
            raise NotThis("expected a value")
        reader.arguments(f"{separator}{json.dumps(key, ensure_ascii=False)}: ")
        yield from read_typed(reader, schemas.get(key), VALUE[1:])
        yield from reader.skip_spaces()
        separator = ", "
    reader.arguments("}")
    if not ((yield from reader.stands(CLOSE)) or (yield from reader.is_over())):
        raise NotThis("expected an argument")


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    parts = []
    for key, found, required in properties(parameters, where):
        value = raw_text(found, f"{VALUE[1]}\n", f"{where}.properties.{key}")
        part = sequence(const(f"{KEY[0]}{key}{KEY[1]}\n{VALUE[0]}"), value)
        parts.append(part if required else optional(part))
    return tag(f"{OPEN}{name}\n", sequence(*parts or [const("")]), CLOSE)


def read_answer(reader: Reader) -> Steps:
    reader.content((yield from reader.skip_spaces()))
    yield from attempt(reader, "", _read_named(reader))
    yield from content_and_calls(reader)


def _read_named(reader: Reader) -> Steps:
    name = yield from reader.name()
    if name not in reader.tools or not (yield from reader.take("\n")):
        raise NotThis("no name of a tool")
    yield from reader.skip_spaces()
    if not (yield from reader.stands("{")):
        raise NotThis("arguments are an object")
    reader.begin_call(name)
    yield from read_value(reader, reader.arguments)
    reader.end_call()


def named_call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f"{name}\n", schema(parameters), "")


FORMATS = (
    ToolFormat("glm45", lambda template: KEY[0] in template, read, call, (OPEN, CLOSE), trigger=OPEN, lists_parameters=True),
    ToolFormat(
        "glm4",
        lambda template: "<|observation|>" in template and KEY[0] not in template,
        read_answer,
        named_call,
        ("<|observation|>",),
        is_single=True,
    ),
)
