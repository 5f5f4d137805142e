"""The messages of a chat request, checked: a role that is known, content that is text or pictures, and no field that nobody
would read."""

from typing import Any

from fanlight.api.checks import fail, of_type, one_of
from fanlight.errors import RequestError

MAX_MESSAGES = 16_384
SOUNDS = {"input_audio": ("data", "format"), "audio_url": ("url",)}  # types of parts, and their fields
DETAILS = ("auto", "low", "high", "original")  # low: the picture as a whole, where it would be cut into tiles too
ROLES = ("system", "developer", "user", "assistant", "tool")
# field -> the roles that have it; a template reads `name` where its model knows names
FIELDS: dict[str, tuple[str, ...]] = {
    "role": ROLES,
    "content": ROLES,
    "name": ROLES,
    "tool_calls": ("assistant",),
    "tool_call_id": ("tool",),
    "reasoning_content": ("assistant",),
    "reasoning": ("assistant",),
    "thinking": ("assistant",),
    "refusal": ("assistant",),
}
# What clients send back from an answer; nothing is in it here.
EMPTY = ("audio", "function_call", "annotations", "provider_specific_fields")
WHY = {"audio": "audio is not supported", "function_call": "use tool_calls"}


def messages(value: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise fail(name, "a list of at least one message", value)
    if len(value) > MAX_MESSAGES:
        raise RequestError(f"{name} has {len(value)} messages; at most {MAX_MESSAGES}", param=name)
    return [_message(message, f"{name}[{i}]") for i, message in enumerate(value)]


def _message(message: Any, name: str) -> dict[str, Any]:
    """As templates read it: without what is null, a refusal being the text that it was."""
    if not isinstance(message, dict):
        raise fail(name, "an object with role and content", message)
    role = message.get("role")
    if role not in ROLES:
        raise fail(f"{name}.role", f"one of {', '.join(ROLES)}", role)
    for field, value in message.items():
        _check_field(field, value, role, name)
    made = {field: value for field, value in message.items() if value is not None and field not in EMPTY}
    refusal = made.pop("refusal", None)
    content = _content(message.get("content"), f"{name}.content", role)
    content = refusal if content is None else content
    if content is None and not message.get("tool_calls") and role != "assistant":
        raise RequestError(f"{name}.content is missing", param=f"{name}.content")
    return made | {"content": content}


def _check_field(field: str, value: Any, role: str, name: str) -> None:
    where = f"{name}.{field}"
    if field in EMPTY:
        if value:
            raise RequestError(f"{where} must be absent or null: {WHY.get(field, 'it is not supported')}", param=where)
    elif field not in FIELDS:
        raise RequestError(f"unknown field {where}; known: {', '.join(FIELDS)}", param=where)
    elif value is None:
        return
    elif role not in FIELDS[field]:
        raise RequestError(f"{where}: a message of role {role!r} has none", param=where)
    elif field == "tool_calls":
        _check_tool_calls(value, where)
    elif field != "content":
        of_type(str, "a text")(value, where)


def _content(value: Any, name: str, role: str) -> Any:
    if value is not None and not isinstance(value, (str, list)):
        raise fail(name, "a text or a list of text parts", value)
    return [_part(part, f"{name}[{i}]", role) for i, part in enumerate(value)] if isinstance(value, list) else value


def _part(part: Any, name: str, role: str) -> dict[str, Any]:
    if isinstance(part, dict):
        kind = part.get("type")
        if kind == "image_url":
            return _picture(part, name, role)
        if kind in SOUNDS:
            return _sound(part, name, role)
        if kind in ("text", "refusal") and isinstance(part.get(kind), str):
            for field in part:
                if field not in ("type", kind):
                    raise RequestError(f"unknown field {name}.{field}", param=f"{name}.{field}")
            return {"type": "text", "text": part[kind]}
    raise fail(name, 'a part {"type": "text", "text": ...}, or of type image_url, input_audio or audio_url', part)


def _picture(part: dict[str, Any], name: str, role: str) -> dict[str, Any]:
    """{"type": "image_url", "image_url": {"url": ..., "detail": ...}}; a text alone counts as the url."""
    if role != "user":
        raise RequestError(f"{name}: a message of role {role!r} has no pictures", param=name)
    given = part.get("image_url")
    given = {"url": given} if isinstance(given, str) else given
    if not isinstance(given, dict) or not isinstance(given.get("url"), str):
        raise fail(f"{name}.image_url", 'an object {"url": "data:image/png;base64,..."}', given)
    for field in (*(f for f in part if f not in ("type", "image_url")), *(f for f in given if f not in ("url", "detail"))):
        raise RequestError(f"unknown field {name}.{field}", param=f"{name}.{field}")
    if given.get("detail") is not None:
        one_of(*DETAILS)(given["detail"], f"{name}.image_url.detail")
    return {"type": "image_url", "image_url": given}


def _sound(part: dict[str, Any], name: str, role: str) -> dict[str, Any]:
    """OpenAI's {"type": "input_audio", "input_audio": {"data": base64, "format": "wav"}}, or vLLM's
    {"type": "audio_url", "audio_url": {"url": ...}}, which it becomes."""
    if role != "user":
        raise RequestError(f"{name}: a message of role {role!r} has no sounds", param=name)
    kind = part["type"]
    given, fields = part.get(kind), SOUNDS[kind]
    given = {"url": given} if kind == "audio_url" and isinstance(given, str) else given
    if not isinstance(given, dict) or not isinstance(given.get(fields[0]), str):
        expected = "a data: URL" if kind == "audio_url" else "base64 of a file"
        raise fail(f"{name}.{kind}", f'an object {{"{fields[0]}": ...}} with {expected}', given)
    for field in (*(f for f in part if f not in ("type", kind)), *(f for f in given if f not in fields)):
        raise RequestError(f"unknown field {name}.{field}", param=f"{name}.{field}")
    if given.get("format") is not None:  # what the file itself says counts
        of_type(str, '"wav"')(given["format"], f"{name}.{kind}.format")
    url = given["url"] if kind == "audio_url" else f"data:;base64,{given['data']}"
    return {"type": "audio_url", "audio_url": {"url": url}}


def _check_tool_calls(calls: Any, name: str) -> None:
    for i, call in enumerate(of_type(list, "a list")(calls, name)):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise fail(f"{name}[{i}]", "an object with function.name and function.arguments", call)
