"""The whole API in a page: what `engine.fetch` answers is what the native engine answers to the same request of the same model,
whose weights are noise; the official client reads it; streams say what whole answers do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import fanlight
from fanlight import driver
from fanlight.api import handle
from fanlight.api.routes import error_body
from fanlight.errors import FanlightError
from tests.api.test_tools import NOW
from tests.cli.tiny import write_model
from tests.web.browser import Served, serve

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = (
    "{# <tool_call> #}{% if tools %}<|im_start|>tools\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n"
    "{% elif thinks %}<think>\n{% endif %}{% endif %}"
)
OPTIONS: dict[str, Any] = {"name": "model", "context_length": 512, "activations": "f32", "kv_dtype": "f32"}
USER = [{"role": "user", "content": "Hello, who are you?"}]
COLOUR = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}, "dark": {"type": "boolean"}}}
STRICT = COLOUR | {"required": ["colour", "dark"], "additionalProperties": False}
PAINT = {"type": "function", "function": {"name": "paint", "strict": True, "parameters": STRICT}}
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 8}
CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
CALL = {"messages": USER, "tools": [PAINT, NOW], "tool_choice": {"type": "function", "function": {"name": "paint"}}}
CALL |= {"temperature": 0, "enable_thinking": False, "max_tokens": 100}
THINK = {
    "messages": USER,
    "temperature": 0,
    "max_tokens": 12,
    "thinking_token_budget": 4,
    "chat_template_kwargs": {"thinks": True},
}
SPOKEN = {"type": "function", "name": "paint", "parameters": STRICT, "strict": True}
ANSWERED = {"stream": False, "options": {"temperature": 0, "num_predict": 6}}

REQUESTS: dict[str, tuple[str, Any]] = {
    "logprobs of a chat": (CHAT, {"messages": USER, "logprobs": True, "top_logprobs": 4, **GREEDY}),
    "logprobs of the prompt of a chat": (CHAT, {"messages": USER, "prompt_logprobs": 2, **GREEDY, "max_tokens": 1}),
    "logprobs and echo": (COMPLETIONS, {"prompt": "The quick brown fox", "echo": True, "logprobs": 3, **GREEDY}),
    "logprobs of a prompt alone": (COMPLETIONS, {"prompt": "Hello world", "echo": True, "logprobs": 0, "max_tokens": 0}),
    "two choices": (COMPLETIONS, {"prompt": "Hello", "n": 2, "seed": 5, "temperature": 1, "max_tokens": 6, "logprobs": 0}),
    "the best of three": (COMPLETIONS, {"prompt": "Hello", "n": 2, "best_of": 3, "seed": 5, "max_tokens": 6, "logprobs": 0}),
    "a call": (CHAT, CALL),
    "some call": (CHAT, {**CALL, "tools": [PAINT], "tool_choice": "required", "parallel_tool_calls": False}),
    "reasoning": (CHAT, THINK),
    "a response": (RESPONSES, {"input": "Hello", "instructions": "Be brief.", "temperature": 0, "max_output_tokens": 6}),
    "a response that calls": (
        RESPONSES,
        {"input": "Hello", "tools": [SPOKEN], "tool_choice": "required", "parallel_tool_calls": False, "temperature": 0},
    ),
    "tokens": ("/tokenize", {"prompt": "Hello <|im_end|> wörld", "return_token_strs": True}),
    "tokens of a chat": ("/tokenize", {"messages": USER, "tools": [NOW]}),
    "pieces": ("/tokenize", {"content": "Grüße 🙂", "with_pieces": True}),
    "text of tokens": ("/detokenize", {"tokens": [65, 66, 300, 2]}),
    "a template": ("/apply-template", {"messages": USER, "tools": [NOW], "enable_thinking": False}),
    "Ollama's chat": (
        "/api/chat",
        {"messages": USER, "format": STRICT, **ANSWERED, "options": {"temperature": 0, "num_predict": 40}},
    ),
    "Ollama's generate": ("/api/generate", {"prompt": "Hello", **ANSWERED}),
    "Ollama's raw generate": ("/api/generate", {"prompt": "Hello", "raw": True, **ANSWERED}),
    "Ollama's models": ("/api/tags", None),
    "Ollama's running models": ("/api/ps", None),
    "Ollama's version": ("/api/version", None),
    "one of Ollama's models": ("/api/show", {"model": "model"}),
    "models": ("/v1/models", None),
    "a foreign model": (COMPLETIONS, {"model": "gpt-4o", "prompt": "Hello", **GREEDY, "max_tokens": 1}),
    "a duration that is none": ("/api/generate", {"prompt": "Hello", "keep_alive": "a while"}),
    "Ollama's vectors of a model that has none": ("/api/embed", {"input": "Hello"}),
    "vectors of a model that has none": ("/v1/embeddings", {"input": "Hello"}),
    "a talk that outlives its context": (
        CHAT,
        {"messages": [*USER, {"role": "user", "content": "x " * 600}], "context_overflow": "attention_sinks", **GREEDY},
    ),
    "an answer that outlives its context": (
        COMPLETIONS,
        {
            "prompt": [i * 7 % 250 for i in range(508)],
            "context_overflow": "attention_sinks",
            **GREEDY,
            "return_token_ids": True,
        },
    ),
    "an unknown field": (CHAT, {"messages": USER, "nonsense": 1}),
    "an unknown field of a completion": (COMPLETIONS, {"prompt": "Hello", "nonsense": 1}),
    "an unknown field of a response": (RESPONSES, {"input": "Hello", "nonsense": 1}),
    "an unknown field of Ollama's": ("/api/chat", {"messages": USER, "nonsense": 1}),
    "an unknown field of tokens": ("/tokenize", {"prompt": "Hello", "nonsense": 1}),
    "a wrong value": (CHAT, {"messages": USER, "temperature": 9}),
    "a conversation that is too long": (CHAT, {"messages": [{"role": "user", "content": "x " * 600}]}),
    "no such path": ("/v1/nothing", {}),
}
PASSING = {"id", "call_id", "item_id", "created", "created_at", "modified_at", "timings", "extra", "system_fingerprint"}
PASSING |= {"total_duration", "prompt_eval_duration", "eval_duration"}

FETCH = """async (requests) => {
  const answers = {};
  for (const [name, [path, body]] of Object.entries(requests)) {
    const how = body ? { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } } : {};
    const response = await engine.fetch(`https://fanlight.invalid${path}`, how);
    answers[name] = [response.status, response.headers.get("Content-Type"), await response.text()];
  }
  return answers;
}"""
LOAD = """async (options) => {
  globalThis.fanlight = await import("/fanlight/index.js");
  globalThis.engine = await fanlight.load("/model.gguf", { ...options, store: false });
}"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = {"llama.context_length": 512, "tokenizer.chat_template": TEMPLATE}
    return write_model(tmp_path_factory.mktemp("surface") / "model.gguf", **changes)


