"""The faces over the real token engine, on the null device: its next token depends on everything that a model's would."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import fanlight
from tests.cli.tiny import write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


REQUESTS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": text}], "max_tokens": 20, "temperature": t, "seed": 7, "return_token_ids": True}
    for text, t in (("Hi", 0), ("Hello there", 0.8), ("Hello there", 0), ("Hi " * 30, 1.2), ("x", 0), ("y", 0.5))
]


def ids(answer: Any) -> list[list[int]]:
    return [choice.token_ids for choice in answer.choices]


def test_together_is_as_alone(model: Path) -> None:
    with fanlight.load(model, device="null") as engine:
        alone = [ids(engine.chat.completions.create(**request)) for request in REQUESTS]
        assert len({str(a) for a in alone}) == len(alone)
        chosen = ids(engine.chat.completions.create(**REQUESTS[1], n=3))
        assert chosen[0] == alone[1][0] and chosen[1] != chosen[0]

    async def together() -> list[Any]:
        async with await fanlight.aload(model, device="null", max_num_seqs=3) as engine:
            streams = [engine.chat.completions.create(**request, stream=True) for request in REQUESTS[:2]]
            wholes = [engine.chat.completions.create(**request) for request in REQUESTS]

            async def read(stream: Any) -> list[list[int]]:
                return [[i for chunk in [c async for c in await stream] for i in chunk.choices[0].get("token_ids", [])]]

            return await asyncio.gather(*map(read, streams), *wholes)

    first, second, *answers = asyncio.run(together())
    assert [first, second] == alone[:2]
    assert [ids(answer) for answer in answers] == alone


def test_a_prefix_that_is_cached_is_counted(model: Path) -> None:
    with fanlight.load(model, device="null", context_length=200) as engine:
        cold = engine.chat.completions.create(**REQUESTS[3])
        warm = engine.chat.completions.create(**REQUESTS[3])
        assert cold.usage.prompt_tokens_details.cached_tokens == 0 < warm.usage.prompt_tokens_details.cached_tokens
        assert ids(cold) == ids(warm)
        assert engine.loaded.info["memory"]["total"] > 0 and engine.loaded.info["context_length"] == 200
        assert engine.models.list().data[0].id == "tiny"


def test_stop_tokens_end_an_answer(model: Path) -> None:
    with fanlight.load(model, device="null") as engine:
        free = ids(engine.chat.completions.create(**REQUESTS[0]))[0]
        end = next(i for n, i in enumerate(free) if n > 1 and i not in free[:n])
        choice = engine.chat.completions.create(**REQUESTS[0], stop_token_ids=[end]).choices[0]
        assert (choice.finish_reason, choice.token_ids) == ("stop", free[: free.index(end) + 1])
        # The same id as an end of text of the vocabulary: obeyed, and ignored where the request says so.
        engine.loaded.tokenizer.stop_token_ids = frozenset([end])
        for ignore, expected in ((False, choice.token_ids), (True, free)):
            assert ids(engine.chat.completions.create(**REQUESTS[0], ignore_eos=ignore))[0] == expected
