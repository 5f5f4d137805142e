"""Tools and reasoning on the wire, over a scripted token engine."""

from fanlight.engine.sampling_params import SamplingParams
from tests.api.fakes import make_face
from tests.api.test_handle import END, chat, joined

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
