"""An answer that another engine may have to give again: the same pieces, whatever chance, speed and company there were."""

import asyncio
import json
import re
from contextvars import copy_context
from typing import Any

import pytest

import fanlight
from fanlight.api import handle
from fanlight.api.generation import AGAIN, LoadedModel
from fanlight.engine import Engine
from tests.cli.tiny import write_model

# What web/src/continuation.ts takes for made up, or measured.
DRAWN = re.compile(r"^(id|call_id|item_id|response_id|created|created_at|usage|timings|completed_at|.*_duration)$")
CHAT = [{"role": "user", "content": "one two three"}]
HOT = {"temperature": 1.3, "stream": True}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
FORCING = "[a-z]{3} and nothing else but [0-9]{9}"
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {**HOT, "messages": CHAT, "max_tokens": 12, "n": 2, "logprobs": True}),
    (
        "/v1/chat/completions",
        {**HOT, "messages": CHAT, "max_tokens": 30, "guided_regex": FORCING},
    ),
    ("/v1/chat/completions", {**HOT, "messages": CHAT, "max_tokens": 60, "tools": [TOOL], "tool_choice": "required"}),
    ("/v1/completions", {**HOT, "prompt": ["a b", "c"], "max_tokens": 12, "n": 2, "stop": ["e"]}),
    ("/v1/responses", {**HOT, "input": "one two", "max_output_tokens": 16}),
    ("/api/chat", {"model": "tiny", "messages": CHAT, "options": {"temperature": 1.3, "num_predict": 12}}),
    ("/api/generate", {"model": "tiny", "prompt": "one", "options": {"temperature": 1.3, "num_predict": 12}}),
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = write_model(tmp_path_factory.mktemp("model") / "tiny.gguf", **{"llama.context_length": 512})
    with fanlight.load(path, device="reference", context_length=512) as engine:
        yield engine.loaded


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if not DRAWN.match(key)}
    return [plain(item) for item in value] if isinstance(value, list) else value


def by_choice(chunks: list[Any]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for chunk in chunks:
        choices = chunk.get("choices") or [{}]
        found.setdefault(choices[0].get("index"), []).append(plain(json.loads(json.dumps(chunk))))
    return found


async def pieces(loaded: LoadedModel, path: str, body: dict[str, Any], seed: int | None) -> list[Any]:
    async def read() -> list[Any]:
        AGAIN.set(seed)
        return [chunk async for chunk in await handle(loaded, path, body)]  # type: ignore[union-attr]

    return await asyncio.create_task(read(), context=copy_context())


@pytest.mark.parametrize(("path", "body"), REQUESTS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_pieces_are_the_same(loaded: LoadedModel, path: str, body: dict[str, Any]) -> None:
    engine = loaded.engine
    assert isinstance(engine, Engine)

    async def both() -> tuple[Any, ...]:
        first = await pieces(loaded, path, body, 7)
        engine._num_in_flight = 1
        other = asyncio.create_task(pieces(loaded, "/v1/completions", {**HOT, "prompt": "zzz", "max_tokens": 20}, None))
        second = await pieces(loaded, path, body, 7)
        engine._num_in_flight = 16
        await other
        return by_choice(first), by_choice(second), by_choice(await pieces(loaded, path, body, 8))

    first, second, third = asyncio.run(both())
    assert first == second
    assert first != third or "tools" in body


def test_a_seed_of_the_request_s_own_counts(loaded: LoadedModel) -> None:
    body = {**HOT, "prompt": "a b", "max_tokens": 8, "seed": 3}

    async def several() -> list[Any]:
        return [by_choice(await pieces(loaded, "/v1/completions", body, seed)) for seed in (1, 2)]

    first, second = asyncio.run(several())
    assert first == second
