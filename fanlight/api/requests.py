"""Request bodies, checked: every field is in a table with its check, and a field that is in no table is an error that names it.

Knows OpenAI's fields and ranges, and vLLM's extras. Knows no engine but `SamplingParams`, which it fills.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fanlight.api import overflow, structured, tool_requests
from fanlight.api.checks import Check, fail, integer, number, of_type, one_of, only, read_fields, token_ids
from fanlight.api.messages import messages
from fanlight.api.structured import Structured
from fanlight.api.tool_requests import Thinking, Tooling
from fanlight.compiler.program import MAX_LOGPROBS
from fanlight.engine.sampling_params import LORA_RANGE, SamplingParams
from fanlight.errors import RequestError
from fanlight.text.chat_syntax import said_so_far

MAX_CHOICES = 128
MAX_STOPS = 4
MAX_PROMPTS = 256
MAX_SEQUENCES = 256  # of a request: prompts times choices
MAX_BIASES = 16_384
DEFAULT_COMPLETION_TOKENS = 16  # OpenAI's
NO_DEFAULTS: Mapping[str, float] = {}


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
    context_overflow: str | None  # None: as the model was loaded
    warnings: list[str]  # grows: what of it is answered otherwise than it says


@dataclass(frozen=True, slots=True)
class ChatRequest(Request):
    messages: list[dict[str, Any]]
    tooling: Tooling | None
    thinking: Thinking
    template_variables: dict[str, Any]
    continues: bool = False  # the last message is the beginning of the answer


@dataclass(frozen=True, slots=True)
class CompletionRequest(Request):
    prompts: list[str | list[int]]
    echo: bool
    logprobs: int | None  # as asked for: `params` may want them for `best_of` alone
    best_of: int  # how many answers the `n` best are chosen of
    is_prompt_only: bool  # max_tokens 0: the prompt alone, and what is asked of it


# --- checks ----------------------------------------------------------------------------------------------------------
def stops(value: Any, name: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(s, str) and s for s in values) or len(values) > MAX_STOPS:
        raise fail(name, f"a text or a list of up to {MAX_STOPS} texts, none empty", value)
    return tuple(values)


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


def loras(value: Any, name: str) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise fail(name, "an object from names of LoRAs to how much of each", value)
    return {key: number(*LORA_RANGE)(scale, f"{name}.{key}") for key, scale in value.items()}


def stream_options(value: Any, name: str) -> bool:
    options = of_type(dict, "an object")(value, name)
    given = {key: value for key, value in options.items() if value is not None}
    for key, value in given.items():
        if key not in STREAM_OPTIONS:
            raise RequestError(f"unknown field {name}.{key}; known: {', '.join(STREAM_OPTIONS)}", param=f"{name}.{key}")
        STREAM_OPTIONS[key](value, f"{name}.{key}")
    return bool(given.get("include_usage", False))


def template_variables(value: Any, name: str) -> dict[str, Any]:
    variables = of_type(dict, "an object")(value, name)
    for key in ("self", "messages", "tools", "add_generation_prompt"):
        if key in variables:
            raise RequestError(f"{name} cannot set {key}", param=f"{name}.{key}")
    return variables


def prompts(value: Any, name: str, most: int = MAX_PROMPTS) -> list[str | list[int]]:
    """OpenAI's four forms: a text, texts, token ids, lists of token ids."""
    several = value if isinstance(value, list) and value and isinstance(value[0], (str, list)) else [value]
    if len(several) > most:
        raise RequestError(f"{name} has {len(several)} prompts; at most {most}", param=name)
    return [p if isinstance(p, str) else _prompt_ids(p, name) for p in several]


def _prompt_ids(value: Any, name: str) -> list[int]:
    if not isinstance(value, list):
        raise fail(name, "a text, texts, token ids or lists of token ids", value)
    return token_ids(value, name)


# --- the tables ------------------------------------------------------------------------------------------------------
YES_NO = of_type(bool, "true or false")
TEXT = of_type(str, "a text")
STREAM_OPTIONS: dict[str, Check] = {
    "include_usage": YES_NO,
    "include_obfuscation": only(False, why="no padding is added to chunks"),
}
# Fields of OpenAI's that change nothing about an answer made here: their form is checked, and that is all.
ACCEPTED: dict[str, Check] = {
    "user": TEXT,
    "safety_identifier": TEXT,
    "metadata": of_type(dict, "an object"),
    "service_tier": one_of("auto", "default", "flex", "scale", "priority", "fast"),
    "prompt_cache_key": TEXT,
    "prompt_cache_retention": one_of("in_memory", "in-memory", "24h"),
    "prompt_cache_options": of_type(dict, "an object"),
    "prediction": of_type(dict, "an object"),
    "modalities": only(["text"], why="answers are text"),
    "verbosity": only("medium", why="the model has no such setting: say it in a message"),
    "store": only(False, why="nothing is stored here"),
}
REFUSED = {
    "functions": f"use {tool_requests.USE_TOOLS}",
    "function_call": f"use {tool_requests.USE_TOOLS}",
    "audio": "answers are text",
    "moderation": "there is no moderation here",
    "web_search_options": "there is no web search here: offer it as a tool",
}
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
    "prompt_logprobs": integer(0, MAX_LOGPROBS),
}
PROCESSED = "processed_logprobs"
COMMON: dict[str, Check] = {
    **SAMPLING,
    **structured.FIELDS,
    "model": TEXT,
    "n": integer(1, MAX_CHOICES),
    "logprobs_mode": one_of("raw_logprobs", PROCESSED),
    "stop": stops,
    "lora": loras,
    "stream": YES_NO,
    "stream_options": stream_options,
    "return_token_ids": YES_NO,
    "user": ACCEPTED["user"],
}
CHAT: dict[str, Check] = {
    **COMMON,
    "messages": messages,
    "add_generation_prompt": YES_NO,
    "continue_final_message": YES_NO,
    "max_completion_tokens": integer(1, 2**31 - 1),
    **tool_requests.FIELDS,
    "chat_template_kwargs": template_variables,
    "logprobs": YES_NO,
    "top_logprobs": integer(0, MAX_LOGPROBS),
    **overflow.FIELDS,
    **ACCEPTED,
    **{name: only(why=why) for name, why in REFUSED.items()},
}
COMPLETION: dict[str, Check] = {
    **COMMON,
    "prompt": prompts,
    "echo": YES_NO,
    "max_tokens": integer(0, 2**31 - 1),
    "context_overflow": overflow.policy_of_texts,
    "best_of": integer(1, MAX_CHOICES),
    "suffix": only("", why="text before a given ending is not written"),
    "logprobs": integer(0, MAX_LOGPROBS),
}


