"""Tools and reasoning on the wire, over a scripted token engine."""

import json
from typing import Any

import pytest

from fanlight.api import LoadedModel
from fanlight.engine.sampling_params import SamplingParams
from fanlight.errors import RequestError
from fanlight.grammar import Matcher
from tests.api.fakes import TEMPLATE, TOKENIZER, ids_of, make_face
from tests.api.test_handle import END, USER, chat, joined

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALLS = (
    'Let me see.\n<tool_call>\n{"name": "add", "arguments": {"a": 1, "ü": [2]}}\n</tool_call>'
    '\n<tool_call>{"name": "x"}</tool_call>'
)


def test_tool_calls() -> None:
    prompts: list[str] = []

    def answer(prompt: str, params: SamplingParams) -> str:
        prompts.append(prompt)
        return CALLS + END

    choice = chat(make_face(answer), tools=[TOOL])["choices"][0]
    assert '"name": "add"' in prompts[0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Let me see."
    calls = choice["message"]["tool_calls"]
    assert [c["function"] for c in calls] == [
        {"name": "add", "arguments": '{"a": 1, "ü": [2]}'},
        {"name": "x", "arguments": "{}"},
    ]
    assert all(c["type"] == "function" and c["id"].startswith("call_") for c in calls) and calls[0]["id"] != calls[1]["id"]

    chunks = chat(make_face(answer), tools=[TOOL], stream=True)
    assert joined(chunks) == "Let me see."
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    pieces = [d for c in chunks for d in c["choices"][0]["delta"].get("tool_calls", [])]
    assert [p["index"] for p in pieces] == sorted(p["index"] for p in pieces) and len(pieces) > 8  # as they come
    for index in (0, 1):
        mine = [p for p in pieces if p["index"] == index]
        assert mine[0]["id"] and mine[0]["type"] == "function" and not any("id" in p or "type" in p for p in mine[1:])
        assert mine[0]["function"]["name"] == calls[index]["function"]["name"]
        assert "".join(p["function"]["arguments"] for p in mine) == calls[index]["function"]["arguments"]

    plain = chat(make_face(answer), tools=[TOOL], tool_choice="none")["choices"][0]
    assert plain["message"]["content"] == CALLS and plain["finish_reason"] == "stop"
    assert "add" not in prompts[-1]


ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "required": ["a"],
            "additionalProperties": False,
        },
    },
}
NOW = {"type": "function", "function": {"name": "now"}}
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
CALL_NOW = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'


def grammar_of(**body: Any) -> Matcher | None:
    """What the request asks of the answer."""
    seen: list[SamplingParams] = []

    def answer(prompt: str, params: SamplingParams) -> str:
        seen.append(params)
        return "x" + END

    chat(make_face(answer, context_length=4096), **body)
    return None if seen[0].grammar is None else Matcher(seen[0].grammar)


def takes(body: dict[str, Any], text: str) -> bool:
    grammar = grammar_of(**body)
    return grammar is None or (grammar.accept(text.encode()) and grammar.is_complete)


