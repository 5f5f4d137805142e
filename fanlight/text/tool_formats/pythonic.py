"""A list of Python calls: Llama 3.2 and 4 by templates that ask for it, where it is the whole answer; LFM2, between marks.

[f(a="x", n=1), g()]
<|tool_call_start|>[f(a="x", n=1)]<|tool_call_end|>
"""

from typing import Any

from fanlight.text.calls import read_python_call
from fanlight.text.reader import NotThis, Reader, Steps, attempt, content_and_calls
from fanlight.text.structure import Format, const, listed, properties, schema, sequence, tag, text_without
from fanlight.text.tool_formats import ToolFormat

OPEN, CLOSE = "<|tool_call_start|>", "<|tool_call_end|>"
AROUND = ("<|python_start|>", "<|python_end|>")


def recognises_lfm2(template: str) -> bool:
    return OPEN in template


def recognises_llama(template: str) -> bool:
    return "func_name1(" in template and OPEN not in template


def read_between_marks(reader: Reader) -> Steps:
    return content_and_calls(reader, (OPEN,), _read_marked)


def _read_marked(reader: Reader, mark: str) -> Steps:
    yield from reader.skip_spaces()
    yield from _read_list(reader, False)
    yield from reader.skip_spaces()
    yield from reader.take(CLOSE)


def read_answer(reader: Reader) -> Steps:
    reader.silent = AROUND
    spaces = yield from reader.skip_spaces()
    yield from reader.take(AROUND[0])
    reader.content(spaces)
    if (yield from reader.stands("[")):
        yield from attempt(reader, "", _read_list(reader, True))
    yield from content_and_calls(reader)


def _read_list(reader: Reader, only_known: bool) -> Steps:
    """`only_known`: nothing but the name of a tool tells a list of calls from an answer in brackets."""
    if not (yield from reader.take("[")):
        raise NotThis("expected [")
    while True:
        yield from reader.skip_spaces()
        name = yield from reader.name()
        if not name or (only_known and name not in reader.tools) or not (yield from reader.take("(")):
            raise NotThis("expected a call")
        yield from read_python_call(reader, name)
        yield from reader.skip_spaces()
        found = yield from reader.take(",", "]")
        if found == "]" or (not found and (yield from reader.is_over())):
            return
        if not found:
            raise NotThis("expected , or ]")
        reader.mark_start(found)


def call(name: str, parameters: dict[str, Any], where: str) -> Format:
    """Values as JSON, which these models read and write as well as Python's."""
    items = [(sequence(const(f"{key}="), schema(found)), required) for key, found, required in properties(parameters, where)]
    return tag(f"{name}(", listed(items, ", "), ")")


FORMATS = (
    ToolFormat(
        "llama4_pythonic",
        recognises_llama,
        read_answer,
        call,
        marks=AROUND,
        first="[",
        separator=", ",
        last="]",
        free=text_without("["),
        lists_parameters=True,
    ),
    ToolFormat(
        "lfm2",
        recognises_lfm2,
        read_between_marks,
        call,
        marks=(OPEN, CLOSE),
        first=f"{OPEN}[",
        separator=", ",
        last=f"]{CLOSE}",
        trigger=OPEN,
        lists_parameters=True,
    ),
)
