"""Calls as models write them between tags, one parameter after another: texts as they are, everything else as JSON."""

import json
from dataclasses import dataclass
from typing import Any

from fanlight.text.calls import read_section
from fanlight.text.reader import NotThis, Reader, Steps
from fanlight.text.structure import Format, const, optional, properties, raw_text, sequence, tag
from fanlight.text.values import read_typed


@dataclass(frozen=True, slots=True)
class Tags:
    """What stands before and after a function's name, a parameter's name and its value, and at the call's end; `close` is the
    end of what is around calls."""

    function: tuple[str, str]
    parameter: tuple[str, str]
    value_end: str
    end: str
    close: str = ""


def read_tagged_calls(reader: Reader, mark: str, tags: Tags) -> Steps:
    """Calls behind `mark`, which was just read: what stands around them, or a function's tag, which some models begin with."""
    return read_section(reader, mark, tags.function[0], tags.close, lambda: _read_call(reader, tags))


def _read_call(reader: Reader, tags: Tags) -> Steps:
    name = yield from reader.name()
    if not name or not (yield from reader.take(tags.function[1].rstrip())):
        raise NotThis("expected a name")
    reader.begin_call(name)
    reader.arguments("{")
    yield from _read_parameters(reader, tags, reader.tools.get(name, {}).get("properties") or {})
    reader.arguments("}")
    reader.end_call()


def _read_parameters(reader: Reader, tags: Tags, schemas: dict[str, Any]) -> Steps:
    before, after = tags.parameter
    bare = after.rstrip()
    ends = (tags.value_end.rstrip(), tags.value_end.strip())  # a model may leave the line end out
    separator = ""
    yield from reader.skip_spaces()
    while (yield from reader.take(before)):
        key = yield from reader.until(bare)
        if bare != after:
            yield from reader.take(after[len(bare) :])
        reader.arguments(f"{separator}{json.dumps(key, ensure_ascii=False)}: ")
        yield from read_typed(reader, schemas.get(key), ends)
        yield from reader.skip_spaces()
        separator = ", "
    if not (yield from reader.take(tags.end.strip())) and not (yield from reader.is_over()):
        raise NotThis("expected a parameter")


def tagged_call(name: str, parameters: dict[str, Any], where: str, tags: Tags) -> Format:
    parts = []
    for key, found, required in properties(parameters, where):
        value = raw_text(found, tags.value_end, f"{where}.properties.{key}")
        part = sequence(const(f"{tags.parameter[0]}{key}{tags.parameter[1]}"), value)
        parts.append(part if required else optional(part))
    return tag(f"{tags.function[0]}{name}{tags.function[1]}", sequence(*parts or [const("")]), tags.end)
