"""A request's JSON, read so that nothing later can stumble over it: bounded in depth and in number of values before it is
parsed, without half characters after.  Shared by the server and the page's worker."""

import json
import re
from typing import Any

from fanlight.errors import RequestError

MAX_DEPTH = 100  # of lists and objects in each other; also what a template must walk
MAX_CONTAINERS = 100_000
MAX_VALUES = 2_000_000  # token ids, mostly

SIGNS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},]', re.DOTALL)
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(body: bytes) -> Any:
    """Raises RequestError."""
    _check_shape(body)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the request is not JSON: {error}") from None
    if SURROGATE.search(body):
        _check_text(value)
    return value


def _check_shape(body: bytes) -> None:
    """A million lists take seconds to make, and the deepest of a thousand cannot be walked."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH and body.count(b",") <= MAX_VALUES:
        return
    depth = num_containers = num_values = 0
    for sign in SIGNS.finditer(body):
        kind = body[sign.start()]
        if kind in b"[{":
            depth, num_containers = depth + 1, num_containers + 1
        elif kind in b"]}":
            depth -= 1
        elif kind in b",":
            num_values += 1
        if depth > MAX_DEPTH:
            raise RequestError(f"the request is nested more than {MAX_DEPTH} deep")
        if num_containers > MAX_CONTAINERS:
            raise RequestError(f"the request has more than {MAX_CONTAINERS} lists and objects")
        if num_values > MAX_VALUES:
            raise RequestError(f"the request has more than {MAX_VALUES} values")


def _check_text(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise RequestError(f"the request has the half character {half} without its other half, which is no text") from None


def to_json(value: Any) -> bytes:
    """Whatever stands in it: what UTF-8 cannot say is escaped."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
