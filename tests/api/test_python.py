"""The Python loaded, blocking and asynchronous, over a scripted token engine."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest

import fanlight
from fanlight.api.python import AsyncLocalEngine, LocalEngine, record
from fanlight.errors import EngineClosed, RequestError
from tests.api.fakes import ScriptedEngine, endless, make_face

USER = [{"role": "user", "content": "Hi"}]


def test_blocking() -> None:
    loaded = make_face("Hello<|im_end|>")
    with LocalEngine(loaded) as engine:
        answer = engine.chat.completions.create(messages=USER, extra_body={"top_k": 3})
        assert answer.choices[0].message.content == answer["choices"][0]["message"]["content"] == "Hello"
        assert engine.completions.create(prompt=["a", "b"]).choices[1].text == "Hello"
        assert engine.models.list().data[0].id == engine.models.retrieve("scripted").id == "scripted"
        chunks = list(engine.chat.completions.create(messages=USER, stream=True))
        assert "".join(c.choices[0].delta.get("content", "") for c in chunks) == "Hello"
        assert chunks[-1].choices[0].delta.content is None and chunks[-1].usage is None
        with pytest.raises(RequestError) as caught:
            engine.chat.completions.create(messages=USER, temperature=5)
        assert caught.value.param == "temperature"
    with pytest.raises(EngineClosed):
        engine.chat.completions.create(messages=USER)


def test_leaving_a_stream_frees_the_engine() -> None:
    loaded = make_face(endless)
    engine = LocalEngine(loaded)
    assert isinstance(loaded.engine, ScriptedEngine)
    with engine.chat.completions.create(messages=USER, stream=True) as stream:
        for number, _ in enumerate(stream):
            if number == 3:
                break
        assert loaded.engine.running
    assert not loaded.engine.running


def test_asynchronous_requests_run_together() -> None:
    loaded = make_face(endless)
    assert isinstance(loaded.engine, ScriptedEngine)

    async def both() -> Any:
        async with AsyncLocalEngine(loaded) as engine:
            whole = engine.chat.completions.create(messages=USER, max_tokens=30)

            async def streamed() -> str:
                async with await engine.chat.completions.create(messages=USER, max_tokens=30, stream=True) as stream:
                    return "".join([c.choices[0].delta.get("content", "") async for c in stream])

            return await asyncio.gather(whole, streamed())

    whole, streamed = asyncio.run(both())
    assert whole.choices[0].message.content == streamed
    assert loaded.engine.num_steps < 45


def test_leaving_an_asynchronous_stream_frees_the_engine() -> None:
    loaded = make_face(endless)
    assert isinstance(loaded.engine, ScriptedEngine)

    async def leave() -> None:
        engine = AsyncLocalEngine(loaded)
        async with await engine.chat.completions.create(messages=USER, stream=True) as stream:
            async for _ in stream:
                break
            assert loaded.engine.running
        assert not loaded.engine.running

    asyncio.run(leave())


def test_records() -> None:
    made = record({"a": [{"b": 1}]})
    assert made.a[0].b == 1 and made == {"a": [{"b": 1}]}
    with pytest.raises(AttributeError, match="there are a"):
        _ = made.c
    assert made.content is None and made.tool_calls is None  # an answer's fields that are not there


def test_public_names() -> None:
    assert all(getattr(fanlight, name) for name in fanlight.__all__)


@pytest.mark.parametrize(
    "module", ["fanlight", "fanlight.api", "fanlight.api.python", "fanlight.text.tokenizer", "fanlight.settings"]
)
def test_what_a_browser_loads_needs_no_native_package(module: str) -> None:
    native = ["numpy", "tokenizers", "starlette", "uvicorn", "rich", "wgpu", "huggingface_hub", "mmap", "http.client"]
    code = f"import sys, {module}; print([m for m in {native} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
