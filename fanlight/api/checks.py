"""Checks that many fields of requests share.  A check takes a value and its name, and gives the value as it is used or raises a
RequestError that names the field."""

from collections.abc import Callable, Mapping
from typing import Any

from fanlight.errors import RequestError

Check = Callable[[Any, str], Any]
SCHEMAS: dict[Check, dict[str, Any]] = {}  # what values a check lets through, as a JSON schema, where that can be said
TYPES: dict[Any, str] = {bool: "boolean", str: "string", dict: "object", list: "array", int: "integer"}


def fail(name: str, wanted: str, value: Any) -> RequestError:
    shown = repr(value)
    return RequestError(f"{name} must be {wanted}, got {shown if len(shown) <= 80 else shown[:77] + '...'}", param=name)


def one_of(*values: str) -> Check:
    def check(value: Any, name: str) -> Any:
        if value not in values:
            raise fail(name, f"one of {', '.join(values)}", value)
        return value

    return check


def of_type(kind: type | tuple[type, ...], wanted: str) -> Check:
    def check(value: Any, name: str) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise fail(name, wanted, value)
        return value

    if kind in TYPES:
        SCHEMAS[check] = {"type": TYPES[kind]}
    return check


def number(low: float, high: float) -> Check:
    def check(value: Any, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise fail(name, f"a number between {low:g} and {high:g}", value)
        return float(value)

    SCHEMAS[check] = {"type": "number", "minimum": low, "maximum": high}
    return check


def integer(low: int, high: int) -> Check:
    def check(value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise fail(name, f"an integer between {low} and {high}", value)
        return value

    SCHEMAS[check] = {"type": "integer", "minimum": low, "maximum": high}
    return check


def only(*values: Any, why: str = "anything else is not supported") -> Check:
    def check(value: Any, name: str) -> Any:
        if not any(value is v or (type(value) is type(v) and value == v) for v in values):
            shown = " or ".join(map(repr, values)) or "absent"
            raise RequestError(f"{name} must be {shown}, got {value!r:.80}: {why}", param=name)
        return value

    SCHEMAS[check] = {"enum": list(values)} if values else {"type": "null"}
    return check


def token_ids(value: Any, name: str) -> list[int]:
    if not isinstance(value, list) or not set(map(type, value)) <= {int} or min(value, default=0) < 0:
        raise fail(name, "a list of token ids", value)
    return value


def read_fields(body: Any, fields: Mapping[str, Check]) -> dict[str, Any]:
    """The fields that are given and not null, each checked."""
    if not isinstance(body, Mapping):
        raise RequestError(f"the request must be a JSON object, got {type(body).__name__}")
    for name in body:
        if name not in fields:
            raise RequestError(f"unknown field {name!r}; known: {', '.join(sorted(fields))}", param=str(name))
    return {name: fields[name](value, name) for name, value in body.items() if value is not None}
