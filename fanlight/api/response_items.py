"""OpenAI's Responses API in terms of a chat: its request becomes a chat's, and the chat's message becomes its items."""

import secrets
from collections.abc import Mapping
from typing import Any

from fanlight.api.checks import Check, fail, integer, number, of_type, only, read_fields
from fanlight.errors import RequestError

NOT_KEPT = "responses are not kept here: send the whole conversation as input"
TEXT, YES_NO = of_type(str, "a text"), of_type(bool, "true or false")
FIELDS: dict[str, Check] = {
    "model": TEXT,
    "input": of_type((str, list), "a text or a list of items"),
    "instructions": TEXT,
    "stream": YES_NO,
    "max_output_tokens": integer(1, 2**31 - 1),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "tools": of_type(list, "a list of tools"),
    "tool_choice": lambda value, name: value,  # as a chat's
    "parallel_tool_calls": YES_NO,
    "reasoning": of_type(dict, "an object"),
    "text": of_type(dict, "an object"),
    "top_logprobs": only(0, why="log-probabilities are in chat completions"),
    "include": of_type(list, "a list"),
    "truncation": only("disabled", why="nothing is cut out of a conversation here"),
    "background": only(False, why="a response is made while its client waits"),
    "previous_response_id": only(why=NOT_KEPT),
    "conversation": only(why=NOT_KEPT),
    "prompt": only(why="there are no stored prompts here"),
    "max_tool_calls": only(why="it counts OpenAI's own tools, which are not here"),
    "stream_options": of_type(dict, "an object"),
    # What cannot matter here:
    "store": YES_NO,
    "metadata": of_type(dict, "an object"),
    "user": TEXT,
    "service_tier": TEXT,
    "safety_identifier": TEXT,
    "prompt_cache_key": TEXT,
    "prompt_cache_retention": TEXT,
}
SAME = ("model", "temperature", "top_p", "parallel_tool_calls")
INCLUDES = ("reasoning.encrypted_content", "message.output_text.logprobs")


def checked(body: Any) -> dict[str, Any]:
    """The fields that are given and not null."""
    values = read_fields(body, FIELDS)
    for wanted in values.get("include", ()):
        if wanted != INCLUDES[0]:  # there is none, which the field's absence says
            raise fail("include", f"a list of {INCLUDES[0]}", wanted)
    if "input" not in values:
        raise RequestError("input is missing", param="input")
    return values