NAMED = {"type": "function", "function": {"name": "now"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}


@pytest.mark.parametrize(
    ("body", "taken", "refused"),
    [
        ({"tools": [NOW]}, ["anything", CALL], []),
        ({"tools": [ADD, NOW], "tool_choice": "none"}, ["anything"], []),
        (
            {"tools": [ADD, NOW]},
            ["anything", CALL, f"Hm.\n{CALL}\n{CALL_NOW}"],
            [CALL.replace("1", '"1"'), CALL.replace("add", "x")],
        ),
        ({"tools": [ADD, NOW], "parallel_tool_calls": False}, ["anything", CALL], [f"{CALL}\n{CALL_NOW}"]),
        ({"tools": [ADD, NOW], "tool_choice": "required"}, [CALL, f"{CALL}\n{CALL_NOW}"], ["anything", f"Hm.\n{CALL}"]),
        ({"tools": [ADD, NOW], "tool_choice": NAMED}, [CALL_NOW], [CALL, f"{CALL_NOW}\n{CALL_NOW}"]),
        ({"tools": [ADD, NOW], "tool_choice": ALLOWED}, [CALL_NOW, f"{CALL_NOW}\n{CALL_NOW}"], [CALL]),
        ({"tools": [NOW], "response_format": {"type": "json_object"}}, ["{}", CALL_NOW], ["anything", "{} {}"]),
    ],
)
def test_what_a_request_asks_of_the_answer(body: dict[str, Any], taken: list[str], refused: list[str]) -> None:
    assert [takes(body, text) for text in taken + refused] == [True] * len(taken) + [False] * len(refused)


def test_a_strict_schema_that_cannot_be_enforced_is_refused_by_name() -> None:
    bad = {"type": "object", "properties": {"a": {"type": "string", "contentEncoding": "base64"}}, "required": ["a"]}
    function = {"name": "f", "parameters": {**bad, "unevaluatedItems": False, "$dynamicRef": "#x"}}
    with pytest.raises(RequestError) as caught:
        grammar_of(tools=[NOW, {"type": "function", "function": {**function, "strict": True}}])
    assert (caught.value.param or "").startswith("tools[1].function.parameters")
    loose = grammar_of(tools=[{"type": "function", "function": function}], tool_choice="required")
    assert loose is not None and loose.accept(b'<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>')


def test_at_most_one_call() -> None:
    face = make_face(f"{CALL}\n{CALL_NOW} and more" + END, context_length=4096)
    for stream in (False, True):
        answer = chat(face, tools=[ADD, NOW], parallel_tool_calls=False, stream=stream)
        if stream:
            calls = [d for c in answer for d in c["choices"][0]["delta"].get("tool_calls", [])]
            assert {d["index"] for d in calls} == {0} and joined(answer) == ""
            assert answer[-1]["choices"][0]["finish_reason"] == "tool_calls"
        else:
            choice = answer["choices"][0]
            assert [c["function"]["name"] for c in choice["message"]["tool_calls"]] == ["add"]
            assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")
    assert not any(not s.is_finished for s in face.engine.sequences)  # type: ignore[attr-defined]


def test_a_call_that_breaks_off_comes_back_as_text() -> None:
    text = 'So:\n<tool_call>\n{"name": "add", "arguments": {"a": oops}}\n</tool_call>'
    choice = chat(make_face(text + END), tools=[NOW])["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": text, "refusal": None}
    assert choice["finish_reason"] == "stop"
    chunks = chat(make_face(text + END), tools=[NOW], stream=True)
    assert joined(chunks) == "So:oops}}\n</tool_call>" and chunks[-1]["choices"][0]["finish_reason"] == "stop"


HISTORY = [
    *USER,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "name": "now", "content": [{"type": "text", "text": "noon"}]},
    {"role": "assistant", "content": "It is noon.", "tool_calls": [], "function_call": None, "refusal": None},
    {"role": "assistant", "content": "Really.", "tool_calls": None},
    {"role": "user", "content": "Thanks"},
]


def test_a_template_whose_calls_are_guessed_is_warned_of() -> None:
    words = ["tools: the model's chat template shows no known syntax of calls; they are read where they are JSON"]
    shows_none = "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}{{ m.content }}\n{% endfor %}"
    assert chat(make_face("x" + END, template=shows_none), tools=[NOW])["warnings"] == words
    assert "warnings" not in chat(make_face("x" + END, template=shows_none))
    for template in (shows_none + "{# <tool_call> #}", "{% for m in messages %}{{ m.content }}\n{% endfor %}"):
        assert "warnings" not in chat(make_face("x" + END, template=template), tools=[NOW])


