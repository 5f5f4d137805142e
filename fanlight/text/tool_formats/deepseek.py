"""DeepSeek V3 and R1, whose arguments stand in a fence, and V3.1, whose do not. (Here | and _ stand for what is no ASCII.)

<|tool_calls_begin|><|tool_call_begin|>function<|tool_sep|>f
```json
{"a": 1}
```<|tool_call_end|><|tool_calls_end|>
<|tool_calls_begin|><|tool_call_begin|>f<|tool_sep|>{"a": 1}<|tool_call_end|><|tool_calls_end|>
"""

from typing import Any

from fanlight.text.calls import read_section
from fanlight.text.reader import NotThis, Reader, Steps, content_and_calls
from fanlight.text.structure import Format, schema, tag
from fanlight.text.tool_formats import ToolFormat
from fanlight.text.values import read_value

BAR = "\uff5c"


def _mark(*words: str) -> str:
    return f"<{BAR}{chr(0x2581).join(words)}{BAR}>"


FIRST, LAST = _mark("tool", "calls", "begin"), _mark("tool", "calls", "end")
OPEN, CLOSE, SEPARATOR = _mark("tool", "call", "begin"), _mark("tool", "call", "end"), _mark("tool", "sep")
MARKS = (FIRST, LAST, OPEN, CLOSE, SEPARATOR)
FENCE = "```"


def read(reader: Reader) -> Steps:
    return content_and_calls(reader, (FIRST, OPEN), read_calls)


def read_calls(reader: Reader, mark: str) -> Steps:
    return read_section(reader, mark, OPEN, LAST, lambda: _read_call(reader))


def _read_call(reader: Reader) -> Steps:
    name = yield from reader.name()
    yield from reader.skip_spaces()
    if not name or not (yield from reader.take(SEPARATOR)):
        raise NotThis("expected a name")
    yield from reader.skip_spaces()
    if name == "function" and not (yield from reader.stands("{")):
        name = yield from reader.name()
        yield from reader.skip_spaces()
        if not name or not (yield from reader.take(f"{FENCE}json")):
            raise NotThis("expected a name and a fence")
        yield from reader.skip_spaces()
    if not (yield from reader.stands("{")):
        raise NotThis("arguments are an object")
    reader.begin_call(name)
    yield from read_value(reader, reader.arguments)
    reader.end_call()
    yield from reader.skip_spaces()
    yield from reader.take(FENCE)
    yield from reader.skip_spaces()
    yield from reader.take(CLOSE)


def fenced_call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f"{OPEN}function{SEPARATOR}{name}\n{FENCE}json\n", schema(parameters), f"\n{FENCE}{CLOSE}")


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    return tag(f"{OPEN}{name}{SEPARATOR}", schema(parameters), CLOSE)


FORMATS = (
    ToolFormat(
        "deepseek_v3",
        lambda template: SEPARATOR in template and FENCE in template,
        read,
        fenced_call,
        marks=MARKS,
        first=FIRST,
        separator="\n",
        last=LAST,
        trigger=FIRST,
    ),
    ToolFormat(
        "deepseek_v31",
        lambda template: SEPARATOR in template and FENCE not in template,
        read,
        call,
        marks=MARKS,
        first=FIRST,
        separator="",
        last=LAST,
        trigger=FIRST,
    ),
)