@pytest.fixture(scope="module")
def page(chromium: Any, assets: Path, model: Path) -> Iterator[Any]:
    """Where `engine` is loaded, for all tests."""
    openai = ROOT / "web" / "node_modules" / "openai"
    served = Served({"/pages/": Path(__file__).parent / "pages", "/openai/": openai, "/": assets})
    served.files["/model.gguf"] = model.read_bytes()
    with serve(served) as url:
        context = chromium.new_context()
        opened = context.new_page()
        opened.goto(f"{url}/pages/blank.html")
        opened.evaluate(LOAD, {"contextLength": 512, "activations": "f32", "kvDtype": "f32"})
        yield opened
        opened.evaluate("() => engine.close()")
        context.close()


@pytest.fixture(scope="module")
def in_page(page: Any) -> dict[str, Any]:
    return page.evaluate(FETCH, REQUESTS)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def native(model: Path) -> Iterator[Any]:
    with fanlight.load(model, **OPTIONS) as engine:
        yield engine


def natively(engine: Any, path: str, body: Any) -> tuple[int, Any]:
    try:
        return 200, driver.run(handle(engine.loaded, path, body))
    except FanlightError as error:
        return error_body(error)


def lasting(value: Any) -> Any:
    """Without what no two answers have in common."""
    if isinstance(value, dict):
        return {key: lasting(item) for key, item in value.items() if key not in PASSING}
    return [lasting(item) for item in value] if isinstance(value, list) else value