def parse_chat_request(body: Any, defaults: Mapping[str, float] = NO_DEFAULTS) -> ChatRequest:
    """defaults: of SamplingParams, for what the request leaves out."""
    values = read_fields(body, CHAT)
    if "messages" not in values:
        raise RequestError("messages is missing", param="messages")
    if (most := values.get("max_completion_tokens")) is not None:
        values["max_tokens"] = most
    if values.get("top_logprobs") and not values.get("logprobs"):
        raise RequestError("top_logprobs needs logprobs: true", param="top_logprobs")
    return ChatRequest(
        **_common(defaults, values, values.get("top_logprobs", 0) if values.get("logprobs") else None),
        messages=values["messages"],
        tooling=tool_requests.tooling(values),
        thinking=tool_requests.thinking(values),
        template_variables=values.get("chat_template_kwargs", {}),
        continues=_continues(values),
    )


def _continues(values: Mapping[str, Any]) -> bool:
    name, opens = "continue_final_message", values.get("add_generation_prompt")
    if not values.get(name, False):
        if opens is False:
            why = "a chat's prompt ends where the answer begins"
            raise RequestError(f"add_generation_prompt: false needs {name}: true: {why}", param="add_generation_prompt")
        return False
    if opens:
        raise RequestError(f"{name} goes on with the last message, add_generation_prompt begins another one", param=name)
    last = values["messages"][-1]
    if last["role"] != "assistant":
        raise RequestError(f"{name}: the last message must be of the assistant, got {last['role']!r}", param=name)
    if last.get("tool_calls"):
        raise RequestError(f"{name}: the last message calls tools, and only text goes on", param=name)
    if not any(said_so_far(last)):
        raise RequestError(f"{name}: the last message is empty: leave it out", param=name)
    return True


def parse_completion_request(body: Any, defaults: Mapping[str, float] = NO_DEFAULTS) -> CompletionRequest:
    """defaults: of SamplingParams, for what the request leaves out."""
    values = read_fields(body, COMPLETION)
    if "prompt" not in values:
        raise RequestError("prompt is missing", param="prompt")
    values.setdefault("max_tokens", DEFAULT_COMPLETION_TOKENS)
    best_of, n, num_prompts = _best_of(values), values.get("n", 1), len(values["prompt"])
    if (num := num_prompts * best_of) > MAX_SEQUENCES:
        raise RequestError(f"{num_prompts} prompts with {best_of} choices each are {num}; at most {MAX_SEQUENCES}", param="n")
    is_prompt_only = values["max_tokens"] == 0
    values["max_tokens"] = max(values["max_tokens"], 1)
    asked, echo = values.get("logprobs"), values.get("echo", False)
    if echo and asked is not None:
        values.setdefault("prompt_logprobs", asked)
    logprobs = 0 if asked is None and best_of > n else asked
    return CompletionRequest(
        **_common(defaults, values, logprobs),
        prompts=values["prompt"],
        echo=echo,
        logprobs=asked,
        best_of=best_of,
        is_prompt_only=is_prompt_only,
    )


def _best_of(values: Mapping[str, Any]) -> int:
    n = int(values.get("n", 1))
    best_of = int(values.get("best_of", n))
    if best_of < n:
        raise RequestError(f"best_of must be at least n, which is {n}, got {best_of}", param="best_of")
    if best_of > n and values.get("stream"):
        raise RequestError("best_of chooses among whole answers: it must be n where stream is true", param="best_of")
    return best_of


def _common(defaults: Mapping[str, float], values: Mapping[str, Any], logprobs: int | None) -> dict[str, Any]:
    if "stream_options" in values and not values.get("stream"):
        raise RequestError("stream_options needs stream: true", param="stream_options")
    params = {**defaults, **{name: values[name] for name in SAMPLING if name in values}}
    params["stop_token_ids"] = frozenset(params.get("stop_token_ids", ()))
    params["top_k"] = max(params.get("top_k", 0), 0)  # -1 is vLLM's word for off
    params["loras"] = values.get("lora")
    params["processed_logprobs"] = values.get("logprobs_mode") == PROCESSED
    return {
        "model": values.get("model"),
        "n": values.get("n", 1),
        "stream": values.get("stream", False),
        "include_usage": values.get("stream_options", False),
        "return_token_ids": values.get("return_token_ids", False),
        "stops": values.get("stop", ()),
        "params": SamplingParams(**params, logprobs=logprobs),
        "structured": structured.only_one(values),
        "context_overflow": overflow.policy_of(values),
        "warnings": [],
    }
