"""What is refused, with which field named."""

from typing import Any, get_type_hints

import openai.types.chat
import pytest
from openai.types import completion_create_params as completion_params
from openai.types.chat import completion_create_params as chat_params

from fanlight.api.messages import ROLES
from fanlight.api.requests import parse_chat_request, parse_completion_request
from fanlight.errors import RequestError

USER = [{"role": "user", "content": "Hi"}]
F = {"type": "function", "function": {"name": "f"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:"}}

SOUND = {"type": "audio_url", "audio_url": {"url": "data:,"}}

REFUSED_CHATS: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": None}, "messages", "missing"),
    ({"messages": []}, "messages", "at least one"),
    ({"messages": "Hi"}, "messages", "a list"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "one of system"),
    ({"messages": [*USER, {"role": "user"}]}, "messages[1].content", "missing"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "a text or a list"),
    (
        {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
        "messages[0].content[0].input_audio",
        "base64 of a file",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "video_url"}]}]},
        "messages[0].content[0]",
        "input_audio or audio_url",
    ),
    ({"messages": [{"role": "system", "content": [SOUND]}]}, "messages[0].content[0]", "has no sounds"),
    ({"messages": [{"role": "system", "content": [IMAGE]}]}, "messages[0].content[0]", "has no pictures"),
    ({"messages": [{"role": "user", "content": [{**IMAGE, "x": 1}]}]}, "messages[0].content[0].x", "unknown field"),
    ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0]", "function.name"),
    ({"temperature": 2.1}, "temperature", "between 0 and 2"),
    ({"temperature": "1"}, "temperature", "a number"),
    ({"temperature": float("nan")}, "temperature", "a number"),
    ({"temperature": True}, "temperature", "a number"),
    ({"top_p": -0.1}, "top_p", "between 0 and 1"),
    ({"frequency_penalty": 3}, "frequency_penalty", "between -2 and 2"),
    ({"presence_penalty": -3}, "presence_penalty", "between -2 and 2"),
    ({"max_tokens": 0}, "max_tokens", "an integer"),
    ({"max_completion_tokens": 1.5}, "max_completion_tokens", "an integer"),
    ({"n": 0}, "n", "between 1 and 128"),
    ({"n": 129}, "n", "between 1 and 128"),
    ({"seed": 2**63}, "seed", "an integer"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "up to 4"),
    ({"stop": ""}, "stop", "none empty"),
    ({"stop": 3}, "stop", "a text"),
    ({"logit_bias": {"x": 1}}, "logit_bias", "token ids"),
    ({"logit_bias": {"5": 101}}, "logit_bias", "between -100 and 100"),
    ({"stream": 1}, "stream", "true or false"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "stream: true"),
    ({"stream": True, "stream_options": {"x": 1}}, "stream_options.x", "unknown field"),
    ({"top_k": -2}, "top_k", "an integer"),
    ({"min_p": 2}, "min_p", "between 0 and 1"),
    ({"repetition_penalty": 0}, "repetition_penalty", "a number"),
    ({"stop_token_ids": ["x"]}, "stop_token_ids", "token ids"),
    ({"ignore_eos": "yes"}, "ignore_eos", "true or false"),
    ({"response_format": {"type": "xml"}}, "response_format", "json_schema"),
    ({"logprobs": 3}, "logprobs", "true or false"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "between 0 and 20"),
    ({"top_logprobs": 2}, "top_logprobs", "logprobs: true"),
    ({"logprobs": False, "top_logprobs": 2}, "top_logprobs", "logprobs: true"),
    ({"prompt_logprobs": -1}, "prompt_logprobs", "between 0 and 20"),
    ({"store": True}, "store", "nothing is stored"),
    ({"metadata": "x"}, "metadata", "an object"),
    ({"user": 3}, "user", "a text"),
    ({"service_tier": "best"}, "service_tier", "one of auto"),
    ({"verbosity": "low"}, "verbosity", "say it in a message"),
    ({"modalities": ["text", "audio"]}, "modalities", "answers are text"),
    ({"audio": {"voice": "x"}}, "audio", "answers are text"),
    ({"web_search_options": {}}, "web_search_options", "offer it as a tool"),
    ({"moderation": {"model": "m"}}, "moderation", "no moderation"),
    ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation", "no padding"),
    ({"messages": [{**USER[0], "cache": 1}]}, "messages[0].cache", "unknown field"),
    ({"messages": [{**USER[0], "name": 3}]}, "messages[0].name", "a text"),
    ({"messages": [{**USER[0], "tool_call_id": "x"}]}, "messages[0].tool_call_id", "role 'user' has none"),
    ({"messages": [{"role": "assistant", "audio": {"id": "x"}}]}, "messages[0].audio", "audio is not supported"),
    ({"messages": [{"role": "assistant", "function_call": {"name": "f"}}]}, "messages[0].function_call", "use tool_calls"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "more": 1}]}]},
        "messages[0].content[0].more",
        "unknown field",
    ),
    ({"tools": [{"type": "function"}]}, "tools[0]", "a tool"),
    ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0]", "a tool"),
    ({"tools": [F, F]}, "tools[1].function.name", "two functions called 'f'"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name", "letters"),
    ({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}, "tools[0].function.parameters", "schema"),
    ({"tools": [{"type": "function", "function": {"name": "f", "strict": 1}}]}, "tools[0].function.strict", "true or false"),
    ({"tool_choice": "required"}, "tool_choice", "there are no tools"),
    ({"tools": [F], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice", "'g', and tools has 'f'"),
    ({"tools": [F], "tool_choice": "any"}, "tool_choice", "a function or allowed_tools"),
    ({"tools": [F], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice.allowed_tools", "a mode"),
    ({"functions": [{"name": "f"}]}, "functions", "use tools"),
    ({"function_call": "auto"}, "function_call", "use tools"),
    ({"parallel_tool_calls": 1}, "parallel_tool_calls", "true or false"),
    ({"reasoning_effort": "huge"}, "reasoning_effort", "one of none"),
    ({"enable_thinking": "no"}, "enable_thinking", "true or false"),
    ({"extra_body": {"top_k": 1}}, "extra_body.top_k", "known: enable_thinking"),
    ({"thinking_token_budget": -1}, "thinking_token_budget", "an integer"),
    ({"chat_template_kwargs": {"messages": []}}, "chat_template_kwargs.messages", "cannot set"),
    ({"prompt": "x"}, "prompt", "unknown field"),
    ({"temprature": 1}, "temprature", "unknown field.*temperature"),
]


@pytest.mark.parametrize(("change", "param", "match"), REFUSED_CHATS)
def test_refused_chats(change: dict[str, Any], param: str, match: str) -> None:
    with pytest.raises(RequestError, match=match) as caught:
        parse_chat_request({"messages": USER, **change})
    assert caught.value.param == param


REFUSED_COMPLETIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"prompt": None}, "prompt", "missing"),
    ({"prompt": 5}, "prompt", "a text, texts, token ids"),
    ({"prompt": [1, "x"]}, "prompt", "token ids"),
    ({"prompt": ["x", 1]}, "prompt", "a text, texts"),
    ({"prompt": [[1], [-2]]}, "prompt", "token ids"),
    ({"prompt": ["x"] * 257}, "prompt", "at most 256"),
    ({"suffix": "x"}, "suffix", "must be ''"),
    ({"best_of": 2, "n": 3}, "best_of", "at least n, which is 3"),
    ({"best_of": 2, "stream": True}, "best_of", "whole answers"),
    ({"best_of": 2, "prompt": ["x"] * 200}, "n", "are 400; at most 256"),
    ({"logprobs": True}, "logprobs", "between 0 and 20"),
    ({"logprobs": 21}, "logprobs", "between 0 and 20"),
    ({"max_tokens": -1}, "max_tokens", "an integer"),
    ({"messages": USER}, "messages", "unknown field"),
]


@pytest.mark.parametrize(("change", "param", "match"), REFUSED_COMPLETIONS)
def test_refused_completions(change: dict[str, Any], param: str, match: str) -> None:
    with pytest.raises(RequestError, match=match) as caught:
        parse_completion_request({"prompt": "x", **change})
    assert caught.value.param == param


@pytest.mark.parametrize("body", [None, [], "x", 3])
def test_a_body_is_an_object(body: Any) -> None:
    with pytest.raises(RequestError, match="JSON object"):
        parse_chat_request(body)


def test_what_a_request_becomes() -> None:
    chat = parse_chat_request(
        {"messages": USER, "max_tokens": 5, "max_completion_tokens": 7, "stop": "x", "top_k": -1, "seed": None, "user": "me"}
        | {"logit_bias": {"5": -100}, "tools": [], "tool_choice": "none", "logprobs": False, "top_logprobs": 0, "n": 2}
    )
    assert (chat.params.max_tokens, chat.params.top_k, chat.params.seed, chat.params.temperature) == (7, 0, None, 1.0)
    assert (chat.stops, chat.params.logit_bias, chat.tooling, chat.n) == (("x",), {5: -100.0}, None, 2)
    assert parse_completion_request({"prompt": "x"}).params.max_tokens == 16
    forms: list[tuple[Any, list[Any]]] = [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2]], [[1], [2]])]
    for prompt, prompts in forms:
        assert parse_completion_request({"prompt": prompt}).prompts == prompts


