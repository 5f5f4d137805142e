"""Request bodies, checked: every field is in a table with its check, and a field that is in no table is an error that names it.

Knows OpenAI's fields and ranges, and vLLM's extras. Knows no engine but `SamplingParams`, which it fills.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fanlight.api import structured, tool_requests
from fanlight.api.checks import Check, anything, fail, integer, number, of_type, only
from fanlight.api.structured import Structured
from fanlight.api.tool_requests import Thinking, Tooling
from fanlight.engine.sampling_params import SamplingParams
from fanlight.errors import RequestError

MAX_CHOICES = 128
MAX_STOPS = 4
MAX_PROMPTS = 256
MAX_SEQUENCES = 256  # of a request: prompts times choices
MAX_MESSAGES = 16_384
MAX_BIASES = 16_384
DEFAULT_COMPLETION_TOKENS = 16  # OpenAI's
ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Request:
    """What a chat completion and a completion have in common."""

    model: str | None
    n: int
    stream: bool
    include_usage: bool
    return_token_ids: bool
    stops: tuple[str, ...]
    params: SamplingParams
    structured: Structured | None


@dataclass(frozen=True, slots=True)
class ChatRequest(Request):
    messages: list[dict[str, Any]]
    tooling: Tooling | None
    thinking: Thinking
    template_variables: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CompletionRequest(Request):
    prompts: list[str | list[int]]
    echo: bool


# --- checks ----------------------------------------------------------------------------------------------------------
def stops(value: Any, name: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(s, str) and s for s in values) or len(values) > MAX_STOPS:
        raise fail(name, f"a text or a list of up to {MAX_STOPS} texts, none empty", value)
    return tuple(values)


def token_ids(value: Any, name: str) -> list[int]:
    if not isinstance(value, list) or not set(map(type, value)) <= {int} or min(value, default=0) < 0:
        raise fail(name, "a list of token ids", value)
    return value


def logit_bias(value: Any, name: str) -> dict[int, float]:
    if not isinstance(value, Mapping):
        raise fail(name, "an object from token ids to numbers", value)
    if len(value) > MAX_BIASES:
        raise RequestError(f"{name} has {len(value)} tokens; at most {MAX_BIASES}", param=name)
    biases: dict[int, float] = {}
    for key, bias in value.items():
        if not re.fullmatch("[0-9]{1,10}", str(key)):
            raise fail(name, "an object whose keys are token ids", key)
        biases[int(key)] = number(-100, 100)(bias, name)
    return biases


def stream_options(value: Any, name: str) -> bool:
    options = of_type(dict, "an object")(value, name)
    for key in options:
        if key != "include_usage":
            raise RequestError(f"unknown field {name}.{key}", param=f"{name}.{key}")
    return of_type(bool, "true or false")(options.get("include_usage", False), f"{name}.include_usage")


def messages(value: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise fail(name, "a list of at least one message", value)
    if len(value) > MAX_MESSAGES:
        raise RequestError(f"{name} has {len(value)} messages; at most {MAX_MESSAGES}", param=name)
    for i, message in enumerate(value):
        _check_message(message, f"{name}[{i}]")
    return value


def _check_message(message: Any, name: str) -> None:
    if not isinstance(message, dict):
        raise fail(name, "an object with role and content", message)
    if message.get("role") not in ROLES:
        raise fail(f"{name}.role", f"one of {', '.join(ROLES)}", message.get("role"))
    content = message.get("content")
    calls = message.get("tool_calls")
    if calls is not None:
        _check_tool_calls(calls, f"{name}.tool_calls")
    if content is None and not calls and message["role"] != "assistant":
        raise RequestError(f"{name}.content is missing", param=f"{name}.content")
    for i, part in enumerate(content if isinstance(content, list) else []):
        where = f"{name}.content[{i}]"
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise fail(where, 'a part {"type": "text", "text": ...}; images and audio are not supported', part)
    if content is not None and not isinstance(content, (str, list)):
        raise fail(f"{name}.content", "a text or a list of text parts", content)


def _check_tool_calls(calls: Any, name: str) -> None:
    for i, call in enumerate(of_type(list, "a list")(calls, name)):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise fail(f"{name}[{i}]", "an object with function.name and function.arguments", call)


def template_variables(value: Any, name: str) -> dict[str, Any]:
    variables = of_type(dict, "an object")(value, name)
    for key in ("self", "messages", "tools", "add_generation_prompt"):
        if key in variables:
            raise RequestError(f"{name} cannot set {key}", param=f"{name}.{key}")
    return variables


def prompts(value: Any, name: str) -> list[str | list[int]]:
    """OpenAI's four forms: a text, texts, token ids, lists of token ids."""
    several = value if isinstance(value, list) and value and isinstance(value[0], (str, list)) else [value]
    if len(several) > MAX_PROMPTS:
        raise RequestError(f"{name} has {len(several)} prompts; at most {MAX_PROMPTS}", param=name)
    return [p if isinstance(p, str) else _prompt_ids(p, name) for p in several]


