"""/v1/responses by OpenAI's client, whose types parse every answer and event, and by the Agents SDK where it is there."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseOutputMessage, ResponseReasoningItem
from openai.types.responses import ResponseStreamEvent as Event
from pydantic import BaseModel, TypeAdapter

from fanlight.engine.sampling_params import SamplingParams
from tests.api.fakes import TEMPLATE, make_face
from tests.api.test_handle import END
from tests.api.test_server import served
from tests.api.test_tools import CALL_NOW, THINKS

TOOL: Any = {"type": "function", "name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}}
HISTORY = THINKS.replace(
    "{{ m.content }}", "{{ m.content }}{% for c in m.tool_calls or [] %}[{{ c.function.name }}]{% endfor %}"
)


def answer(prompt: str, params: SamplingParams) -> str:
    """Calls the function once, then says what came; JSON where it has to be."""
    if "noon" in prompt:
        return "<think>\nIt came.</think>It is noon." + END
    if '"now"' in prompt:
        return f"<think>\nI ask.</think>\nI look.\n{CALL_NOW}" + END
    return ('{"a":1}' if params.grammar is not None else f"You said {prompt.count('user')}.") + END


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with served(make_face(answer, template=HISTORY, context_length=2048)) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, _strict_response_validation=True) as made:
            yield made


def dumped(response: Response) -> dict[str, Any]:
    return response.model_dump(exclude={"id", "created_at"})


def test_text(client: openai.OpenAI) -> None:
    response = client.responses.create(model="scripted", input="Hi", instructions="Be brief.", max_output_tokens=100)
    assert (response.output_text, response.status, response.error) == ("You said 1.", "completed", None)
    assert response.usage is not None and response.usage.total_tokens > response.usage.output_tokens > 0
    assert response.instructions == "Be brief." and response.max_output_tokens == 100
    cut = client.responses.create(model="scripted", input="Hi", max_output_tokens=1)
    assert (cut.status, cut.incomplete_details and cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")


ASK: Any = [{"role": "user", "content": [{"type": "input_text", "text": "What time?"}]}]


def test_a_function_and_its_result(client: openai.OpenAI) -> None:
    response = client.responses.create(model="scripted", input=ASK, tools=[TOOL], parallel_tool_calls=False)
    thought, said, called = response.output
    assert isinstance(thought, ResponseReasoningItem) and thought.content and thought.content[0].text == "I ask."
    assert isinstance(said, ResponseOutputMessage) and response.output_text == "I look."
    assert isinstance(called, ResponseFunctionToolCall) and (called.name, called.arguments) == ("now", "{}")
    assert response.usage is not None and response.usage.output_tokens_details.reasoning_tokens > 0
    result: Any = {"type": "function_call_output", "call_id": called.call_id, "output": "noon"}
    more: Any = [*ASK, *[item.model_dump() for item in response.output], result]
    again = client.responses.create(model="scripted", input=more, tools=[TOOL])
    assert again.output_text == "It is noon."


@pytest.mark.parametrize("tools", [[], [TOOL]])
def test_events_are_the_response(client: openai.OpenAI, tools: Any) -> None:
    """Each parses as one of OpenAI's, is numbered, and together they say what the response at the end does."""
    whole = client.responses.create(model="scripted", input=ASK, tools=tools)
    events = list(client.responses.create(model="scripted", input=ASK, tools=tools, stream=True))
    for event in events:
        TypeAdapter(Event).validate_python(event.model_dump(), strict=False)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1].type == "response.completed"
    strip = lambda items: [{k: v for k, v in item.model_dump().items() if k not in ("id", "call_id")} for item in items]  # noqa: E731
    assert strip(events[-1].response.output) == strip(whole.output)
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert strip(done) == strip(whole.output)
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert said == whole.output_text
    arguments = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    assert arguments == ("{}" if tools else "")


def test_the_clients_accumulator(client: openai.OpenAI) -> None:
    with client.responses.stream(model="scripted", input=ASK, tools=[TOOL]) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert "response.reasoning_text.delta" in kinds and final.output_text == "I look."


class A(BaseModel):
    a: int


def test_a_schema(client: openai.OpenAI) -> None:
    parsed = client.responses.parse(model="scripted", input="Hi", text_format=A)
    assert parsed.output_parsed == A(a=1)


@pytest.mark.parametrize(
    ("change", "param", "match"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "not kept"),
        ({"background": True}, "background", "waits"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]", "OpenAI's own"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type", "function_call"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]", "data: URL"),
        ({"input": [{"type": {}, "role": "user", "content": ""}]}, "input[0].type", "function_call"),
        ({"input": [{"type": "reasoning", "content": 5}]}, "input[0].content", "list of parts"),
        ({"input": [{"type": "reasoning", "content": [{"text": 5}]}]}, "input[0].content[0].text", "a text"),
        ({"input": []}, "input", "at least one"),
        (
            {"text": {"format": {"type": "json_schema", "name": "x", "schema": {"$ref": "http://x/"}}}},
            "text.format.schema",
            "http",
        ),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort", "one of"),
        ({"extra_body": {"modalities": 1}}, "modalities", "unknown field"),
    ],
)
def test_refused_by_name(client: openai.OpenAI, change: dict[str, Any], param: str, match: str) -> None:
    with pytest.raises((openai.BadRequestError, openai.NotFoundError), match=match) as caught:
        client.responses.create(**{"model": "scripted", "input": "Hi", **change})
    assert (caught.value.param or "").startswith(param)


def test_agents_sdk() -> None:
    """An agent that calls a function and says what came, by OpenAI's own package."""
    agents = pytest.importorskip("agents")
    called: list[str] = []

    def now() -> str:
        """The time."""
        called.append("now")
        return "noon"

    async def run(url: str) -> Any:
        agents.set_tracing_disabled(True)
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
            model = agents.OpenAIResponsesModel(model="scripted", openai_client=made)
            agent = agents.Agent(name="Clock", instructions="Tell the time.", model=model, tools=[agents.function_tool(now)])
            whole = await agents.Runner.run(agent, "What time is it?")
            streamed = agents.Runner.run_streamed(agent, "What time is it?")
            async for _ in streamed.stream_events():
                pass
            return whole.final_output, streamed.final_output

    with served(make_face(answer, template=HISTORY, context_length=4096)) as url:
        assert asyncio.run(run(url)) == ("It is noon.", "It is noon.")
    assert called == ["now", "now"]


def test_without_reasoning_there_is_no_item() -> None:
    with served(make_face("Hi" + END, template=TEMPLATE)) as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
            response = client.responses.create(model="scripted", input="Hi")
    assert [item.type for item in response.output] == ["message"] and json.dumps(dumped(response))
