"""Log-probabilities on the wire: the built-in model behind HTTP, asked by the official client. (That the numbers are right is
for tests/models/test_outputs.py and tests/engine/test_logprobs.py.)"""

import math
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.completion import Completion

import fanlight
from tests.api.test_server import served

USER: Any = [{"role": "user", "content": "Who are you?"}]
ASK: dict[str, Any] = {"model": "", "messages": USER, "temperature": 0, "max_tokens": 12, "logprobs": True, "top_logprobs": 3}
LOUD = {"repetition_penalty": 1.7, "top_k": 1}


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    engine = fanlight.load("built-in", context_length=256, max_num_seqs=4)
    with served(engine.loaded) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**ASK)
    ChatCompletion.model_validate(answer.model_dump(), strict=True)
    choice = answer.choices[0]
    assert choice.logprobs and choice.logprobs.content
    tokens = choice.logprobs.content
    assert b"".join(bytes(t.bytes or []) for t in tokens).decode().strip() == choice.message.content
    for token in tokens:
        values = [other.logprob for other in token.top_logprobs]
        assert len(values) == 3 and values == sorted(values, reverse=True) and sum(map(math.exp, values)) <= 1.0001
        assert (token.token, token.logprob) == (token.top_logprobs[0].token, token.top_logprobs[0].logprob)  # greedy
    alone = client.chat.completions.create(**ASK | {"top_logprobs": None})
    assert alone.choices[0].logprobs and [t.logprob for t in alone.choices[0].logprobs.content or ()] == [
        t.logprob for t in tokens
    ]
    assert not any(t.top_logprobs for t in alone.choices[0].logprobs.content or ())
    assert client.chat.completions.create(**ASK | {"logprobs": None, "top_logprobs": None}).choices[0].logprobs is None


def test_stream_of_a_chat(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(**ASK, n=2).choices
    chunks = list(client.chat.completions.create(**ASK, n=2, stream=True))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.model_dump(), strict=True)
    for choice in whole:
        parts = [c.choices[0].logprobs for c in chunks if c.choices[0].index == choice.index and c.choices[0].logprobs]
        assert choice.logprobs and [t for part in parts for t in part.content or ()] == choice.logprobs.content


def test_they_are_the_models_whatever_is_drawn(client: openai.OpenAI) -> None:
    """A token that penalties and a bias made win keeps its own, which is among none of the most likely."""
    first = client.completions.create(model="", prompt="The", max_tokens=1, temperature=0, logprobs=20)
    assert first.choices[0].logprobs and first.choices[0].logprobs.top_logprobs
    known = first.choices[0].logprobs.top_logprobs[0]
    extra = {"return_token_ids": True} | LOUD
    for bias in ({"5": 100}, {"300": 100}):
        forced = client.completions.create(
            model="", prompt="The", max_tokens=1, temperature=2, logit_bias=bias, logprobs=2, extra_body=extra
        )
        Completion.model_validate(forced.model_dump(), strict=True)
        found = forced.choices[0].logprobs
        assert found and found.tokens and found.token_logprobs and found.top_logprobs
        assert forced.choices[0].model_extra and forced.choices[0].model_extra["token_ids"] == [int(next(iter(bias)))]
        (top,) = found.top_logprobs
        assert {text: value for text, value in top.items() if text in known} == {t: known[t] for t in top if t in known}
        assert top[found.tokens[0]] == found.token_logprobs[0] and len(top) == 2 + (found.tokens[0] not in list(known)[:2])


def test_they_are_of_what_is_drawn_from_where_that_is_asked_for(client: openai.OpenAI) -> None:
    """From the model's own by hand: biases first, then the penalty of what was in the prompt, then the temperature."""
    ask: dict[str, Any] = {"model": "", "prompt": "The", "max_tokens": 1, "seed": 1, "logprobs": 20}
    own = tops(client.completions.create(**ask, temperature=2))
    mode = {"logprobs_mode": "processed_logprobs"}
    ids = {text: token_id_of(client, text) for text in list(own)[:8]}
    favoured, banned, *others = ids
    bias = {str(ids[favoured]): 3.0, str(ids[banned]): -100.0}
    found = tops(client.completions.create(**ask, temperature=2, logit_bias=bias, extra_body=mode))
    assert banned not in found and sum(map(math.exp, found.values())) < 1.0001
    for text in others:
        expected = (own[favoured] + 3.0 - own[text]) / 2
        assert found[favoured] - found[text] == pytest.approx(expected, abs=1e-4)
    sure = client.completions.create(**ask, temperature=1, logit_bias={"300": 100}, extra_body=mode).choices[0].logprobs
    assert sure and sure.token_logprobs == [pytest.approx(0, abs=1e-5)]
    same = client.completions.create(**ask, temperature=2, extra_body={"logprobs_mode": "raw_logprobs"})
    assert tops(same) == own
    short = {"json_schema": {"enum": ["yes", "no"]}} | mode
    only = tops(client.completions.create(**ask, temperature=1, extra_body=short))
    assert {text: value for text, value in only.items() if value > -1000} == {'"': pytest.approx(0, abs=1e-5)}, "the grammar's"