def chat_body(values: Mapping[str, Any]) -> dict[str, Any]:
    """The chat completion that answers it."""
    body: dict[str, Any] = {name: values[name] for name in SAME if name in values}
    messages = [{"role": "system", "content": values["instructions"]}] if values.get("instructions") else []
    body["messages"] = messages + input_messages(values["input"])
    if "max_output_tokens" in values:
        body["max_completion_tokens"] = values["max_output_tokens"]
    if values.get("tools"):
        body["tools"] = [_chat_tool(tool, f"tools[{i}]") for i, tool in enumerate(values["tools"])]
    if "tool_choice" in values:
        body["tool_choice"] = values["tool_choice"]
    effort = _known(values.get("reasoning", {}), "reasoning", ("effort", "summary", "generate_summary")).get("effort")
    if effort is not None:
        body["reasoning_effort"] = effort
    text = _known(values.get("text", {}), "text", ("format", "verbosity"))
    if text.get("format") is not None:
        body["response_format"] = _response_format(text["format"])
    if values.get("stream"):
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _known(value: dict[str, Any], name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    for key in value:
        if key not in keys:
            raise RequestError(f"unknown field {name}.{key}; known: {', '.join(keys)}", param=f"{name}.{key}")
    return value


def _chat_tool(tool: Any, name: str) -> dict[str, Any]:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        raise fail(name, 'a function {"type": "function", "name": ..., "parameters": ...}; others are OpenAI\'s own', tool)
    return {"type": "function", "function": {key: value for key, value in tool.items() if key != "type" and value is not None}}


def _response_format(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and value.get("type") == "json_schema":
        return {"type": "json_schema", "json_schema": {key: v for key, v in value.items() if key != "type"}}
    return dict(of_type(dict, "an object")(value, "text.format"))


# --- items -----------------------------------------------------------------------------------------------------------
def input_messages(value: str | list[Any]) -> list[dict[str, Any]]:
    """Items as messages: reasoning and calls belong to the assistant's message that is next or before."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    messages: list[dict[str, Any]] = []
    thought: list[str] = []
    for i, item in enumerate(value):
        name = f"input[{i}]"
        if not isinstance(item, dict):
            raise fail(name, "an item", item)
        kind = item.get("type", "message")
        if kind == "reasoning":
            thought += _thought(item.get("content") or [], f"{name}.content")
            continue
        if not isinstance(kind, str) or kind not in ITEMS:
            raise fail(f"{name}.type", f"one of {', '.join(ITEMS)}, reasoning", kind)
        message = ITEMS[kind](item, name)
        if message["role"] != "assistant":
            messages.append(message)
            continue
        if kind == "function_call" and messages and messages[-1]["role"] == "assistant":
            messages[-1].setdefault("tool_calls", []).extend(message["tool_calls"])
        else:
            messages.append(message)
        if thought:
            messages[-1].setdefault("reasoning_content", "".join(thought))
            thought = []
    return messages


def _thought(content: Any, name: str) -> list[str]:
    texts = [part.get("text") if isinstance(part, dict) else None for part in of_type(list, "a list of parts")(content, name)]
    return [of_type(str, "a text")(text, f"{name}[{i}].text") for i, text in enumerate(texts)]


def _message(item: dict[str, Any], name: str) -> dict[str, Any]:
    content = item.get("content")
    return {"role": item.get("role"), "content": _text(content, f"{name}.content")}


def _text(content: Any, name: str) -> Any:
    if not isinstance(content, list):
        return content
    if any(isinstance(part, dict) and part.get("type") in ("input_image", "input_audio") for part in content):
        return [_part(part, f"{name}[{i}]") for i, part in enumerate(content)]
    texts = []
    for i, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get("refusal" if kind == "refusal" else "text") if isinstance(part, dict) else None
        if kind not in ("input_text", "output_text", "text", "refusal") or not isinstance(text, str):
            raise fail(f"{name}[{i}]", "a part with a text, an input_image or an input_audio; files are not supported", part)
        texts.append(text)
    return "".join(texts)


def _part(part: Any, name: str) -> dict[str, Any]:
    if isinstance(part, dict) and part.get("type") == "input_audio":
        return part  # as in chats, where it is checked
    if not isinstance(part, dict) or part.get("type") != "input_image":
        return {"type": "text", "text": _text([part], name)}
    if part.get("file_id"):
        raise RequestError(f"{name}.file_id: no files are kept here; use image_url", param=f"{name}.file_id")
    url = of_type(str, "a data: URL")(part.get("image_url"), f"{name}.image_url")
    detail = {"detail": part["detail"]} if part.get("detail") is not None else {}
    return {"type": "image_url", "image_url": {"url": url, **detail}}


def _function_call(item: dict[str, Any], name: str) -> dict[str, Any]:
    for key in ("call_id", "name", "arguments"):
        of_type(str, "a text")(item.get(key), f"{name}.{key}")
    function = {"name": item["name"], "arguments": item["arguments"]}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": item["call_id"], "type": "function", "function": function}],
    }


def _function_call_output(item: dict[str, Any], name: str) -> dict[str, Any]:
    of_type(str, "a text")(item.get("call_id"), f"{name}.call_id")
    output = _text(item.get("output"), f"{name}.output")
    return {
        "role": "tool",
        "tool_call_id": item["call_id"],
        "content": of_type(str, "a text or parts")(output, f"{name}.output"),
    }


ITEMS = {"message": _message, "function_call": _function_call, "function_call_output": _function_call_output}


def new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(16)}"


def reasoning_item(text: str, status: str = "completed") -> dict[str, Any]:
    content = [{"type": "reasoning_text", "text": text}]
    return {"id": new_id("rs"), "type": "reasoning", "summary": [], "content": content, "status": status}


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message_item(text: str, status: str = "completed") -> dict[str, Any]:
    return {"id": new_id("msg"), "type": "message", "role": "assistant", "status": status, "content": [text_part(text)]}


def call_item(call_id: str, name: str, arguments: str, status: str = "completed") -> dict[str, Any]:
    item = {"id": new_id("fc"), "type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
    return {**item, "status": status}
