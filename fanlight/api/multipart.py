"""The fields of a form as browsers and OpenAI's clients send files: multipart/form-data.  https://www.rfc-editor.org/rfc/rfc7578"""

import re
from typing import Any

from fanlight.errors import RequestError

MAX_FIELDS = 100
NAME = re.compile(rb'[; ]name="((?:[^"\\]|\\.)*)"')
FILE_NAME = re.compile(rb"[; ]filename\*?=")
BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;,]{1,70}))', re.IGNORECASE)


def parse_form(content_type: str, body: bytes) -> dict[str, Any]:
    """Texts, and bytes of what is sent as a file; a list of those whose name ends with []. Raises RequestError."""
    match = BOUNDARY.search(content_type)
    if match is None:
        raise RequestError("the form's content type names no boundary")
    line = b"\r\n--" + (match[1] or match[2]).encode()
    parts = (b"\r\n" + body).split(line)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise RequestError("the form has no end: it did not arrive whole")
    if len(parts) > MAX_FIELDS + 2:
        raise RequestError(f"the form has more than {MAX_FIELDS} fields")
    form: dict[str, Any] = {}
    for part in parts[1:-1]:
        head, gap, value = part.partition(b"\r\n\r\n")
        disposition = next((h for h in head.split(b"\r\n") if h.lower().startswith(b"content-disposition:")), b"")
        found = NAME.search(disposition)
        if not gap or found is None:
            raise RequestError("a field of the form has no name")
        _add(form, found[1].decode("utf-8", "replace"), value if FILE_NAME.search(disposition) else _text(value))
    return form


def _add(form: dict[str, Any], name: str, value: Any) -> None:
    if name.endswith("[]"):
        form.setdefault(name.removesuffix("[]"), []).append(value)
    elif name in form:
        raise RequestError(f"the form has {name} twice", param=name)
    else:
        form[name] = value


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise RequestError("a field of the form is no UTF-8 text") from None
