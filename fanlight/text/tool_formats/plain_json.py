"""Calls as JSON, for templates that show no syntax: bare or in a fence where an answer begins, or between Hermes' marks.

    {"name": "f", "arguments": {"a": 1}}

Of templates that do not read tools at all, `describe` tells the model about them in the system message.
"""

import json
from typing import Any

from fanlight.text.calls import read_json_calls
from fanlight.text.reader import Reader, Steps, attempt, content_and_calls
from fanlight.text.tool_formats import ToolFormat, hermes

FENCES = ("```json", "```")
DESCRIPTION = """You can call these functions:
{tools}
To call one, write nothing but this, with its name and arguments:
<tool_call>
{{"name": "...", "arguments": {{...}}}}
</tool_call>
The result comes in the next message. Call a function only where it helps; otherwise answer in words."""


def read(reader: Reader) -> Steps:
    spaces = yield from reader.skip_spaces()
    reader.content(spaces)
    if fence := (yield from reader.take(*FENCES)):
        yield from attempt(reader, fence, _read_fenced(reader))
    elif (yield from reader.stands("{", "[")):
        yield from attempt(reader, "", read_json_calls(reader, only_known=True))
    yield from content_and_calls(reader, (hermes.OPEN,), hermes.read_calls)


def _read_fenced(reader: Reader) -> Steps:
    yield from reader.skip_spaces()
    yield from read_json_calls(reader, only_known=True)
    yield from reader.skip_spaces()
    yield from reader.take("```")


def describe(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with the tools in words, calls as text and results as the user's, for a template that knows none of them."""
    listed = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
    described = DESCRIPTION.format(tools=listed)
    shaped = [_in_words(message) for message in messages]
    if shaped[0]["role"] in ("system", "developer"):
        first = {**shaped[0], "content": f"{text_of(shaped[0]['content'])}\n\n{described}"}
        return [first, *shaped[1:]]
    return [{"role": "system", "content": described}, *shaped]


def _in_words(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] == "tool":
        return {"role": "user", "content": f"<tool_response>\n{text_of(message.get('content'))}\n</tool_response>"}
    if not message.get("tool_calls"):
        return message
    written = [text_of(message.get("content"))] if message.get("content") else []
    for called in message["tool_calls"]:
        function = called["function"]
        arguments = function.get("arguments") or "{}"
        arguments = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        written.append(f'{hermes.OPEN}\n{{"name": {json.dumps(function["name"])}, "arguments": {arguments}}}\n{hermes.CLOSE}')
    return {"role": message["role"], "content": "\n".join(written)}


def text_of(content: Any) -> str:
    """Of a message: a text, parts or nothing."""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content)
    return content or ""


FORMATS = (
    ToolFormat("plain_json", lambda template: False, read, hermes.call, marks=hermes.FORMATS[0].marks, trigger=hermes.OPEN),
)
