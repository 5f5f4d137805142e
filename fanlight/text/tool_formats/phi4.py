"""Phi-4-mini, whose template takes the tools from the system message; Firefunction's `functools` is read, too.

<|tool_call|>[{"name": "f", "arguments": {"a": 1}}]<|/tool_call|>
functools[{"name": "f", "arguments": {"a": 1}}]
"""

import json
from typing import Any

from fanlight.text.calls import read_json_calls
from fanlight.text.reader import NotThis, Reader, Steps, content_and_calls
from fanlight.text.structure import json_call
from fanlight.text.tool_formats import ToolFormat

OPEN, CLOSE, FUNCTOOLS = "<|tool_call|>", "<|/tool_call|>", "functools"


def recognises(template: str) -> bool:
    return "<|/tool|>" in template or FUNCTOOLS in template


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (OPEN, FUNCTOOLS), read_calls)


def read_calls(reader: Reader, mark: str) -> Steps:
    yield from reader.skip_spaces()
    if mark == FUNCTOOLS and not (yield from reader.stands("[")):
        raise NotThis("the word")
    yield from read_json_calls(reader)
    yield from reader.skip_spaces()
    yield from reader.take(CLOSE)


def prepare(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    listed = json.dumps([tool.get("function", tool) for tool in tools], ensure_ascii=False)
    if messages[0]["role"] in ("system", "developer"):
        return [{**messages[0], "tools": listed}, *messages[1:]]
    return [{"role": "system", "content": "You are a helpful assistant with some tools.", "tools": listed}, *messages]


FORMATS = (
    ToolFormat(
        "phi4",
        recognises,
        read,
        json_call,
        marks=(OPEN, CLOSE),
        first=f"{OPEN}[",
        separator=", ",
        last=f"]{CLOSE}",
        trigger=OPEN,
        prepare=prepare,
    ),
)