def assert_same(one: Any, other: Any, where: str = "") -> None:
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list) and isinstance(other, list):
        assert len(one) == len(other), where
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}[{i}]")
    elif isinstance(one, float) and isinstance(other, float):
        assert one == pytest.approx(other, abs=2e-3), where
    else:
        assert one == other, where


@pytest.mark.parametrize("name", REQUESTS)
def test_the_page_answers_as_the_native_engine(name: str, in_page: Any, native: Any) -> None:
    path, body = REQUESTS[name]
    status, kind, text = in_page[name]
    want_status, want = natively(native, path, body)
    assert (status, kind) == (want_status, "application/json")
    assert_same(lasting(json.loads(text)), lasting(json.loads(json.dumps(want))))


def test_answers_are_what_was_asked_for(in_page: dict[str, Any]) -> None:
    """What equality with the native engine does not show: that these requests have what they are here for."""
    answers = {name: json.loads(text) for name, (_, _, text) in in_page.items()}
    for name in ("a call", "some call"):
        (called,) = answers[name]["choices"][0]["message"]["tool_calls"]
        assert called["function"]["name"] == "paint" and answers[name]["choices"][0]["finish_reason"] == "tool_calls"
        jsonschema.validate(json.loads(called["function"]["arguments"]), STRICT)
    assert answers["reasoning"]["choices"][0]["message"]["reasoning_content"]
    assert answers["reasoning"]["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert len(answers["logprobs of a chat"]["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 4
    assert len(answers["logprobs of the prompt of a chat"]["prompt_logprobs"]) > 8
    assert answers["logprobs and echo"]["choices"][0]["text"].startswith("The quick brown fox")
    assert len(answers["the best of three"]["choices"]) == len(answers["two choices"]["choices"]) == 2
    assert answers["a response that calls"]["output"][-1]["name"] == "paint"
    statuses = {name: status for name, (status, _, _) in in_page.items() if status != 200}
    refused = [n for n in REQUESTS if n.startswith("an unknown field") or n.endswith("of a model that has none")]
    refused += ["a duration that is none", "a wrong value", "a conversation that is too long"]
    assert len(refused) == 10 and statuses == {**dict.fromkeys(refused, 400), "no such path": 404}


# --- streams ---------------------------------------------------------------------------------------------------------
STREAMED = ("logprobs of a chat", "two choices", "a call", "some call", "reasoning", "a response", "a response that calls")
STREAMED += ("Ollama's chat", "Ollama's generate", "Ollama's raw generate")


@pytest.fixture(scope="module")
def streams(page: Any) -> dict[str, Any]:
    return page.evaluate(
        FETCH, {name: [path, {**body, "stream": True}] for name, (path, body) in REQUESTS.items() if name in STREAMED}
    )  # type: ignore[no-any-return]


def events_of(kind: str, text: str) -> list[Any]:
    if kind == "application/x-ndjson":
        return [json.loads(line) for line in text.splitlines()]
    assert kind == "text/event-stream" and text.endswith("data: [DONE]\n\n")
    return [json.loads(event.removeprefix("data: ")) for event in text.split("\n\n")[:-2]]


def put_together(chunks: list[Any]) -> list[dict[str, Any]]:
    """Text, reasoning, calls, log-probabilities and end of each choice."""
    found: dict[int, dict[str, Any]] = {}
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        made = found.setdefault(choice["index"], {"text": "", "reasoning": "", "calls": {}, "logprobs": [], "end": None})
        delta = choice.get("delta", choice)
        made["text"] += delta.get("content", delta.get("text")) or ""
        made["reasoning"] += delta.get("reasoning_content") or ""
        for call in delta.get("tool_calls") or ():
            name, arguments = made["calls"].setdefault(call["index"], (call["function"].get("name"), ""))
            made["calls"][call["index"]] = name, arguments + call["function"].get("arguments", "")
        logprobs = choice.get("logprobs") or {}
        made["logprobs"] += [t["logprob"] for t in logprobs.get("content") or ()] or logprobs.get("token_logprobs") or []
        assert made["end"] is None
        made["end"] = choice["finish_reason"]
    return [found[index] for index in sorted(found)]


def as_chunk(answer: Any) -> dict[str, Any]:
    """A whole answer as one chunk."""
    choices = []
    for choice in answer["choices"]:
        message = choice.get("message", choice)
        calls = [{**call, "index": i} for i, call in enumerate(message.get("tool_calls") or ())]
        choices.append({**choice, "delta": {**message, "tool_calls": calls}})
    return {"choices": choices}


@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_says_what_the_whole_answer_does(name: str, in_page: Any, streams: Any) -> None:
    path, whole = REQUESTS[name][0], json.loads(in_page[name][2])
    status, kind, text = streams[name]
    events = events_of(kind, text)
    assert status == 200 and len(events) > 2
    if path == RESPONSES:
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert [event["type"] for event in (events[0], events[-1])] == [
            "response.created",
            "response.completed" if whole["status"] == "completed" else "response.incomplete",
        ]
        assert_same(lasting(events[-1]["response"]), lasting(whole))
        said = "".join(
            event["delta"] for event in events if event["type"].endswith("arguments.delta" if "calls" in name else "text.delta")
        )
        assert said == (whole["output"][-1]["arguments"] if "calls" in name else whole["output"][-1]["content"][0]["text"])
    elif path.startswith("/api"):
        parts = [event["message"]["content"] if "message" in event else event["response"] for event in events]
        assert "".join(parts) == (whole["message"]["content"] if "message" in whole else whole["response"])
        assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]
        assert events[-1]["done_reason"] == whole["done_reason"]
    else:
        assert_same(put_together(events), put_together([as_chunk(whole)]))
        deltas = [
            call for event in events for choice in event["choices"] for call in choice.get("delta", {}).get("tool_calls", ())
        ]
        assert not deltas or (
            len(deltas) > 3
            and [("id" in d, "name" in d["function"]) for d in deltas] == [(True, True)] + [(False, False)] * (len(deltas) - 1)
        )


