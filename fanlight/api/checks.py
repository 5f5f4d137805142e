"""Checks that many fields of requests share.  A check takes a value and its name, and gives the value as it is used or raises a
RequestError that names the field."""

from collections.abc import Callable
from typing import Any

from fanlight.errors import RequestError

Check = Callable[[Any, str], Any]


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

    return check


def number(low: float, high: float) -> Check:
    def check(value: Any, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise fail(name, f"a number between {low:g} and {high:g}", value)
        return float(value)

    return check


def integer(low: int, high: int) -> Check:
    def check(value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise fail(name, f"an integer between {low} and {high}", value)
        return value

    return check


def only(*values: Any, why: str = "anything else is not supported") -> Check:
    def check(value: Any, name: str) -> Any:
        if not any(value is v or (type(value) is type(v) and value == v) for v in values):
            shown = " or ".join(map(repr, values)) or "absent"
            raise RequestError(f"{name} must be {shown}, got {value!r}: {why}", param=name)
        return value

    return check
