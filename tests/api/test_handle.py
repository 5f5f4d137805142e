"""The request code without a transport, over a scripted token engine."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from fanlight import driver
from fanlight.api import LoadedModel, error_body, handle
from fanlight.engine.sampling_params import SamplingParams
from fanlight.errors import ContextOverflow, EngineClosed, RequestError
from fanlight.grammar.formats import kept
from tests.api.fakes import TOKENIZER, ScriptedEngine, endless, ids_of, make_face

USER = [{"role": "user", "content": "Hi"}]
END = "<|im_end|>"


def chat(loaded: LoadedModel, **body: Any) -> Any:
    return ask(loaded, "/v1/chat/completions", {"messages": USER, **body})


def complete(loaded: LoadedModel, **body: Any) -> Any:
    return ask(loaded, "/v1/completions", body)


def ask(loaded: LoadedModel, path: str, body: Any) -> Any:
    """A response, or all its chunks. That the driver can run it shows that nothing here really waits."""
    answer = driver.run(handle(loaded, path, body))
    return answer if isinstance(answer, Mapping) else list(driver.iterate(answer))


def joined(chunks: list[dict[str, Any]], index: int = 0) -> str:
    deltas = [c["delta"] for chunk in chunks for c in chunk["choices"] if c["index"] == index]
    return "".join(d.get("content", "") for d in deltas)


@pytest.mark.parametrize("waits", [driver.run, asyncio.run], ids=["here", "in a thread"])
@pytest.mark.parametrize("path, body", [("/v1/chat/completions", {"messages": USER}), ("/v1/completions", {"prompt": "Hi"})])
def test_what_a_grammar_took_is_told_once(path: str, body: dict[str, Any], waits: Any) -> None:
    kept.clear()
    loaded, pattern = make_face("aa" + END), {"guided_regex": "a+"}
    took = [waits(handle(loaded, path, body | more))["usage"]["extra"].get("grammar_init_s") for more in (pattern, pattern, {})]
    assert took[0] > 0 and took[1:] == [0, None]


def test_chat_response() -> None:
    response = chat(make_face("Hello there 🙂" + END), return_token_ids=True)
    prompt = ids_of("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False)
    answer = ids_of("Hello there 🙂" + END, add_special_tokens=False)
    assert response.pop("id").startswith("chatcmpl-")
    assert response.pop("created") > 1.7e9
    timings = response.pop("timings")
    assert timings["ttft_ms"] > 0 and timings["decode_tps"] > 0 and timings["prefill_tps"] > 0
    extra = response["usage"].pop("extra")
    assert extra["decode_tokens_per_s"] == timings["decode_tps"] and extra["prefill_tokens_per_s"] == timings["prefill_tps"]
    assert 0 < extra["time_to_first_token_s"] <= extra["e2e_latency_s"] and extra["time_per_output_token_s"] > 0
    assert response == {
        "object": "chat.completion",
        "model": "scripted",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello there 🙂", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
                "token_ids": answer,
            }
        ],
        "usage": {
            "prompt_tokens": len(prompt),
            "completion_tokens": len(answer),
            "total_tokens": len(prompt) + len(answer),
            "prompt_tokens_details": {"cached_tokens": 0},
        },
        "prompt_token_ids": prompt,
    }


def test_chat_chunks() -> None:
    chunks = chat(make_face("Hello there 🙂" + END), stream=True, stream_options={"include_usage": True}, return_token_ids=True)
    first, *middle, last, usage = chunks
    assert len({(c["id"], c["created"], c["model"], c["object"]) for c in chunks}) == 1
    assert first["choices"] == [
        {"index": 0, "delta": {"role": "assistant", "content": "", "refusal": None}, "logprobs": None, "finish_reason": None}
    ]
    assert first["prompt_token_ids"] and not any("prompt_token_ids" in c for c in chunks[1:])
    assert all(set(c["choices"][0]["delta"]) == {"content"} for c in middle)
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert all(c["usage"] is None for c in chunks[:-1])
    assert usage["choices"] == [] and usage["usage"]["completion_tokens"] > 0 and usage["timings"]["ttft_ms"] > 0
    assert joined(chunks[:-1]) == "Hello there 🙂"
    ids = [i for c in chunks[1:-1] for i in c["choices"][0].get("token_ids", [])]
    assert ids == ids_of("Hello there 🙂" + END, add_special_tokens=False)


def test_without_usage_the_last_chunk_has_the_timings() -> None:
    chunks = chat(make_face("Hello" + END), stream=True)
    assert not any("usage" in c for c in chunks)
    assert [("timings" in c) for c in chunks] == [False] * (len(chunks) - 1) + [True]


STOPPED = "one two, three"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("body", "text", "reason"),
    [
        ({}, STOPPED, "stop"),
        ({"ignore_eos": True, "max_tokens": len(ids_of(STOPPED + END, False))}, STOPPED, "length"),
        ({"max_tokens": 2}, TOKENIZER.decode(ids_of(STOPPED, False)[:2]), "length"),
        ({"stop": [" two, t"]}, "one", "stop"),
        ({"stop": ["zzz", "three!"]}, STOPPED, "stop"),
        (
            {"stop_token_ids": [ids_of(STOPPED, False)[2]]},
            TOKENIZER.decode(ids_of(STOPPED, False)[:2]),
            "stop",
        ),
    ],
)
def test_how_an_answer_ends(stream: bool, body: dict[str, Any], text: str, reason: str) -> None:
    loaded = make_face(STOPPED + END)
    answer = chat(loaded, stream=stream, **body)
    if stream:
        assert (joined(answer), answer[-1]["choices"][0]["finish_reason"]) == (text, reason)
    else:
        assert (answer["choices"][0]["message"]["content"], answer["choices"][0]["finish_reason"]) == (text, reason)
    assert not running(loaded)


def running(loaded: LoadedModel) -> list[Any]:
    assert isinstance(loaded.engine, ScriptedEngine)
    return loaded.engine.running


def test_choices_have_their_own_seeds() -> None:
    def answer(prompt: str, params: SamplingParams) -> str:
        return f"seed {params.seed}" + END

    response = chat(make_face(answer), n=3, seed=5)
    assert [c["message"]["content"] for c in response["choices"]] == ["seed 5", "seed 6", "seed 7"]
    assert response["usage"]["prompt_tokens"] == response["usage"]["total_tokens"] - response["usage"]["completion_tokens"]
    chunks = chat(make_face(answer), n=3, seed=2**63 - 1, stream=True)
    assert [joined(chunks, i) for i in range(3)] == [f"seed {2**63 - 1}", f"seed {-(2**63)}", f"seed {-(2**63) + 1}"]
    assert [c["choices"][0]["delta"].get("role") for c in chunks[:3]] == ["assistant"] * 3


def test_leaving_a_stream_aborts_it() -> None:
    loaded = make_face(endless)
    chunks = driver.iterate(driver.run(handle(loaded, "/v1/chat/completions", {"messages": USER, "stream": True, "n": 2})))
    for _ in range(5):
        next(chunks)
    assert len(running(loaded)) == 2
    chunks.close()
    assert not running(loaded)


def test_an_engine_that_fails_to_take_one_choice_aborts_the_others() -> None:
    loaded = make_face(endless)
    assert isinstance(loaded.engine, ScriptedEngine)
    submit = loaded.engine.submit

    def submit_once(*arguments: Any, **more: Any) -> Any:
        if loaded.engine.sequences:
            raise EngineClosed("closed")
        return submit(*arguments, **more)

    loaded.engine.submit = submit_once
    with pytest.raises(EngineClosed):
        chat(loaded, n=2)
    assert not running(loaded)


def test_completions() -> None:
    def answer(prompt: str, params: SamplingParams) -> str:
        return f" after {prompt}" + END

    ids = ids_of("hello")
    for prompt, texts in [
        ("hello", ["hello"]),
        (["hello", "world"], ["hello", "world"]),
        (ids, ["hello"]),
        ([ids, ids], ["hello"] * 2),
    ]:
        response = complete(make_face(answer), prompt=prompt, n=2, echo=True, return_token_ids=True, max_tokens=50)
        assert (response["object"], response["id"][:5]) == ("text_completion", "cmpl-")
        wanted = [f"{t} after {'<|endoftext|>' if t is None else t}" for t in texts for _ in range(2)]
        assert [c["text"].replace("<|endoftext|>", "") for c in response["choices"]] == wanted
        assert [c["index"] for c in response["choices"]] == list(range(2 * len(texts)))
        assert response["choices"][0]["prompt_token_ids"] == ids
        assert ("prompt_token_ids" in response) == (len(texts) == 1)
        chunks = complete(make_face(answer), prompt=prompt, n=2, echo=True, stream=True, max_tokens=50)
        for i, choice in enumerate(response["choices"]):
            assert "".join(c["text"] for k in chunks for c in k["choices"] if c["index"] == i) == choice["text"]
    assert complete(make_face(answer), prompt="hello")["choices"][0]["finish_reason"] in ("stop", "length")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", {"messages": USER}), ("/v1/completions", {"prompt": "x"})])
def test_a_foreign_model_is_answered_with_a_warning(path: str, body: dict[str, Any], stream: bool) -> None:
    loaded = make_face("x" + END)
    loaded.fingerprint = "fp_1"
    for name in ("gpt-4", "scripted", "", None):
        found = ask(loaded, path, {**body, "model": name, "stream": stream})
        first, *rest = found if stream else [found]
        words = ["the model 'gpt-4' is not loaded: 'scripted' answers"] if name == "gpt-4" else None
        assert first.get("warnings") == words and first["model"] == "scripted" and not any("warnings" in c for c in rest)
        assert {c["system_fingerprint"] for c in (first, *rest)} == {"fp_1"}
    loaded.is_strict = True
    with pytest.raises(RequestError, match="'gpt-4' is not loaded") as caught:
        ask(loaded, path, {**body, "model": "gpt-4", "stream": stream})
    assert error_body(caught.value)[0] == 404


def test_names_that_a_template_does_not_read_are_warned_of() -> None:
    named = [USER[0] | {"name": "Ada"}]
    words = ["messages[].name: the model's chat template reads no names"]
    assert chat(make_face("x" + END), messages=named)["warnings"] == words
    template = "{% for m in messages %}{{ m.name or m.role }}: {{ m.content }}\n{% endfor %}"
    assert "warnings" not in chat(make_face("x" + END, template=template), messages=named)


def test_models() -> None:
    loaded = make_face("x")
    listed = ask(loaded, "/v1/models", None)
    assert listed["object"] == "list" and [m["id"] for m in listed["data"]] == ["scripted"]
    assert ask(loaded, "/v1/models/scripted", None) == listed["data"][0]


@pytest.mark.parametrize(
    ("path", "body", "status", "param", "code"),
    [
        ("/v1/models/gpt-4", None, 404, "model", "model_not_found"),
        ("/v1/images/generations", {}, 404, "path", "not_found"),
        ("/v1/chat/completions", {"messages": USER, "n": 0}, 400, "n", None),
        ("/v1/completions", {"prompt": "x " * 300}, 400, "prompt", "context_length_exceeded"),
        ("/v1/completions", {"prompt": [10**9], "stream": True}, 400, "prompt", None),
        (
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "x " * 300}]},
            400,
            "messages",
            "context_length_exceeded",
        ),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "\ud800"}]}, 400, None, None),
    ],
)
def test_errors_in_openais_form(path: str, body: Any, status: int, param: str | None, code: str | None) -> None:
    with pytest.raises((RequestError, ContextOverflow)) as caught:
        ask(make_face("x" + END), path, body)
    found_status, error = error_body(caught.value)
    assert (found_status, error["error"]["param"], error["error"]["code"]) == (status, param, code)
    assert error["error"]["type"] == "invalid_request_error" and error["error"]["message"]
    assert json.dumps(error)


def test_no_chat_template() -> None:
    with pytest.raises(RequestError, match="no chat template") as caught:
        chat(make_face("x", template=None))
    assert "completions" in caught.value.hint


def test_a_bug_is_a_server_error() -> None:
    assert error_body(ValueError("oops"))[0] == 500
