"""What the text of an answer may be, as `fanlight.grammar` compiles it: small dicts, made by these functions.  The names are
those of structural tags, which XGrammar brought and vLLM serves."""

import json
from collections.abc import Sequence
from typing import Any

from fanlight.errors import RequestError

Format = dict[str, Any]
ANY_OBJECT = {"type": "object"}


def const(text: str) -> Format:
    return {"type": "const_string", "value": text}


def schema(json_schema: Any) -> Format:
    return {"type": "json_schema", "json_schema": json_schema}


def sequence(*parts: Format) -> Format:
    return parts[0] if len(parts) == 1 else {"type": "sequence", "elements": list(parts)}


def either(options: Sequence[Format]) -> Format:
    return options[0] if len(options) == 1 else {"type": "or", "elements": list(options)}


def optional(part: Format) -> Format:
    return {"type": "optional", "content": part}


def regex(pattern: str) -> Format:
    return {"type": "regex", "pattern": pattern}


def tag(begin: str, content: Format, end: str) -> Format:
    return {"type": "tag", "begin": begin, "content": content, "end": end}


def any_text(*excludes: str) -> Format:
    return {"type": "any_text", "excludes": list(excludes)} if excludes else {"type": "any_text"}


def text_without(first: str, *excludes: str) -> Format:
    """Any text that does not begin with the character `first`."""
    return sequence(regex(r"\s*"), optional(sequence(regex(rf"[^\s\{first}]"), any_text(*excludes))))


def separated(tags: Sequence[Format], separator: str, *, only_one: bool) -> Format:
    """One of the tags or more."""
    return {
        "type": "tags_with_separator",
        "tags": list(tags),
        "separator": separator,
        "at_least_one": True,
        "stop_after_first": only_one,
    }


def triggered(triggers: Sequence[str], tags: Sequence[Format], *, only_one: bool) -> Format:
    """Any text, in which a trigger begins one of the tags."""
    return {
        "type": "triggered_tags",
        "triggers": list(triggers),
        "tags": list(tags),
        "at_least_one": False,
        "stop_after_first": only_one,
    }


def json_call(name: str, parameters: dict[str, Any], where: str) -> Format:
    """{"name": ..., "arguments": {...}}, as most models write one call."""
    return tag(f'{{"name": {json.dumps(name)}, "arguments": ', schema(parameters), "}")


# --- arguments that are no JSON object -------------------------------------------------------------------------------
LIMITS = ("minLength", "maxLength", "format", "contentEncoding", "contentMediaType")
NOT_LISTED = ("patternProperties", "minProperties", "maxProperties", "propertyNames", "anyOf", "oneOf", "allOf", "not", "$ref")


def properties(parameters: dict[str, Any], where: str) -> list[tuple[str, dict[str, Any], bool]]:
    """Name, schema and whether it is required, of each parameter, for syntaxes that write parameters one by one."""
    for key in NOT_LISTED:
        if key in parameters:
            raise RequestError(f"{where}: {key} cannot be enforced in this model's syntax for calls", param=where)
    required = parameters.get("required") or ()
    for name in required:
        if name not in (parameters.get("properties") or {}):
            raise RequestError(f"{where}: {name!r} is required and no property", param=where)
    shared: dict[str, Any] = {key: parameters[key] for key in ("$defs", "definitions") if key in parameters}
    return [(name, _with(shared, s), name in required) for name, s in (parameters.get("properties") or {}).items()]


def _with(shared: dict[str, Any], found: Any) -> dict[str, Any]:
    return {**shared, **found} if isinstance(found, dict) else {}


def raw_text(found: dict[str, Any], end: str, where: str) -> Format:
    """A value as some syntaxes write it, up to `end`: texts as they are, everything else as JSON."""
    if not is_text(found):
        return sequence(schema(found), const(end))
    if isinstance(values := found.get("enum", [found["const"]] if "const" in found else None), list):
        return sequence(either([const(str(value)) for value in values]), const(end))
    for key in LIMITS:
        if key in found:
            raise RequestError(f"{where}: {key} of a text cannot be enforced in this model's syntax for calls", param=where)
    if "pattern" in found:
        return sequence(regex(found["pattern"]), const(end))
    return tag("", any_text(), end)


def is_text(found: Any) -> bool:
    """Whether every value that the schema allows is a text."""
    if not isinstance(found, dict):
        return False
    values = found.get("enum", [found["const"]] if "const" in found else None)
    if "type" in found:
        return bool(found["type"] == "string")
    return isinstance(values, list) and bool(values) and all(isinstance(value, str) for value in values)


def listed(items: Sequence[tuple[Format, bool]], separator: str) -> Format:
    """Each item at most once, in order, the required ones always, with separators between."""
    before = [sequence(const(separator), item) if i else item for i, (item, _) in enumerate(items)]
    if not items:
        return const("")
    if any(required for _, required in items):
        first = next(i for i, (_, required) in enumerate(items) if required)
        ordered = [items[first], *items[:first], *items[first + 1 :]]
        parts = [ordered[0][0]]
        for item, required in ordered[1:]:
            part = sequence(const(separator), item)
            parts.append(part if required else optional(part))
        return sequence(*parts)
    starts = []
    for i in range(len(items)):
        rest = [optional(part) for part in before[i + 1 :]]
        starts.append(sequence(items[i][0], *rest))
    return optional(either(starts))
