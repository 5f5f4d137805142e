"""Structured output from end to end: whatever the model is, a finished answer is what was asked for."""

import json
import re
from typing import Annotated, Any, Literal

import jsonschema
import openai
import pydantic
import pytest

import fanlight
from fanlight.api.python import LocalEngine
from fanlight.errors import RequestError
from tests.api.test_server import served
from tests.cli.tiny import write_model

USER = [{"role": "user", "content": "Hi"}]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "ü"]}, "maxItems": 3},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
CHOICES = ["rød", "green", "greener"]
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "v": {"type": "boolean"},
                "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2},
            },
            "required": ["v"],
            "additionalProperties": False,
        }
    },
}


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}}


def satisfies(schema: dict[str, Any]) -> Any:
    return lambda text: jsonschema.validate(json.loads(text), schema)


def matches(pattern: str) -> Any:
    def judge(text: str) -> None:
        assert re.fullmatch(pattern, text), text

    return judge


ASKED = [
    (strict(PERSON), satisfies(PERSON)),
    (strict(TREE), satisfies(TREE)),
    ({"guided_choice": CHOICES}, matches("|".join(CHOICES))),
    ({"guided_regex": r"\d{2}:\d{2}( [AP]M)?"}, matches(r"\d{2}:\d{2}( [AP]M)?")),
    (
        {"structured_outputs": {"json": {"type": "array", "items": {"type": "number"}, "maxItems": 2}}},
        satisfies({"maxItems": 2}),
    ),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Whose next token is a digest of everything before: no model is less willing."""
    path = write_model(tmp_path_factory.mktemp("model") / "tiny.gguf")
    with fanlight.load(path, device="null") as engine:
        yield engine


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with fanlight.load(write_model(tmp_path_factory.mktemp("model") / "tiny.gguf"), device="native") as engine:
        yield engine


def finished(engine: LocalEngine, asked: dict[str, Any], judge: Any, **more: Any) -> int:
    answer = engine.chat.completions.create(messages=USER, max_tokens=150, **asked, **more)
    for choice in answer.choices:
        assert choice.finish_reason in ("stop", "length")
        if choice.finish_reason == "stop":
            judge(choice.message.content)
    return sum(choice.finish_reason == "stop" for choice in answer.choices)


@pytest.mark.parametrize("number", range(len(ASKED)))
def test_finished_answers_are_what_was_asked_for(engine, number):
    asked, judge = ASKED[number]
    assert sum(finished(engine, asked, judge, temperature=2, seed=seed, n=3) for seed in range(3)) >= 3


@pytest.mark.parametrize("number", range(len(ASKED)))
def test_on_a_gpu_too(native, number):
    asked, judge = ASKED[number]
    bias = {str(i): 100 for i in range(0, 100, 7)}  # lets nothing through
    found = [finished(native, asked, judge, temperature=t, seed=t) for t in (0, 1, 2)]
    found.append(finished(native, asked, judge, temperature=1, top_p=0.5, seed=1, logit_bias=bias, frequency_penalty=1.5, n=2))
    assert sum(found) >= 2


def test_streams_and_completions_give_the_same_text(engine):
    for asked, judge in ASKED:
        options = {"max_tokens": 150, "temperature": 1, "seed": 3, **asked}
        whole = engine.chat.completions.create(messages=USER, **options).choices[0].message.content
        chunks = engine.chat.completions.create(messages=USER, stream=True, **options)
        assert "".join(c.choices[0].delta.get("content") or "" for c in chunks) == whole
        completion = engine.completions.create(prompt="Hi", **options).choices[0]
        if completion.finish_reason == "stop":
            judge(completion.text)


def test_what_cannot_go_on_ends_at_the_text_that_is_whole(engine):
    answer = engine.chat.completions.create(messages=USER, guided_choice=["green"], ignore_eos=True)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("green", "stop")
    answer = engine.chat.completions.create(messages=USER, guided_choice=["green"], max_tokens=1)
    assert answer.choices[0].finish_reason == "length" and "green".startswith(answer.choices[0].message.content)


def test_what_must_come_first_needs_no_pass_for_each_token(engine, monkeypatch):
    text = "Once upon a time there was a forced beginning, "
    asked = {"guided_regex": text + "[ab]{3}", "max_tokens": 150, "temperature": 0, "return_token_ids": True}

    def steps() -> tuple[int, Any]:
        before = engine.loaded.engine.stats().num_steps
        answer = engine.completions.create(prompt="Hi", **asked)
        return engine.loaded.engine.stats().num_steps - before, answer

    few, answer = steps()
    assert answer.choices[0].text.startswith(text) and answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == len(answer.choices[0].token_ids) > few
    cut = engine.completions.create(prompt="Hi", **asked | {"max_tokens": 3})
    assert cut.choices[0].token_ids[:2] == answer.choices[0].token_ids[:2] and cut.usage.completion_tokens == 3
    monkeypatch.setattr("fanlight.api.completions.started", nothing)
    many, slow = steps()
    assert many > few and slow.choices[0].text.startswith(text)
    asked = {"guided_choice": [text], "max_tokens": 150}
    assert engine.completions.create(prompt="Hi", **asked).choices[0].text == text
    monkeypatch.undo()
    assert engine.completions.create(prompt="Hi", **asked).choices[0].text == text


async def nothing(params: Any, tokenizer: Any) -> Any:
    return params


def test_what_is_not_enforced_is_refused_by_its_name(engine):
    with pytest.raises(RequestError) as caught:
        engine.chat.completions.create(messages=USER, **strict({"type": "object", "properties": {"a": {"typ": "string"}}}))
    assert caught.value.param == "response_format.json_schema.schema.properties.a.typ"


class Mood(pydantic.BaseModel):
    kind: Literal["happy", "sad"]
    score: Annotated[int, pydantic.Field(ge=0, le=9)]
    because: list[bool] | None


def test_openais_client_parses_pydantic_models(engine):
    with served(engine.loaded) as base, openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0) as client:
        ask = {"model": "tiny", "messages": USER, "response_format": Mood, "seed": 1, "max_tokens": 200}
        parsed = client.chat.completions.parse(**ask).choices[0].message.parsed
        assert isinstance(parsed, Mood) and parsed.kind in ("happy", "sad") and 0 <= parsed.score <= 9
        with client.chat.completions.stream(**ask) as stream:
            assert stream.get_final_completion().choices[0].message.parsed == parsed