def tops(answer: Completion) -> dict[str, float]:
    assert answer.choices[0].logprobs and answer.choices[0].logprobs.top_logprobs
    return answer.choices[0].logprobs.top_logprobs[0]


def token_id_of(client: openai.OpenAI, text: str) -> int:
    answer = httpx.post(f"{client.base_url}tokenize".replace("/v1/", "/"), json={"prompt": text, "add_special_tokens": False})
    (token_id,) = answer.json()["tokens"]
    return int(token_id)


@pytest.mark.parametrize("stream", [False, True])
def test_echo(client: openai.OpenAI, stream: bool) -> None:
    """The prompt's tokens come first; what is asked of the prompt alone is the same."""
    ask: dict[str, Any] = {
        "model": "",
        "prompt": ["A fanlight is", "Two and two"],
        "temperature": 0,
        "logprobs": 2,
        "echo": True,
    }
    found: list[Any] = list(client.completions.create(**ask, max_tokens=5, stream=stream))
    if not stream:
        found = [client.completions.create(**ask, max_tokens=5)]
    alone = client.completions.create(**ask, max_tokens=0)
    assert alone.usage and alone.usage.completion_tokens == 0
    for index, prompt in enumerate(ask["prompt"]):
        choices = [c for answer in found for c in answer.choices if c.index == index]
        text = "".join(c.text for c in choices)
        tokens, values, offsets = (
            [x for c in choices if c.logprobs for x in getattr(c.logprobs, name)]
            for name in ("tokens", "token_logprobs", "text_offset")
        )
        assert text.startswith(prompt) and values[0] is None and all(v <= 0 for v in values[1:])
        assert len(tokens) == len(values) == len(offsets) > 5 and offsets == sorted(offsets)
        assert alone.choices[index].text == prompt and alone.choices[index].finish_reason == "length"
        logprobs = alone.choices[index].logprobs
        assert logprobs and logprobs.token_logprobs == values[: len(logprobs.token_logprobs or ())]
        assert all(text[o:].startswith(t) or o == 0 for o, t in zip(offsets, tokens, strict=True))


def test_prompt_logprobs(client: openai.OpenAI) -> None:
    """vLLM's, and the echo's numbers."""
    ask: dict[str, Any] = {"model": "", "prompt": "A fanlight is", "temperature": 0, "max_tokens": 2}
    echo = client.completions.create(**ask, echo=True, logprobs=0).choices[0].logprobs
    extra = client.completions.create(**ask, extra_body={"prompt_logprobs": 4, "return_token_ids": True}).choices[0].model_extra
    assert echo and echo.token_logprobs and extra and extra["prompt_logprobs"][0] is None
    for i, token_id in enumerate(extra["prompt_token_ids"][1:], 1):
        entry = extra["prompt_logprobs"][i]
        assert entry[str(token_id)]["logprob"] == echo.token_logprobs[i] and len(entry) in (4, 5)
        assert all(one["rank"] <= 4 for key, one in entry.items() if key != str(token_id))
    chat = client.chat.completions.create(**ASK, extra_body={"prompt_logprobs": 0})
    assert chat.model_extra and len(chat.model_extra["prompt_logprobs"]) == chat.usage.prompt_tokens  # type: ignore[union-attr]


def test_best_of(client: openai.OpenAI) -> None:
    """Of as many answers as single requests with the next seeds give, the likeliest by its mean. (The token that ends an answer
    counts, but is not in its list: so none ends.)"""
    ask: dict[str, Any] = {"model": "", "prompt": "Tell me", "temperature": 1.5, "max_tokens": 6}
    ask["extra_body"] = {"ignore_eos": True}
    singles = [client.completions.create(**ask, seed=7 + i, logprobs=0).choices[0] for i in range(4)]
    means = [_mean(choice.logprobs) for choice in singles]
    order = sorted(range(4), key=lambda i: -means[i])
    best = client.completions.create(**ask, seed=7, n=2, best_of=4)
    assert [c.text for c in best.choices] == [singles[i].text for i in order[:2]] and [c.index for c in best.choices] == [0, 1]
    assert best.choices[0].logprobs is None and best.usage and best.usage.completion_tokens > 12


def _mean(logprobs: Any) -> float:
    return float(sum(logprobs.token_logprobs) / len(logprobs.token_logprobs)) if logprobs.token_logprobs else 0.0