ENDPOINTS: list[tuple[Any, Any, dict[str, Any]]] = [
    (chat_params, parse_chat_request, {"messages": USER}),
    (completion_params, parse_completion_request, {"prompt": "x"}),
]


@pytest.mark.parametrize(("module", "parse", "least"), ENDPOINTS, ids=["chat", "completions"])
def test_every_field_of_openais_reference_is_known(module: Any, parse: Any, least: dict[str, Any]) -> None:
    """Null is as good as absent; a wrong type is an error that names the field."""
    fields = {
        name
        for kind in (module.CompletionCreateParamsNonStreaming, module.CompletionCreateParamsStreaming)
        for name in get_type_hints(kind)
    }
    assert len(fields) > 15
    assert parse(dict.fromkeys(fields) | least) == parse(least)
    for name in fields:
        with pytest.raises(RequestError) as caught:
            parse(least | {name: Unheard()})
        assert (caught.value.param or "").split("[")[0].split(".")[0] == name
    with pytest.raises(RequestError, match="unknown field 'unheard'"):
        parse(least | {"unheard": None})


class Unheard:
    """Of no type that JSON has."""


def test_fields_that_change_nothing_are_taken() -> None:
    more = {"service_tier": "auto", "safety_identifier": "u", "prompt_cache_key": "k", "prompt_cache_retention": "24h"}
    more |= {"user": "u", "modalities": ["text"], "verbosity": "medium", "store": False}
    sent: dict[str, Any] = more | {"metadata": {"a": "b"}, "prediction": {"type": "content", "content": "x"}}
    assert parse_chat_request({"messages": USER, **sent}) == parse_chat_request({"messages": USER})


