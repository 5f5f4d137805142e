"""OpenAI's messages as a template reads them: content as a text or as parts, arguments of calls as objects or as text, None or
nothing.

Templates were written for what their makers passed to them, and do not say what that was. So each is asked: a message of one
word is rendered in either form, once, when a request first needs to know, and the form in which the word comes out is the one
that it reads.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from fanlight.errors import RequestError

Message = Mapping[str, Any]
Probe = Callable[[list[dict[str, Any]]], str | None]  # renders messages; None where the template fails on them

WORD, KEY = "Xylophone", "zither"  # in no template
ASKED = {"role": "user", "content": "Hello"}


class MessageShape:
    def __init__(self, source: str, probe: Probe) -> None:
        self._probe = probe
        self._knows_developer = "developer" in source  # OpenAI's newer word for system
        self._answers: dict[tuple[str, str], bool] = {}

    def shaped(self, message: Message) -> dict[str, Any]:
        """The message as the template takes it. Fields that are null are absent, as are no tool calls."""
        plain = {k: v for k, v in message.items() if v is not None}
        if not plain.get("tool_calls"):
            plain.pop("tool_calls", None)
        role = plain.get("role", "")
        if role == "developer" and not self._knows_developer:
            plain["role"] = role = "system"
        plain["content"] = self._content(str(role), plain.get("content"), "tool_calls" in plain)
        if "tool_calls" in plain:
            plain["tool_calls"] = [self._tool_call(call) for call in plain["tool_calls"]]
        return plain

    def _content(self, role: str, content: Any, has_calls: bool) -> Any:
        if content is None:
            return None if has_calls and self._is("none", role, self._takes_none) else ""
        if isinstance(content, list):
            if self._is("parts", role, self._takes_parts):
                return [dict(part) for part in content]
            return "\n".join(part["text"] for part in content if "text" in part)
        if isinstance(content, str) and not self._is("text", role, self._takes_text):
            return [{"type": "text", "text": content}]
        return content

    def _tool_call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        function = dict(call["function"])
        arguments = function.get("arguments")
        if self._is("arguments as text", "assistant", self._takes_argument_text):
            if arguments is not None and not isinstance(arguments, str):
                function["arguments"] = json.dumps(arguments, ensure_ascii=False)
        elif isinstance(arguments, str):
            try:
                function["arguments"] = json.loads(arguments or "{}")
            except (ValueError, RecursionError) as error:
                raise RequestError(f"tool call arguments are no JSON: {error}", param="messages") from None
        return {**call, "function": function}

    # --- what the template says when it is asked
    def _is(self, question: str, role: str, ask: Callable[[str], bool]) -> bool:
        key = question, role
        if key not in self._answers:
            self._answers[key] = ask(role)
        return self._answers[key]

    def _takes_text(self, role: str) -> bool:
        text = self._probe(_conversation(role, WORD))
        return (text is not None and WORD in text) or not self._is("parts", role, self._takes_parts)

    def _takes_parts(self, role: str) -> bool:
        """Not where the parts themselves are printed, as Python would."""
        text = self._probe(_conversation(role, [{"type": "text", "text": WORD, KEY: KEY}]))
        return text is not None and WORD in text and KEY not in text

    def _takes_none(self, role: str) -> bool:
        none, empty = (self._probe([ASKED, _calling({}, content)]) for content in (None, ""))
        return none is not None and none.count("None") == (empty or "").count("None")

    def _takes_argument_text(self, role: str) -> bool:
        written = json.dumps({KEY: WORD})
        as_object, as_text = (self._probe([ASKED, _calling(arguments, "")]) for arguments in ({KEY: WORD}, written))
        reads_object = as_object is not None and repr({KEY: WORD}) not in as_object
        return not reads_object and as_text is not None and written in as_text


def _conversation(role: str, content: Any) -> list[dict[str, Any]]:
    """One in which a message of this role may stand."""
    message = {"role": role, "content": content}
    if role == "tool":
        return [ASKED, _calling({}, ""), {**message, "tool_call_id": "abcdefghi", "name": "play"}]
    return {"user": [message], "assistant": [ASKED, message, ASKED]}.get(role, [message, ASKED])


def _calling(arguments: Any, content: str | None) -> dict[str, Any]:
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "play", "arguments": arguments}}
    return {"role": "assistant", "content": content, "tool_calls": [call]}
