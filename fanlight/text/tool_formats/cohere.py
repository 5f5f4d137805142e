"""Command R7B and Command A, whose calls are numbered, and Command R of 2024, whose calls stand in a fence:

<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "f", "parameters": {"a": 1}}]<|END_ACTION|>

Action:
```json
[{"tool_name": "f", "parameters": {"a": 1}}]
```
"""

import json
from typing import Any

from fanlight.text.calls import read_closed_calls
from fanlight.text.reader import NotThis, Reader, Steps, content_and_calls
from fanlight.text.structure import Format, const, regex, schema, sequence, tag
from fanlight.text.tool_formats import ToolFormat, json_list

OPEN, CLOSE = "<|START_ACTION|>", "<|END_ACTION|>"
ACTION, FENCE = "Action:", "```"


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (OPEN,), lambda reader, mark: read_closed_calls(reader, CLOSE))


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    named = sequence(regex("[0-9]{1,3}"), const(f'", "tool_name": {json.dumps(name)}, "parameters": '), schema(parameters))
    return tag('{"tool_call_id": "', named, "}")


def read_action(reader: Reader) -> Steps:
    return content_and_calls(reader, (ACTION,), read_fenced)


def read_fenced(reader: Reader, mark: str) -> Steps:
    yield from reader.skip_spaces()
    if not (yield from reader.take(f"{FENCE}json")):
        raise NotThis("expected a fence")
    yield from read_closed_calls(reader, FENCE)


def fenced_call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f'{{"tool_name": {json.dumps(name)}, "parameters": ', schema(parameters), "}")


FORMATS = (
    json_list("cohere", lambda template: OPEN in template, read, call, (OPEN, CLOSE)),
    ToolFormat(
        "command_r",
        lambda template: ACTION in template and "tool_name" in template and OPEN not in template,
        read_action,
        fenced_call,
        first=f"{ACTION}\n{FENCE}json\n[",
        separator=", ",
        last=f"]\n{FENCE}",
        trigger=f"{ACTION}\n{FENCE}json",
    ),
)
