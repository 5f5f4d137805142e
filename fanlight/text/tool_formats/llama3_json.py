"""Llama 3.1 to 3.3, and Llama 4 by its own template: the whole answer is a call, or several with `;` between them.

{"name": "f", "parameters": {"a": 1}}
<|python_tag|>brave_search.call(query="...")
"""

import json
from typing import Any

from fanlight.text.calls import read_json_call, read_python_call
from fanlight.text.reader import NotThis, Reader, Steps, attempt, content_and_calls
from fanlight.text.structure import Format, schema, tag, text_without
from fanlight.text.tool_formats import ToolFormat

PYTHON = "<|python_tag|>"


def recognises(template: str) -> bool:
    is_llama = any(mark in template for mark in ("<|start_header_id|>", "<|header_start|>", PYTHON))
    others = ("<tool_call>", "<function=", "func_name1(", "functools", "<|tool_call")
    return is_llama and '"parameters"' in template and not any(other in template for other in others)


def read(reader: Reader) -> Steps:
    reader.content((yield from reader.skip_spaces()))
    while (yield from reader.take("{")):
        reader.back("{")
        if not (yield from attempt(reader, "", read_json_call(reader, only_known=True))):
            break
        yield from reader.skip_spaces()
        yield from reader.take(";")
        yield from reader.skip_spaces()
    yield from content_and_calls(reader, (PYTHON,), read_call)


def read_call(reader: Reader, mark: str) -> Steps:
    yield from reader.skip_spaces()
    if (yield from reader.stands("{")):
        return (yield from read_json_call(reader))
    name = yield from reader.name()
    if not name or not (yield from reader.take("(")):
        raise NotThis("expected a call")  # code, which no tool of the request takes
    return (yield from read_python_call(reader, name.removesuffix(".call")))


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f'{{"name": {json.dumps(name)}, "parameters": ', schema(parameters), "}")


FORMATS = (ToolFormat("llama3_json", recognises, read, call, marks=(PYTHON,), separator="; ", free=text_without("{", PYTHON)),)
