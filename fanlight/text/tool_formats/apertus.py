"""Apertus, whose calls are objects of one key:  <|tools_prefix|>[{"f": {"a": 1}}, {"g": {}}]<|tools_suffix|>"""

import json
from typing import Any

from fanlight.text.reader import NotThis, Reader, Steps, content_and_calls
from fanlight.text.structure import Format, schema, tag
from fanlight.text.tool_formats import json_list
from fanlight.text.values import JSON, read_key, read_value

OPEN, CLOSE = "<|tools_prefix|>", "<|tools_suffix|>"


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (OPEN,), read_calls)


def read_calls(reader: Reader, mark: str) -> Steps:
    yield from reader.skip_spaces()
    if not (yield from reader.take("[")):
        raise NotThis("expected a list")
    while True:
        yield from reader.skip_spaces()
        yield from _read_call(reader)
        yield from reader.skip_spaces()
        found = yield from reader.take(",", "]")
        if found != ",":
            break
        reader.mark_start(found)  # of the next
    if not found and not (yield from reader.is_over()):
        raise NotThis("expected , or ]")
    yield from reader.take(CLOSE)


def _read_call(reader: Reader) -> Steps:
    if not (yield from reader.take("{")):
        raise NotThis("expected {")
    yield from reader.skip_spaces()
    key: list[str] = []
    yield from read_key(reader, key.append, JSON)
    name = json.loads("".join(key).rstrip().removesuffix(":"))
    if not name or not (yield from reader.stands("{")):
        raise NotThis("arguments are an object")
    reader.begin_call(name)
    yield from read_value(reader, reader.arguments)
    yield from reader.skip_spaces()
    if not (yield from reader.take("}")) and not (yield from reader.is_over()):
        raise NotThis("expected }")
    reader.end_call()


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f"{{{json.dumps(name)}: ", schema(parameters), "}")


FORMATS = (json_list("apertus", lambda template: OPEN in template, read, call, (OPEN, CLOSE)),)
