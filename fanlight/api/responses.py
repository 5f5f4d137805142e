"""/v1/responses: OpenAI's Responses API over chat completions, for what a client's `responses.create` and agents need.
Responses are not kept: a conversation goes on by sending its items again."""

import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, cast

from fanlight.api.chat import complete_chat
from fanlight.api.generation import LoadedModel
from fanlight.api.requests import ChatRequest, parse_chat_request
from fanlight.api.response_items import (
    call_item,
    chat_body,
    checked,
    message_item,
    new_id,
    reasoning_item,
)
from fanlight.errors import RequestError

Event = dict[str, Any]


def parse_response_request(body: Any, defaults: Mapping[str, float]) -> tuple[dict[str, Any], ChatRequest]:
    """The request's own fields, and the chat that answers it."""
    values = checked(body)
    with _own_names():
        return values, parse_chat_request(chat_body(values), defaults)


@contextmanager
def _own_names() -> Iterator[None]:
    """What the chat calls by its names is called by the request's."""
    try:
        yield
    except RequestError as error:
        for chats, own in (("messages", "input"), ("response_format.json_schema", "text.format"), ("reasoning_", "reasoning.")):
            if error.param is not None:
                error.param = error.param.replace(chats, own, 1)
        raise


async def respond(
    loaded: LoadedModel, values: dict[str, Any], chat: ChatRequest
) -> dict[str, Any] | AsyncGenerator[Event, None]:
    with _own_names():
        answer = await complete_chat(loaded, chat)
    response = _response(loaded, values, chat)
    if not isinstance(answer, Mapping):
        return Stream(response).events(cast(AsyncGenerator[Mapping[str, Any], None], answer))
    choice = answer["choices"][0]
    message, status = choice["message"], "incomplete" if choice["finish_reason"] == "length" else "completed"
    output = [reasoning_item(message["reasoning_content"])] if message.get("reasoning_content") else []
    if message["content"]:
        output.append(message_item(message["content"], status))
    for call in message.get("tool_calls", ()):
        output.append(call_item(call["id"], call["function"]["name"], call["function"]["arguments"]))
    return _ended(response, output, choice["finish_reason"], answer["usage"])


def _response(loaded: LoadedModel, values: Mapping[str, Any], chat: ChatRequest) -> dict[str, Any]:
    """As it is before it begins."""
    reasoning, text = values.get("reasoning", {}), values.get("text", {})
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": values.get("instructions"),
        "max_output_tokens": values.get("max_output_tokens"),
        "model": loaded.model_name,
        "output": [],
        "parallel_tool_calls": values.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": None},
        "store": False,
        "temperature": chat.params.temperature,
        "text": {"format": text.get("format") or {"type": "text"}},
        "tool_choice": values.get("tool_choice", "auto"),
        "tools": values.get("tools", []),
        "top_p": chat.params.top_p,
        "truncation": "disabled",
        "usage": None,
        "metadata": values.get("metadata", {}),
    }


def _ended(response: dict[str, Any], output: list[dict[str, Any]], reason: str, usage: Any) -> dict[str, Any]:
    is_whole = reason in ("stop", "tool_calls")
    details = {"reasoning_tokens": usage.get("completion_tokens_details", {}).get("reasoning_tokens", 0)}
    return {
        **response,
        "status": "completed" if is_whole else "incomplete",
        "incomplete_details": None if is_whole else {"reason": "max_output_tokens"},
        "output": output,
        "usage": {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": {"cache_write_tokens": 0, **usage["prompt_tokens_details"]},
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": details,
            "total_tokens": usage["total_tokens"],
        },
    }


TEXTS = {"message": "output_text", "reasoning": "reasoning_text"}  # what the events of an item's text are called


class Stream:
    """A chat's chunks as the events of a response: at most one item is open, the last of `output`."""

    def __init__(self, response: dict[str, Any]) -> None:
        self._response = response
        self._output: list[dict[str, Any]] = []
        self._is_open = False
        self._call = -1  # the index of the chat's call that is open
        self._number = 0

    async def events(self, chunks: AsyncGenerator[Mapping[str, Any], None]) -> AsyncGenerator[Event, None]:
        reason = "stop"
        async with aclosing(chunks):
            yield self._event("response.created", response=self._response)
            yield self._event("response.in_progress", response=self._response)
            async for chunk in chunks:
                for choice in chunk["choices"]:
                    for event in self._read(choice["delta"]):
                        yield event
                    reason = choice["finish_reason"] or reason
                if chunk.get("usage"):
                    for event in self._close("incomplete" if reason == "length" else "completed"):
                        yield event
                    ended = _ended(self._response, self._output, reason, chunk["usage"])
                    yield self._event(f"response.{ended['status']}", response=ended)

    def _event(self, kind: str, **fields: Any) -> Event:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **fields}

    def _read(self, delta: Mapping[str, Any]) -> list[Event]:
        events: list[Event] = []
        if text := delta.get("reasoning_content"):
            events += self._text("reasoning", text)
        if text := delta.get("content"):
            events += self._text("message", text)
        for call in delta.get("tool_calls", ()):
            if call["index"] != self._call:
                self._call = call["index"]
                events += self._open(call_item(call["id"], call["function"]["name"], "", "in_progress"))
            if (text := call["function"].get("arguments", "")) and self._is_open:
                self._output[-1]["arguments"] += text
                events.append(self._of_item("response.function_call_arguments.delta", delta=text))
        return events

    def _text(self, kind: str, text: str) -> list[Event]:
        events: list[Event] = []
        if not self._is_open or self._output[-1]["type"] != kind:
            item = message_item("", "in_progress") if kind == "message" else reasoning_item("", "in_progress")
            events += self._open(item)
            events.append(self._of_part("response.content_part.added", part=dict(item["content"][0])))
        self._output[-1]["content"][0]["text"] += text
        logprobs: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
        return [*events, self._of_part(f"response.{TEXTS[kind]}.delta", delta=text, **logprobs)]

    def _open(self, item: dict[str, Any]) -> list[Event]:
        events = self._close("completed")
        self._output.append(item)
        self._is_open = True
        shown = {**item, "content": []} if "content" in item else dict(item)
        return [*events, self._event("response.output_item.added", output_index=len(self._output) - 1, item=shown)]

    def _close(self, status: str) -> list[Event]:
        if not self._is_open:
            return []
        self._is_open = False
        item = self._output[-1]
        item["status"] = status
        events = []
        if item["type"] == "function_call":
            done = {"name": item["name"], "arguments": item["arguments"]}
            events.append(self._of_item("response.function_call_arguments.done", **done))
        else:
            part = item["content"][0]
            logprobs: dict[str, Any] = {"logprobs": []} if item["type"] == "message" else {}
            events.append(self._of_part(f"response.{TEXTS[item['type']]}.done", text=part["text"], **logprobs))
            events.append(self._of_part("response.content_part.done", part=part))
        return [*events, self._event("response.output_item.done", output_index=len(self._output) - 1, item=item)]

    def _of_item(self, kind: str, **fields: Any) -> Event:
        return self._event(kind, item_id=self._output[-1]["id"], output_index=len(self._output) - 1, **fields)

    def _of_part(self, kind: str, **fields: Any) -> Event:
        return self._of_item(kind, content_index=0, **fields)
