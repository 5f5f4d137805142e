"""JSON Schema to rules."""

from typing import Any

from fanlight.errors import RequestError
from fanlight.grammar.expressions import Expression, Rule, Rules
from fanlight.grammar.json_text import JSON, OBJECT, VALUE


def json_schema(schema: Any, rules: Rules, at: str) -> Expression:
    rules |= JSON
    if schema in (True, {}):
        return Rule(VALUE)
    if schema == {"type": "object"}:
        return Rule(OBJECT)
    raise RequestError(f"of JSON Schema only {{}} and {{'type': 'object'}} are compiled so far, not {schema!r:.60}", param=at)