def _prompt_ids(value: Any, name: str) -> list[int]:
    if not isinstance(value, list):
        raise fail(name, "a text, texts, token ids or lists of token ids", value)
    return token_ids(value, name)


# --- the tables ------------------------------------------------------------------------------------------------------
YES_NO = of_type(bool, "true or false")
TEXT = of_type(str, "a text")
NO_LOGPROBS = "log-probabilities are not supported so far"
SAMPLING: dict[str, Check] = {
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "logit_bias": logit_bias,
    "seed": integer(-(2**63), 2**63 - 1),
    "max_tokens": integer(1, 2**31 - 1),
    "top_k": integer(-1, 2**31 - 1),
    "min_p": number(0, 1),
    "repetition_penalty": number(0.01, 100),
    "stop_token_ids": token_ids,
    "ignore_eos": YES_NO,
}
COMMON: dict[str, Check] = {
    **SAMPLING,
    **structured.FIELDS,
    "model": TEXT,
    "n": integer(1, MAX_CHOICES),
    "stop": stops,
    "stream": YES_NO,
    "stream_options": stream_options,
    "return_token_ids": YES_NO,
    "user": anything,
}
CHAT: dict[str, Check] = {
    **COMMON,
    "messages": messages,
    "max_completion_tokens": integer(1, 2**31 - 1),
    **tool_requests.FIELDS,
    "functions": only(why=f"use {tool_requests.USE_TOOLS}"),
    "function_call": only(why=f"use {tool_requests.USE_TOOLS}"),
    "chat_template_kwargs": template_variables,
    "logprobs": only(False, why=NO_LOGPROBS),
    "top_logprobs": only(0, why=NO_LOGPROBS),
    "metadata": anything,
    "store": anything,
}
COMPLETION: dict[str, Check] = {
    **COMMON,
    "prompt": prompts,
    "echo": YES_NO,
    "best_of": only(1),
    "suffix": only(""),
    "logprobs": only(why=NO_LOGPROBS),
}


def parse_chat_request(body: Any) -> ChatRequest:
    values = _checked(body, CHAT)
    if "messages" not in values:
        raise RequestError("messages is missing", param="messages")
    if (most := values.get("max_completion_tokens")) is not None:
        values["max_tokens"] = most
    return ChatRequest(
        **_common(values),
        messages=values["messages"],
        tooling=tool_requests.tooling(values),
        thinking=tool_requests.thinking(values),
        template_variables=values.get("chat_template_kwargs", {}),
    )


def parse_completion_request(body: Any) -> CompletionRequest:
    values = _checked(body, COMPLETION)
    if "prompt" not in values:
        raise RequestError("prompt is missing", param="prompt")
    values.setdefault("max_tokens", DEFAULT_COMPLETION_TOKENS)
    if (num := len(values["prompt"]) * values.get("n", 1)) > MAX_SEQUENCES:
        raise RequestError(f"{len(values['prompt'])} prompts with n choices each are {num}; at most {MAX_SEQUENCES}", param="n")
    return CompletionRequest(**_common(values), prompts=values["prompt"], echo=values.get("echo", False))


def _checked(body: Any, fields: Mapping[str, Check]) -> dict[str, Any]:
    """The fields that are given and not null, each checked."""
    if not isinstance(body, Mapping):
        raise RequestError(f"the request must be a JSON object, got {type(body).__name__}")
    for name in body:
        if name not in fields:
            raise RequestError(f"unknown field {name!r}; known: {', '.join(sorted(fields))}", param=str(name))
    return {name: fields[name](value, name) for name, value in body.items() if value is not None}


def _common(values: Mapping[str, Any]) -> dict[str, Any]:
    if "stream_options" in values and not values.get("stream"):
        raise RequestError("stream_options needs stream: true", param="stream_options")
    params = {name: values[name] for name in SAMPLING if name in values}
    params["stop_token_ids"] = frozenset(params.get("stop_token_ids", ()))
    params["top_k"] = max(params.get("top_k", 0), 0)  # -1 is vLLM's word for off
    return {
        "model": values.get("model"),
        "n": values.get("n", 1),
        "stream": values.get("stream", False),
        "include_usage": values.get("stream_options", False),
        "return_token_ids": values.get("return_token_ids", False),
        "stops": values.get("stop", ()),
        "params": SamplingParams(**params),
        "structured": structured.only_one(values),
    }
