"""Hermes 2 and 3, Qwen 2.5 and 3, SmolLM3, MiMo, EXAONE 4, Granite 4:

<tool_call>
{"name": "f", "arguments": {"a": 1}}
</tool_call>
"""

import json
from typing import Any

from fanlight.text.calls import read_json_calls
from fanlight.text.reader import Reader, Steps, content_and_calls
from fanlight.text.structure import Format, schema, tag
from fanlight.text.tool_formats import ToolFormat

OPEN, CLOSE = "<tool_call>", "</tool_call>"


def recognises(template: str) -> bool:
    return OPEN in template and not any(other in template for other in ("<function=", "<arg_key>", "<tool_sep"))


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (OPEN,), read_calls)


def read_calls(reader: Reader, mark: str) -> Steps:
    yield from reader.skip_spaces()
    yield from read_json_calls(reader)
    yield from reader.skip_spaces()
    yield from reader.take(CLOSE)


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f'{OPEN}\n{{"name": {json.dumps(name)}, "arguments": ', schema(parameters), f"}}\n{CLOSE}")


FORMATS = (ToolFormat("hermes", recognises, read, call, marks=(OPEN, CLOSE), trigger=OPEN),)
