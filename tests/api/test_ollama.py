"""Ollama's API by its own Python client; and what texts are to the model, in vLLM's and llama.cpp's words."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import ollama
import pytest

from fanlight.api.models import Models
from fanlight.api.ollama import keep_alive
from fanlight.engine.sampling_params import SamplingParams
from fanlight.errors import RequestError
from tests.api.fakes import TOKENIZER, ids_of, make_face
from tests.api.test_handle import END, USER, ask
from tests.api.test_server import served, wait_until
from tests.api.test_tools import CALL_NOW, HISTORY, NOW, THINKS


def answer(prompt: str, params: SamplingParams) -> str:
    if "noon" in prompt:
        return "It is noon." + END
    if '"now"' in prompt:
        return f"<think>\nI ask.</think>\nI look.\n{CALL_NOW}" + END
    return ('{"a":1}' if params.grammar is not None else "Hello there.") + END


@pytest.fixture(scope="module")
def client() -> Iterator[ollama.Client]:
    with served(make_face(answer, template=THINKS, context_length=2048)) as url:
        made = ollama.Client(host=url)
        yield made
        made._client.close()


def test_chat(client: ollama.Client) -> None:
    whole = client.chat("scripted:latest", USER, options={"temperature": 0, "num_predict": 50, "num_ctx": 1024})
    assert (whole.message.content, whole.done, whole.done_reason) == ("Hello there.", True, "stop")
    assert (whole.eval_count or 0) > 0 and (whole.prompt_eval_count or 0) > 0 and (whole.total_duration or 0) > 0
    parts = list(client.chat("scripted", USER, stream=True))
    assert "".join(part.message.content or "" for part in parts) == "Hello there."
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True] and parts[-1].eval_count == whole.eval_count
    cut = client.chat("scripted", USER, options={"num_predict": 1})
    assert cut.done_reason == "length"
    assert client.chat("scripted", USER, format="json").message.content == '{"a":1}'
    assert client.chat("scripted", USER, format={"type": "object"}).message.content == '{"a":1}'


@pytest.mark.parametrize("stream", [False, True])
def test_tools(client: ollama.Client, stream: bool) -> None:
    found: Any = client.chat("scripted", USER, tools=[NOW], think=True, stream=stream)
    parts = list(found) if stream else [found]
    calls = [call for part in parts for call in part.message.tool_calls or ()]
    assert [(call.function.name, call.function.arguments) for call in calls] == [("now", {})]
    assert "".join(part.message.content or "" for part in parts) == "I look."
    assert "".join(part.message.thinking or "" for part in parts) == "I ask."
    message = {"role": "assistant", "content": "I look.", "tool_calls": [call.model_dump() for call in calls]}
    result = {"role": "tool", "tool_name": "now", "content": "noon"}
    assert client.chat("scripted", [*USER, message, result], tools=[NOW]).message.content == "It is noon."


def test_generate(client: ollama.Client) -> None:
    assert client.generate("scripted", "Hi", system="Be brief.", think=False).response == "Hello there."
    assert "".join(part.response for part in client.generate("scripted", "Hi", stream=True)) == "Hello there."
    raw = client.generate("scripted", "Hi", raw=True)
    assert (raw.response, raw.done_reason) == ("Hello there.", "stop")
    assert "".join(part.response for part in client.generate("scripted", "Hi", raw=True, stream=True)) == "Hello there."
    assert client.generate("scripted").done_reason == "load"


def test_what_is_there(client: ollama.Client) -> None:
    assert [model.model for model in client.list().models] == ["scripted"]
    assert [model.model for model in client.ps().models] == ["scripted"]
    assert set(client.show("scripted").capabilities or ()) == {"completion", "tools", "thinking"}
    assert ask(make_face("x"), "/api/version", None)["version"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/api/chat", {"messages": USER, "options": {"mirostat": 1}}, "options.mirostat"),
        ("/api/chat", {"messages": USER, "options": {"num_ctx": 10**6}}, "options.num_ctx"),
        ("/api/chat", {"messages": [{"role": "user", "content": "x", "images": ["x"]}]}, "messages"),
        ("/api/chat", {"messages": USER, "format": "yaml"}, "format"),
        ("/api/chat", {"messages": USER, "think": "huge"}, "think"),
        ("/api/generate", {"prompt": "x", "suffix": "y"}, "suffix"),
        ("/api/generate", {"prompt": "x", "raw": True, "system": "y"}, "system"),
        ("/api/generate", {"prompt": "x", "context": [1]}, "context"),
        ("/api/generate", {"prompt": "x", "keep_alive": "5m"}, "keep_alive"),  # nobody said how it is opened again
        ("/api/generate", {"prompt": "x", "keep_alive": "a while"}, "keep_alive"),
        ("/api/chat", {"messages": USER, "keep_alive": True}, "keep_alive"),
        ("/api/chat", {"messages": [{"role": "assistant", "tool_calls": 5}]}, "messages[0].tool_calls"),
        ("/api/chat", {"messages": [{"role": {}, "content": "x"}]}, "messages[0].role"),
        ("/api/show", {"name": "x"}, "name"),
        ("/tokenize", {"prompt": "x", "content": "y"}, "prompt"),
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"content": "x", "parse_special": False}, "parse_special"),
        ("/detokenize", {"tokens": [10**6]}, "tokens"),
        ("/detokenize", {}, "tokens"),
        ("/apply-template", {"messages": []}, "messages"),
    ],
)
def test_refused_by_name(path: str, body: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        ask(make_face("x"), path, body)
    assert caught.value.param == param


def test_tokens_of_texts() -> None:
    face, text = make_face("x", template=THINKS), "Hi 🙂<|im_end|>"
    found = ask(face, "/tokenize", {"prompt": text, "return_token_strs": True})
    assert found["tokens"] == ids_of(text) and found["count"] == len(found["tokens"]) == len(found["token_strs"])
    assert (found["max_model_len"], found["token_strs"][-1]) == (256, END)
    assert ask(face, "/tokenize", {"content": text}) == {"tokens": ids_of(text, False)}
    pieces = ask(face, "/tokenize", {"content": text, "with_pieces": True})["tokens"]
    joined = b"".join(bytes(p["piece"]) if isinstance(p["piece"], list) else p["piece"].encode() for p in pieces)
    assert joined.decode() == text
    assert ask(face, "/detokenize", {"tokens": ids_of(text, False)}) == {"prompt": text, "content": text}
    prompt = ask(face, "/apply-template", {"messages": USER, "enable_thinking": False})["prompt"]
    assert prompt == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    chat = ask(face, "/tokenize", {"messages": HISTORY, "tools": [NOW]})["tokens"]
    assert (
        TOKENIZER.decode(chat, skip_special_tokens=False)
        == ask(face, "/apply-template", {"messages": HISTORY, "tools": [NOW]})["prompt"]
    )


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("5m", 300),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        (7, 7),
        (0, 0),
        ("0s", 0),
        (-1, -1),
        ("-1m", -1),
        (-5.5, -1),
    ],
)
def test_how_long_a_model_stays(said: Any, seconds: float) -> None:
    assert keep_alive(said, "keep_alive") == seconds


def test_keep_alive_is_honoured() -> None:
    async def open() -> Any:
        return make_face(answer, template=THINKS, context_length=2048)

    models = Models()
    models.add(make_face(answer, template=THINKS, context_length=2048), open)
    (place,) = models
    with served(models) as url:
        client = ollama.Client(host=url)
        assert client.ps().models[0].expires_at.year == 9999  # type: ignore[union-attr]
        client.chat("scripted", USER, keep_alive="10m")
        (expires,) = [model.expires_at for model in client.ps().models]
        assert expires is not None and timedelta(minutes=9) < expires - datetime.now(UTC) <= timedelta(minutes=10)
        with pytest.raises(ollama.ResponseError):
            client.chat("scripted", USER, options={"mirostat": 1}, keep_alive=0)
        assert place.loaded is not None and place.keep_alive == 600  # what is refused changes nothing
        assert client.generate("scripted", keep_alive=0).done_reason == "unload"
        assert place.loaded is None and client.ps().models == [] and len(client.list().models) == 1
        assert client.chat("scripted", USER, keep_alive=-1).message.content == "Hello there."
        assert place.loaded is not None and client.ps().models[0].expires_at.year == 9999  # type: ignore[union-attr]
        parts = list(client.chat("scripted", USER, stream=True, keep_alive=0))  # it stays until the stream is read
        assert "".join(part.message.content or "" for part in parts) == "Hello there."
        wait_until(lambda: place.loaded is None)
        client._client.close()