def test_templates_that_know_no_tools_are_told_in_words() -> None:
    prompts: list[str] = []

    def answer(prompt: str, params: SamplingParams) -> str:
        prompts.append(prompt)
        return CALL_NOW + END

    plain = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    face = make_face(answer, template=plain, context_length=4096)
    message = chat(face, messages=HISTORY, tools=[NOW])["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["name"] == "now"
    system, _, called, result, *_ = prompts[0].split("<|im_start|>")[1:]
    assert system.startswith("system\n") and json.dumps(NOW["function"]) in system
    assert called == f"assistant\n{CALL_NOW}<|im_end|>\n" and "user\n<tool_response>\nnoon\n" in result


# --- reasoning -------------------------------------------------------------------------------------------------------
THINKS = TEMPLATE + "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
OPENS = TEMPLATE + "<think>\n"  # as DeepSeek R1's; the end is in the history's part of such templates
SWITCHLESS = "{# <think></think> #}" + TEMPLATE
THOUGHT = "<think>\nHm, 2 < 3.\nSo yes.\n</think>\n\nYes."


def reasoned(face: LoadedModel, **body: Any) -> tuple[str, str]:
    """Reasoning and content, the same as a whole and as a stream."""
    message = chat(face, **body)["choices"][0]["message"]
    chunks = chat(face, stream=True, **body)
    deltas = [c["delta"] for chunk in chunks for c in chunk["choices"]]
    assert "".join(d.get("reasoning_content", "") for d in deltas) == message.get("reasoning_content", "")
    assert joined(chunks) == message["content"]
    return message.get("reasoning_content", ""), message["content"]


@pytest.mark.parametrize(
    ("template", "answer", "reasoning", "content"),
    [
        (THINKS, THOUGHT, "Hm, 2 < 3.\nSo yes.", "Yes."),
        (OPENS + "{# </think> #}", THOUGHT.removeprefix("<think>\n"), "Hm, 2 < 3.\nSo yes.", "Yes."),
        (THINKS, "Yes, <think> is a tag.</think>", "", "Yes, <think> is a tag.</think>"),
        (THINKS, "<think>and on", "and on", ""),
        (TEMPLATE, THOUGHT, "", THOUGHT),
        ("{# [THINK][/THINK] #}" + TEMPLATE, "[THINK]a[/THINK]b", "a", "b"),
        ("{# </think><response> #}" + TEMPLATE, "<think>a</think><response>b</response>", "a", "b"),
        (
            "{# <|channel|><|message|> #}" + TEMPLATE,
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b",
            "a",
            "b",
        ),
    ],
)
def test_reasoning(template: str, answer: str, reasoning: str, content: str) -> None:
    assert reasoned(make_face(answer + END, template=template)) == (reasoning, content)


@pytest.mark.parametrize("template", [THINKS, OPENS + "{# </think> #}", SWITCHLESS])
@pytest.mark.parametrize(
    "body",
    [
        {"enable_thinking": False},
        {"extra_body": {"enable_thinking": False}},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"reasoning_effort": "none"},
        {"thinking_token_budget": 0},
    ],
)
def test_thinking_is_switched_off(template: str, body: dict[str, Any]) -> None:
    prompts: list[str] = []

    def answer(prompt: str, params: SamplingParams) -> str:
        prompts.append(prompt)
        return "Yes." + END

    assert reasoned(make_face(answer, template=template), **body) == ("", "Yes.")
    assert prompts[0].endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_effort_reaches_the_template() -> None:
    face = make_face(lambda prompt, params: prompt.split("\n")[0] + END, template="{{ reasoning_effort }}\n" + TEMPLATE)
    assert chat(face, reasoning_effort="low")["choices"][0]["message"]["content"] == "low"


@pytest.mark.parametrize("budget", [1, 12, 20, 400])
def test_a_budget_ends_the_thinking(budget: int) -> None:
    thought = "<think>\none two three four five six seven eight nine ten\n</think>\n\n"

    def answer(prompt: str, params: SamplingParams) -> str:
        said = prompt.rpartition("<|im_start|>assistant\n")[2]
        return ("Yes." if said else thought + "Long.") + END

    face = make_face(answer, template=THINKS)
    reasoning, content = reasoned(face, thinking_token_budget=budget)
    whole = "one two three four five six seven eight nine ten"
    assert (content == "Long." and reasoning == whole) if budget == 400 else (content == "Yes." and whole.startswith(reasoning))
    response = chat(face, thinking_token_budget=budget, return_token_ids=True)
    ids = response["choices"][0]["token_ids"]
    assert response["usage"]["completion_tokens"] == len(ids)
    written = TOKENIZER.decode(ids, skip_special_tokens=False)
    assert written == thought + "Long." + END if budget == 400 else written.endswith("\n</think>\n\nYes." + END)
    before = TOKENIZER.decode(ids[: max(budget, len(ids_of("<think>", False)))])
    assert written.startswith(before) and (thought.startswith(before) or budget == 400)
    short = chat(face, thinking_token_budget=12, max_tokens=14)
    assert (short["choices"][0]["finish_reason"], short["usage"]["completion_tokens"]) == ("length", 14)


def test_structure_holds_after_the_reasoning() -> None:
    body = {"response_format": {"type": "json_object"}}
    seen: list[SamplingParams] = []

    def answer(prompt: str, params: SamplingParams) -> str:
        seen.append(params)
        return "<think>\nSo.</think>\n\n{}" + END

    for template, text in ((THINKS, "<think>\nSo {.</think>\n\n{}"), (OPENS + "{# </think> #}", "So {.</think>{}")):
        chat(make_face(answer, template=template), **body)
        grammar = seen[-1].grammar
        assert grammar is not None
        walk = Matcher(grammar)
        assert walk.accept(text.encode()) and walk.is_complete and not walk.accept(b"x")
