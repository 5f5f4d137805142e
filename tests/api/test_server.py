"""The real server over a scripted token engine, asked by the official clients."""

import asyncio
import gc
import json
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.completion import Completion

from fanlight.api import LoadedModel
from fanlight.api.access import Access
from fanlight.api.answers import Work
from fanlight.api.listen import Server, bind
from fanlight.api.models import Models
from fanlight.api.page import BUILT_IN_PATH
from fanlight.api.server import make_app
from fanlight.engine.sampling_params import SamplingParams
from tests.api.fakes import TOKENIZER, ScriptedEngine, endless, ids_of, make_face

USER: Any = [{"role": "user", "content": "Hi"}]


@contextmanager
def served(loaded: Models | LoadedModel | None, shutdown_seconds: float = 1, **options: Any) -> Iterator[str]:
    """The base URL of a server that runs in a thread."""
    with bind("127.0.0.1", 0) as listener:
        work = options.setdefault("work", Work())
        server = Server(make_app(loaded, **options), work, lambda: None, shutdown_seconds)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.handle_exit(signal.SIGTERM, None)
            thread.join(10)
            with warnings.catch_warnings(action="ignore", category=ResourceWarning):
                gc.collect()  # what a page was in the middle of fetching: no other test's fault
        assert not thread.is_alive()


def wait_until(condition: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def echo(prompt: str, params: SamplingParams) -> str:
    return f"You said: {prompt.rsplit('<|im_start|>user', 1)[-1].split('<|im_end|>')[0].strip()} 🙂<|im_end|>"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(make_face(echo)) as base:
        yield base


@pytest.fixture()
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_models(client: openai.OpenAI) -> None:
    assert [m.id for m in client.models.list()] == ["scripted"]
    assert client.models.retrieve("scripted").owned_by == "fanlight"


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="scripted", messages=USER, extra_body={"return_token_ids": True, "top_k": 5})
    ChatCompletion.model_validate(answer.model_dump(), strict=True)
    assert answer.choices[0].message.content == "You said: Hi 🙂"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage and answer.usage.prompt_tokens_details and answer.usage.prompt_tokens_details.cached_tokens == 0
    assert answer.model_extra and answer.model_extra["prompt_token_ids"]


def test_chat_stream(client: openai.OpenAI) -> None:
    options: Any = {"stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(model="scripted", messages=USER, stream=True, **options))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.model_dump(), strict=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == "You said: Hi 🙂"
    assert [c.choices[0].delta.role for c in chunks[:-1]] == ["assistant"] + [None] * (len(chunks) - 2)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage and chunks[-1].usage.completion_tokens > 5


def test_chat_accumulator(client: openai.OpenAI) -> None:
    """The client's own helper puts the chunks together again."""
    with client.chat.completions.stream(model="scripted", messages=USER) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.content == "You said: Hi 🙂"


def test_completions(client: openai.OpenAI) -> None:
    ids = ids_of("hello")
    for prompt in ("hello", ["hello", "world"], ids, [ids, ids]):
        answer = client.completions.create(model="scripted", prompt=prompt, max_tokens=50)
        Completion.model_validate(answer.model_dump(), strict=True)
        assert answer.choices[0].text == "You said: hello 🙂"
        chunks = list(client.completions.create(model="scripted", prompt=prompt, max_tokens=50, stream=True))
        assert "".join(c.choices[0].text for c in chunks if c.choices[0].index == 0) == answer.choices[0].text


def test_tool_calls() -> None:
    calls = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call><|im_end|>'
    tools: Any = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]
    with served(make_face(calls)) as base, openai.OpenAI(base_url=f"{base}/v1", api_key="none") as client:
        answer = client.chat.completions.create(model="scripted", messages=USER, tools=tools).choices[0]
        assert answer.finish_reason == "tool_calls" and answer.message.tool_calls
        assert answer.message.content is None
        with client.chat.completions.stream(model="scripted", messages=USER, tools=tools) as stream:
            stream.until_done()
            streamed = stream.get_final_completion().choices[0].message.tool_calls
        assert streamed and streamed[0].function.arguments == answer.message.tool_calls[0].function.arguments == '{"a": 1}'
        history: Any = [*USER, answer.message.to_dict(), {"role": "tool", "tool_call_id": "x", "content": "2"}]
        assert client.chat.completions.create(model="scripted", messages=history).choices[0].message.content


