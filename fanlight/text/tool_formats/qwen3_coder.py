"""Qwen3-Coder, Qwen3.5, Nemotron 3 Nano, Step 3.5: texts as they are, everything else as JSON.

<tool_call>
<function=f>
<parameter=a>
1
</parameter>
</function>
</tool_call>
"""

import json
from typing import Any

from fanlight.text.reader import NotThis, Reader, Steps, content_and_calls
from fanlight.text.structure import Format, const, optional, properties, raw_text, sequence, tag
from fanlight.text.tool_formats import ToolFormat
from fanlight.text.values import read_typed

OPEN, CLOSE, FUNCTION = "<tool_call>", "</tool_call>", "<function="


def recognises(template: str) -> bool:
    return FUNCTION in template and "<parameter=" in template


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (OPEN, FUNCTION), read_call)  # some models leave the first mark out


def read_call(reader: Reader, mark: str) -> Steps:
    if mark == OPEN:
        yield from reader.skip_spaces()
        if not (yield from reader.take(FUNCTION)):
            raise NotThis("expected a function")
    name = yield from reader.name()
    if not name or not (yield from reader.take(">")):
        raise NotThis("expected a name")
    reader.begin_call(name)
    reader.arguments("{")
    yield from _read_parameters(reader, reader.tools.get(name, {}).get("properties") or {})
    reader.arguments("}")
    reader.end_call()
    yield from reader.skip_spaces()
    yield from reader.take(CLOSE)


def _read_parameters(reader: Reader, schemas: dict[str, Any]) -> Steps:
    separator = ""
    yield from reader.skip_spaces()
    while (yield from reader.take("<parameter=")):
        key = yield from reader.until(">")
        yield from reader.take("\n")
        reader.arguments(f"{separator}{json.dumps(key, ensure_ascii=False)}: ")
        yield from read_typed(reader, schemas.get(key), ("\n</parameter>", "</parameter>"))
        yield from reader.skip_spaces()
        separator = ", "
    if not (yield from reader.take("</function>")) and not (yield from reader.is_over()):
        raise NotThis("expected a parameter")


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    parts = []
    for key, found, required in properties(parameters, where):
        part = sequence(const(f"<parameter={key}>\n"), raw_text(found, "\n</parameter>\n", f"{where}.properties.{key}"))
        parts.append(part if required else optional(part))
    return tag(f"{OPEN}\n{FUNCTION}{name}>\n", sequence(*parts or [const("")]), f"</function>\n{CLOSE}")


FORMATS = (ToolFormat("qwen3_coder", recognises, read, call, marks=(OPEN, CLOSE), trigger=OPEN, lists_parameters=True),)
