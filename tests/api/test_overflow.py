"""Conversations that are longer than the context: an error unless turns may be dropped, and then whole ones, oldest first."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight import driver
from fanlight.api.overflow import num_turns, without_oldest
from fanlight.api.routes import handle
from fanlight.engine.sampling_params import SamplingParams
from fanlight.errors import ContextOverflow, RequestError
from tests.api.fakes import make_face

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


CONVERSATION = [
    {"role": "system", "content": "SYSTEM"},
    {"role": "assistant", "content": "greeting"},
    user("first " * 5),
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c", "content": "result of the first"},
    {"role": "assistant", "content": "answer to the first"},
    user("second " * 5),
    {"role": "assistant", "content": "answer to the second"},
    {"role": "system", "content": "LATER"},
    user("third"),
]


def asked(context_length: int, messages: list[dict[str, Any]] = CONVERSATION, **body: Any) -> str:
    """The prompt that the model got."""
    prompts: list[str] = []

    def answer(prompt: str, params: SamplingParams) -> str:
        prompts.append(prompt)
        return "Yes<|im_end|>"

    face = make_face(answer, context_length=context_length)
    driver.run(handle(face, "/v1/chat/completions", {"messages": messages, "max_tokens": 4, **body}))
    return prompts[0]


def length(messages: list[dict[str, Any]]) -> int:
    face = make_face("Yes<|im_end|>", context_length=10_000)
    answer = driver.run(handle(face, "/v1/chat/completions", {"messages": messages, "max_tokens": 4}))
    return answer["usage"]["prompt_tokens"]


def test_an_error_unless_asked_otherwise() -> None:
    whole = length(CONVERSATION)
    assert "first" in asked(whole + 4, truncation="auto")
    for words in ({}, {"truncation": "disabled"}, {"context_overflow": "error"}):
        with pytest.raises(ContextOverflow) as refused:
            asked(whole - 1, **words)
        assert refused.value.param == "messages"


@pytest.mark.parametrize("words", [{"truncation": "auto"}, {"context_overflow": "drop_oldest"}])
def test_as_few_turns_as_may_be_are_dropped_and_the_answer_has_room(words: dict[str, str]) -> None:
    without_first = CONVERSATION[:1] + CONVERSATION[6:]
    least = length(CONVERSATION[:1] + CONVERSATION[8:])
    for context in range(length(without_first) + 4, length(CONVERSATION) + 4):
        prompt = asked(context, **words)
        assert "SYSTEM" in prompt and "LATER" in prompt and "second" in prompt and "third" in prompt
        assert "first" not in prompt and "greeting" not in prompt and "result" not in prompt
    prompt = asked(least + 4, **words)
    assert "SYSTEM" in prompt and "LATER" in prompt and "third" in prompt and "second" not in prompt
    with pytest.raises(ContextOverflow):
        asked(least + 3, **words)


def test_one_turn_is_never_cut() -> None:
    for messages in ([user("long " * 50)], [{"role": "system", "content": "long " * 50}, user("short")], [CONVERSATION[0]]):
        with pytest.raises(ContextOverflow):
            asked(20, messages, truncation="auto")


def test_what_is_not_done_is_refused_by_name() -> None:
    for field, value, words in (
        ("context_overflow", "drop", "error"),
        ("truncation", "on", "auto"),
    ):
        with pytest.raises(RequestError, match=words) as refused:
            asked(1000, **{field: value})
        assert refused.value.param == field
    with pytest.raises(RequestError, match="contradict"):
        asked(1000, truncation="auto", context_overflow="error")


def test_as_the_model_was_loaded() -> None:
    face = make_face("Yes<|im_end|>", context_length=length(CONVERSATION) - 1)
    face.context_overflow = "drop_oldest"
    driver.run(handle(face, "/v1/chat/completions", {"messages": CONVERSATION, "max_tokens": 4}))
    with pytest.raises(ContextOverflow):
        driver.run(handle(face, "/v1/chat/completions", {"messages": CONVERSATION, "truncation": "disabled"}))


roles = st.sampled_from(["system", "user", "assistant", "tool"])


@given(st.lists(roles, max_size=30), st.integers(0, 10))
def test_what_is_left_is_the_end_and_what_the_system_says(names: list[str], num: int) -> None:
    messages = [{"role": role, "content": str(i)} for i, role in enumerate(names)]
    left = without_oldest(messages, num)
    rest = [m for m in left if m["role"] != "system"]
    assert [m for m in messages if m["role"] == "system"] == [m for m in left if m["role"] == "system"]
    assert left == sorted(left, key=messages.index)
    assert num_turns(left) == max(0, num_turns(messages) - num)
    if num:
        others = [m for m in messages if m["role"] != "system"]
        assert rest == others[len(others) - len(rest) :] and (not rest or rest[0]["role"] == "user")