@pytest.mark.parametrize(
    ("kind", "change", "param"),
    [
        (openai.BadRequestError, {"temperature": 9}, "temperature"),
        (openai.BadRequestError, {"messages": [{"role": "user", "content": "x " * 300}]}, "messages"),
        (openai.BadRequestError, {"extra_body": {"nonsense": 1}}, "nonsense"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors(client: openai.OpenAI, kind: Any, change: dict[str, Any], param: str, stream: bool) -> None:
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**{"model": "scripted", "messages": USER, "stream": stream, **change})
    assert caught.value.param == param and caught.value.type == "invalid_request_error"


@pytest.mark.parametrize("stream", [False, True])
def test_a_foreign_model_is_answered_with_a_warning(client: openai.OpenAI, stream: bool) -> None:
    ask: Any = {"model": "gpt-4\n\u00e9", "messages": USER, "stream": stream}
    answer = client.chat.completions.with_raw_response.create(**ask)
    assert answer.headers["warning"] == "299 fanlight \"the model 'gpt-4\\n\\xe9' is not loaded: 'scripted' answers\""
    assert "warning" not in client.chat.completions.with_raw_response.create(**ask | {"model": "scripted"}).headers
    loaded = make_face(echo)
    loaded.is_strict = True
    with served(loaded) as base, openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0) as other:
        with pytest.raises(openai.NotFoundError) as caught:
            other.chat.completions.create(**ask)
        assert caught.value.param == "model" and caught.value.code == "model_not_found"


def test_http_errors(url: str) -> None:
    path = f"{url}/v1/chat/completions"
    json_type = {"content-type": "application/json"}
    cases = [
        (httpx.post(path, content=b"{nonsense", headers=json_type), 400, "not JSON"),
        (httpx.post(path, content=b"[" * 10**6, headers=json_type), 400, "nested more than 100"),
        (httpx.post(path, content=b"\xff\xfe", headers=json_type), 400, "not JSON"),
        (httpx.post(path, json=[1]), 400, "JSON object"),
        (httpx.post(path, content=b"{}", headers={"content-type": "text/plain"}), 415, "application/json"),
        (httpx.post(path, content=b"{}", headers={**json_type, "content-encoding": "gzip"}), 415, "content encoding"),
        (httpx.get(f"{url}/{'a' * 300}"), 404, "Not Found"),  # longer than the name of any file
        (httpx.get(f"{url}/{'a/' * 5000}"), 404, "Not Found"),
        (httpx.get(path), 405, "use POST"),
        (httpx.post(f"{url}/v1/models", json={}), 405, "use GET"),
        (httpx.post(f"{url}/v1/images/generations", json={}), 404, "no /v1/images"),
        (httpx.get(f"{url}/nothing"), 404, "Not Found"),
        (httpx.post(path, content=b" " * (33 << 20), headers=json_type), 413, "bytes"),
    ]
    for response, status, message in cases:
        error = response.json()["error"]
        assert response.status_code == status and message in error["message"], error
        assert set(error) == {"message", "type", "param", "code"}


def test_an_error_after_the_first_chunk_is_an_event() -> None:
    loaded = make_face(endless)

    async def broken(sequences: Any) -> None:
        raise ValueError("the device caught fire")

    loaded.engine.wait = broken  # type: ignore[method-assign]
    with served(loaded) as base, openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(model="scripted", messages=USER, stream=True)
        with pytest.raises(openai.APIError, match="caught fire"):
            list(stream)
        with pytest.raises(openai.InternalServerError, match="caught fire"):
            client.chat.completions.create(model="scripted", messages=USER)
    assert not engine_of(loaded).running


def engine_of(loaded: LoadedModel) -> ScriptedEngine:
    assert isinstance(loaded.engine, ScriptedEngine)
    return loaded.engine


class SlowEngine(ScriptedEngine):
    """Takes its time for a step, as a device does."""

    async def wait(self, sequences: Any) -> None:
        time.sleep(0.01)
        await super().wait(sequences)


@pytest.fixture()
def slow() -> LoadedModel:
    loaded = make_face(endless, context_length=400)
    loaded.engine = SlowEngine(TOKENIZER, endless, 400)
    return loaded


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_aborts(slow: LoadedModel, stream: bool) -> None:
    engine = engine_of(slow)
    with served(slow) as base:
        body = {"messages": USER, "stream": stream}
        with httpx.Client() as client, ThreadPoolExecutor(1) as pool:
            if stream:
                with client.stream("POST", f"{base}/v1/chat/completions", json=body) as response:
                    assert next(response.iter_lines()).startswith("data: ")
            else:
                waiting = pool.submit(lambda: httpx.post(f"{base}/v1/chat/completions", json=body, timeout=0.3))
                with pytest.raises(httpx.TimeoutException):
                    waiting.result()
        wait_until(lambda: engine.sequences and not engine.running, 3)
        assert engine.aborted and engine.aborted[0].num_generated_tokens < 200


def test_requests_at_the_same_time_share_the_steps(slow: LoadedModel) -> None:
    engine = engine_of(slow)

    async def ask_all(base: str) -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="none") as client:

            async def whole() -> Any:
                return await client.chat.completions.create(model="scripted", messages=USER, max_tokens=40)

            async def streamed() -> Any:
                stream = await client.chat.completions.create(model="scripted", messages=USER, max_tokens=40, stream=True)
                return [chunk async for chunk in stream]

            return await asyncio.gather(whole(), streamed(), whole(), streamed())

    with served(slow) as base:
        whole, chunks, *_ = asyncio.run(ask_all(base))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole.choices[0].message.content
    assert engine.num_steps < 2 * 40  # four requests of 40 tokens, one after the other, would be 160