# --- the official client ---------------------------------------------------------------------------------------------
CLIENT = """async ([body, call]) => {
  const { default: OpenAI } = await import("/openai/index.mjs");
  const client = new OpenAI({
    fetch: engine.fetch, apiKey: "-", baseURL: "http://fanlight.invalid/v1", dangerouslyAllowBrowser: true, maxRetries: 0,
  });
  const out = { text: "" };
  const chunks = await client.chat.completions.create({ ...body, stream: true });
  for await (const chunk of chunks) out.text += chunk.choices[0].delta.content ?? "";
  out.whole = (await client.chat.completions.create(body)).choices[0].message.content;
  const runner = client.chat.completions.stream(call);
  out.call = (await runner.finalChatCompletion()).choices[0].message.tool_calls[0].function;
  const ask = { model: "model", input: "Hello", temperature: 0, max_output_tokens: 6 };
  const response = await client.responses.create(ask);
  out.response = response.output_text;
  const events = await client.responses.create({ ...ask, stream: true });
  out.streamed = "";
  for await (const event of events) if (event.type === "response.output_text.delta") out.streamed += event.delta;
  const refused = (error) => [error.status, error instanceof OpenAI.BadRequestError];
  out.refused = await client.embeddings.create({ model: "model", input: "Hello" }).catch(refused);
  out.own = (await engine.responses.create(ask)).output[0].content[0].text;
  out.owned = "";
  for await (const event of await engine.responses.create({ ...ask, stream: true })) out.owned += event.delta?.concat("") ?? "";
  return out;
}"""


def test_the_official_client(page: Any, in_page: Any) -> None:
    body = {"model": "model", "messages": USER, **GREEDY}
    out = page.evaluate(CLIENT, [body, {"model": "model", **CALL}])
    said, called = (json.loads(in_page[name][2]) for name in ("logprobs of a chat", "a call"))
    assert out["text"] == out["whole"] == said["choices"][0]["message"]["content"] != ""
    assert out["call"]["arguments"] == called["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert out["refused"] == [400, True]
    assert out["response"] == out["streamed"] == out["own"] == out["owned"] != ""
