"""Granite 3:  <|tool_call|>[{"name": "f", "arguments": {"a": 1}}]   (Granite 4 writes as Hermes.)"""

from fanlight.text.calls import read_json_calls
from fanlight.text.reader import Reader, Steps, content_and_calls
from fanlight.text.structure import json_call
from fanlight.text.tool_formats import ToolFormat

OPENS = ("<|tool_call|>", "<tool_call>")  # the second by models that spell the token


def recognises(template: str) -> bool:
    return OPENS[0] in template and "<|start_of_role|>" in template


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, OPENS, read_calls)


def read_calls(reader: Reader, mark: str) -> Steps:
    yield from reader.skip_spaces()
    yield from read_json_calls(reader)


FORMATS = (
    ToolFormat(
        "granite", recognises, read, json_call, marks=OPENS, first=f"{OPENS[0]}[", separator=", ", last="]", trigger=OPENS[0]
    ),
)