def test_server_sent_events(url: str) -> None:
    with httpx.stream("POST", f"{url}/v1/chat/completions", json={"messages": USER, "stream": True}) as response:
        text = response.read().decode()
    assert response.headers["content-type"].startswith("text/event-stream")
    events = text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(e.removeprefix("data: "))["object"] == "chat.completion.chunk" for e in events[:-2])


def test_page_headers_and_files(tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    (assets / "sub").mkdir(parents=True)
    for name in ("index.html", "worker.mjs", "sub/python.wasm", "style.css"):
        (assets / name).write_text("content")
    model = tmp_path / "model.gguf"
    model.write_bytes(bytes(range(200)))
    with served(make_face(echo), assets=assets, model_files=[model]) as base, httpx.Client(base_url=base) as http:
        page = http.get("/")
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        assert "script-src 'self' 'wasm-unsafe-eval';" in page.headers["content-security-policy"]
        assert page.headers["cross-origin-opener-policy"] == "same-origin"
        assert page.headers["cross-origin-embedder-policy"] == "require-corp"
        assert "access-control-allow-origin" not in http.get("/v1/models", headers={"origin": "http://x.example"}).headers
        assert http.get("/worker.mjs").headers["content-type"].startswith("text/javascript")
        assert http.get("/sub/python.wasm").headers["content-type"] == "application/wasm"
        assert http.get("/../model.gguf").status_code == http.get("/%2e%2e/model.gguf").status_code == 404
        assert http.get("/models/").json()["files"] == [{"name": "model.gguf", "size": 200, "url": "/models/model.gguf"}]
        part = http.get("/models/model.gguf", headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content, part.headers["content-range"]) == (206, bytes(range(10, 20)), "bytes 10-19/200")
        assert http.head("/models/model.gguf").headers["content-length"] == "200"
        assert http.get("/models/other").status_code == 404
        built_in = http.get("/fanlight/built-in.gguf", headers={"range": "bytes=0-99"})  # a wheel has it elsewhere
        assert (built_in.status_code, built_in.content) == (206, BUILT_IN_PATH.read_bytes()[:100])
        assert http.get("/health").json() == {"status": "ok"}


def test_without_a_built_page(tmp_path: Path) -> None:
    with served(make_face(echo), assets=tmp_path / "none") as base:
        page = httpx.get(base)
        assert page.status_code == 200 and "npm run build" in page.text
        assert httpx.get(f"{base}/other.js").status_code == 404


def test_cors_is_an_option() -> None:
    with served(make_face(echo), access=Access(origins=("http://x.example",))) as base:
        response = httpx.get(f"{base}/v1/models", headers={"origin": "http://x.example"})
        assert response.headers["access-control-allow-origin"] == "http://x.example"
        preflight = {"origin": "http://x.example", "access-control-request-method": "POST"}
        assert httpx.options(f"{base}/v1/chat/completions", headers=preflight).status_code == 200
