"""Structured output in Chromium, with the built-in model: the answers are valid, and the native engine's, token for token."""

import json

import jsonschema
import pytest

import fanlight

pytestmark = [pytest.mark.browser, pytest.mark.minutes]

SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Łódź"]}, "big": {"type": "boolean"}},
    "required": ["city", "big"],
    "additionalProperties": False,
}
OPTIONS = {"prompt": "A city: ", "temperature": 0, "max_tokens": 40, "return_token_ids": True}
FORMATS = [
    {"response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}}},
    {"guided_choice": ["Oslo", "Łódź"]},
]

ASK = """async (bodies) => {
  const { load } = await import("/fanlight/index.js");
  const engine = await load("built-in", { contextLength: 256 });
  const answers = await Promise.all(bodies.map((body) => engine.completions.create(body)));
  const bad = { ...bodies[0], response_format: { type: "json_object", schema: { typ: 1 } } };
  const refused = await engine.completions.create(bad).catch(({ name, param }) => [name, param]);
  await engine.close();
  return { answers, refused };
}"""


@pytest.mark.timeout(600)
def test_answers_are_valid_and_the_native_engines(page, assets):
    bodies = [OPTIONS | format for format in FORMATS]
    done = page.evaluate(ASK, bodies)
    assert done["refused"] == ["RequestError", "response_format.schema.typ"]
    contents = [answer["choices"][0]["text"] for answer in done["answers"]]
    jsonschema.validate(json.loads(contents[0]), SCHEMA)
    assert contents[1] in ("Oslo", "Łódź")
    with fanlight.load("built-in", context_length=256) as engine:
        for body, answer in zip(bodies, done["answers"], strict=True):
            assert engine.completions.create(**body).choices[0].token_ids == answer["choices"][0]["token_ids"]
