"""Gemma: FunctionGemma's and Gemma 4's calls between marks, and the Python of templates that ask for it.

<start_function_call>call:f{a:<escape>x<escape>,n:1}<end_function_call>
<|tool_call>call:f{a:<|"|>x<|"|>,n:1}<tool_call|>
```tool_code
print(f(a="x"))
```
"""

from typing import Any

from fanlight.errors import RequestError
from fanlight.text.calls import read_python_call
from fanlight.text.reader import Calls, NotThis, Reader, Steps, Syntax, content_and_calls
from fanlight.text.structure import Format, any_text, const, either, is_text, listed, properties, schema, sequence, tag
from fanlight.text.tool_formats import Tag, ToolFormat
from fanlight.text.values import Dialect, read_value

CODE, FENCE = "```tool_code", "```"


def between(open: str, close: str, quote: str) -> tuple[Syntax, Tag]:
    dialect = Dialect((quote,), escapes="none", bare_keys=True)

    def read_call(reader: Reader, mark: str) -> Steps:
        if not (yield from reader.take("call:")):
            raise NotThis("expected call:")
        name = yield from reader.name()
        if not name or not (yield from reader.stands("{")):
            raise NotThis("expected a name and {")
        reader.begin_call(name)
        yield from read_value(reader, reader.arguments, dialect)
        reader.end_call()
        yield from reader.skip_spaces()
        yield from reader.take(close)

    def call(name: str, parameters: dict[str, Any], where: str) -> Format:
        return tag(f"{open}call:{name}", _object(parameters, quote, where), close)

    return _content_and((open,), read_call), call


def _content_and(marks: tuple[str, ...], calls: Calls) -> Syntax:
    return lambda reader: content_and_calls(reader, marks, calls)


def _object(parameters: dict[str, Any], quote: str, where: str) -> Format:
    items = []
    for key, found, required in properties(parameters, where):
        value = _value(found, quote, f"{where}.properties.{key}")
        items.append((sequence(const(f"{key}:"), value), required))
    return sequence(const("{"), listed(items, ","), const("}"))


def _value(found: dict[str, Any], quote: str, where: str) -> Format:
    if is_text(found):
        values = found.get("enum", [found["const"]] if "const" in found else None)
        if isinstance(values, list):
            return either([const(f"{quote}{value}{quote}") for value in values])
        if not found.keys() <= {"type", "description", "title", "default", "examples", "$defs", "definitions"}:
            raise RequestError(f"{where}: only enum and const of a text can be enforced in this model's syntax", param=where)
        return tag(quote, any_text(), quote)
    if found.get("type") == "object":
        return _object(found, quote, where)
    if found.get("type") in ("number", "integer", "boolean", "null"):
        return schema(found)
    raise RequestError(f"{where}: this type cannot be enforced in this model's syntax for calls", param=where)


def read_code(reader: Reader, mark: str) -> Steps:
    yield from reader.skip_spaces()
    is_printed = yield from reader.take("print(")
    name = yield from reader.name()
    if not name or not (yield from reader.take("(")):
        raise NotThis("expected a call")
    yield from read_python_call(reader, name)
    if is_printed:
        yield from reader.take(")")
    yield from reader.skip_spaces()
    yield from reader.take(FENCE)


def code_call(name: str, parameters: dict[str, Any], where: str) -> Format:
    items = [(sequence(const(f"{key}="), schema(found)), required) for key, found, required in properties(parameters, where)]
    return tag(f"{CODE}\n{name}(", listed(items, ", "), f")\n{FENCE}")


FUNCTION_GEMMA = ("<start_function_call>", "<end_function_call>", "<escape>")
GEMMA4 = ("<|tool_call>", "<tool_call|>", '<|"|>')
_read_function_gemma, _function_gemma_call = between(*FUNCTION_GEMMA)
_read_gemma4, _gemma4_call = between(*GEMMA4)

FORMATS = (
    ToolFormat(
        "function_gemma",
        lambda template: FUNCTION_GEMMA[0] in template,
        _read_function_gemma,
        _function_gemma_call,
        FUNCTION_GEMMA,
        separator="",
        trigger=FUNCTION_GEMMA[0],
        lists_parameters=True,
    ),
    ToolFormat(
        "gemma4",
        lambda template: GEMMA4[0] in template,
        _read_gemma4,
        _gemma4_call,
        GEMMA4,
        separator="",
        trigger=GEMMA4[0],
        lists_parameters=True,
    ),
    ToolFormat(
        "tool_code",
        lambda template: CODE in template,
        _content_and((CODE,), read_code),
        code_call,
        trigger=CODE,
        lists_parameters=True,
    ),
)
