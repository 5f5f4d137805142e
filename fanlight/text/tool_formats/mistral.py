"""Mistral: up to Nemo and Small 3.1 a list; from Small 3.2, Devstral, Magistral and Ministral 3 on name and arguments.

    [TOOL_CALLS][{"name": "f", "arguments": {"a": 1}, "id": "123456789"}]
    [TOOL_CALLS]f[CALL_ID]123456789[ARGS]{"a": 1}
    [TOOL_CALLS]f[ARGS]{"a": 1}

Their templates accept ids of nine letters or digits only.
"""

import secrets
import string
from typing import Any

from fanlight.text.calls import read_json_calls
from fanlight.text.reader import NotThis, Reader, Steps, content_and_calls
from fanlight.text.structure import Format, const, json_call, regex, schema, sequence, tag
from fanlight.text.tool_formats import ToolFormat
from fanlight.text.values import read_value

CALLS, CALL_ID, ARGS = "[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"
MARKS = (CALLS, CALL_ID, ARGS)


def new_id() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(9))


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (CALLS,), read_calls)


def read_calls(reader: Reader, mark: str) -> Steps:
    yield from reader.skip_spaces()
    if (yield from reader.stands("[{", "[ ", "[\n")):
        return (yield from read_json_calls(reader))
    name = yield from reader.name()
    yield from reader.skip_spaces()
    id = (yield from reader.name()) if (yield from reader.take(CALL_ID)) else None
    if not name or not ((yield from reader.take(ARGS)) or (yield from reader.stands("{"))):
        raise NotThis("expected a name and arguments")
    yield from reader.skip_spaces()
    if not (yield from reader.stands("{")):
        raise NotThis("arguments are an object")
    reader.begin_call(name, id)
    yield from read_value(reader, reader.arguments)
    return reader.end_call()


def named_call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f"{CALLS}{name}{ARGS}", schema(parameters), "")


def call_with_id(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f"{CALLS}{name}{CALL_ID}", sequence(regex("[a-zA-Z0-9]{9}"), const(ARGS), schema(parameters)), "")


FORMATS = (
    ToolFormat(
        "mistral_list",
        lambda template: CALLS in template and ARGS not in template,
        read,
        json_call,
        marks=MARKS,
        first=f"{CALLS}[",
        separator=", ",
        last="]",
        trigger=CALLS,
        new_id=new_id,
    ),
    ToolFormat(
        "mistral",
        lambda template: CALLS in template and ARGS in template and CALL_ID not in template,
        read,
        named_call,
        marks=MARKS,
        separator="",
        trigger=CALLS,
        new_id=new_id,
    ),
    ToolFormat(
        "mistral_id",
        lambda template: CALLS in template and ARGS in template and CALL_ID in template,
        read,
        call_with_id,
        marks=MARKS,
        separator="",
        trigger=CALLS,
        new_id=new_id,
    ),
)