MESSAGE_PARAMS = {
    "system": openai.types.chat.ChatCompletionSystemMessageParam,
    "developer": openai.types.chat.ChatCompletionDeveloperMessageParam,
    "user": openai.types.chat.ChatCompletionUserMessageParam,
    "assistant": openai.types.chat.ChatCompletionAssistantMessageParam,
    "tool": openai.types.chat.ChatCompletionToolMessageParam,
}


@pytest.mark.parametrize("role", MESSAGE_PARAMS)
def test_every_field_of_openais_messages_is_known(role: str) -> None:
    least = {"role": role, "content": "x"}
    assert set(MESSAGE_PARAMS) == set(ROLES)
    for name in get_type_hints(MESSAGE_PARAMS[role]).keys() - least.keys():
        assert parse_chat_request({"messages": [least | {name: None}]}).messages == [least]
        with pytest.raises(RequestError, match=rf"messages\[0\]\.{name}"):
            parse_chat_request({"messages": [least | {name: Unheard()}]})


def test_messages_as_templates_read_them() -> None:
    """What an answer of the official client looks like when it is sent back; refusals, which are text; names."""
    sent = {"role": "assistant", "content": "x", "refusal": None, "audio": None, "function_call": None, "tool_calls": None}
    parts = [{"type": "refusal", "refusal": "no"}, {"type": "text", "text": "x"}]
    messages = [sent | {"annotations": []}, {"role": "assistant", "refusal": "no"}, {"role": "assistant", "content": parts}]
    found = parse_chat_request({"messages": [*messages, USER[0] | {"name": "me"}]}).messages
    assert found[:2] == [{"role": "assistant", "content": "x"}, {"role": "assistant", "content": "no"}]
    assert found[2]["content"] == [{"type": "text", "text": "no"}, {"type": "text", "text": "x"}]
    assert found[3] == USER[0] | {"name": "me"}


def test_log_probabilities_as_they_are_asked_for() -> None:
    def asked(**more: Any) -> tuple[int | None, int | None]:
        params = parse_completion_request({"prompt": "x", **more}).params
        return params.logprobs, params.prompt_logprobs

    assert asked() == (None, None) and asked(logprobs=0) == (0, None) and asked(logprobs=3, echo=True) == (3, 3)
    assert asked(best_of=2) == (0, None) and asked(prompt_logprobs=2) == (None, 2)
    whole = {"messages": USER, "logprobs": True}
    assert parse_chat_request(whole).params.logprobs == 0
    assert parse_chat_request(whole | {"top_logprobs": 5}).params.logprobs == 5
    assert parse_chat_request({"messages": USER, "logprobs": False, "top_logprobs": 0}).params.logprobs is None
