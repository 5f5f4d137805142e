"""Nemotron Nano 2:  <TOOLCALL>[{"name": "f", "arguments": {"a": 1}}]</TOOLCALL>"""

import json
from typing import Any

from fanlight.text.calls import read_json_calls
from fanlight.text.reader import Reader, Steps, content_and_calls
from fanlight.text.structure import Format, schema, tag
from fanlight.text.tool_formats import ToolFormat

OPEN, CLOSE = "<TOOLCALL>", "</TOOLCALL>"


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (OPEN,), read_calls)


def read_calls(reader: Reader, mark: str) -> Steps:
    yield from reader.skip_spaces()
    yield from read_json_calls(reader)
    yield from reader.skip_spaces()
    yield from reader.take(CLOSE)


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f'{{"name": {json.dumps(name)}, "arguments": ', schema(parameters), "}")


FORMATS = (
    ToolFormat(
        "nemotron",
        lambda template: OPEN in template,
        read,
        call,
        marks=(OPEN, CLOSE),
        first=f"{OPEN}[",
        separator=", ",
        last=f"]{CLOSE}",
        trigger=OPEN,
    ),
)
