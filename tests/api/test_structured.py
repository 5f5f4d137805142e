"""The words for structured output: each gives the automaton that it should, or an error that names the place."""

from typing import Any

import pytest

from fanlight.api.requests import parse_chat_request, parse_completion_request
from fanlight.api.structured import constrained
from fanlight.driver import run
from fanlight.errors import RequestError
from fanlight.grammar import Matcher

CHAT = {"messages": [{"role": "user", "content": "hi"}]}
OBJECT = {"type": "object"}


def takes(body: dict[str, Any], text: str, is_chat: bool = True) -> bool:
    request = parse_chat_request(CHAT | body) if is_chat else parse_completion_request({"prompt": "a"} | body)
    params = run(constrained(request.params, request.structured))
    assert params.grammar is not None
    matcher = Matcher(params.grammar)
    return matcher.accept(text.encode()) and matcher.is_complete


TAG = {"structures": [{"begin": "<a>", "schema": OBJECT, "end": "</a>"}], "triggers": ["<a"]}
RESPONSE_FORMATS = [
    ({"type": "json_object"}, '{"a": 1}', "1"),
    ({"type": "json_object", "schema": OBJECT}, "{}", "[]"),
    ({"type": "json_object", "schema": '{"type": "object"}'}, "{}", "[]"),
    ({"type": "json_schema", "json_schema": {"name": "x", "schema": OBJECT, "strict": True}}, "{}", "[]"),
    ({"type": "json_schema", "json_schema": {"name": "x", "schema": OBJECT, "strict": False}}, "{}", "[]"),
    ({"type": "json_schema", "json_schema": {"name": "x"}}, "{}", "[]"),
    ({"type": "regex", "pattern": "a+"}, "aaa", "ab"),
    ({"type": "regex", "regex": "a+"}, "aaa", "ab"),
    ({"type": "structural_tag", **TAG}, "say <a>{}</a> end", "say <a>[]</a>"),
    ({"type": "structural_tag", "format": {"type": "const_string", "value": "x"}}, "x", "y"),
]
FIELDS = [
    ({"guided_json": OBJECT}, "{}", "[]"),
    ({"guided_json": '{"type": "object"}'}, "{}", "[]"),
    ({"guided_regex": "[0-9]+"}, "12", "a"),
    ({"guided_choice": ["red", "green"]}, "green", "blue"),
    ({"structured_outputs": {"json": OBJECT}}, "{}", "[]"),
    ({"structured_outputs": {"regex": "a|b"}}, "b", "c"),
    ({"structured_outputs": {"choice": ["x", "y"], "regex": None}}, "y", "z"),
    ({"structured_outputs": {"json_object": True}}, "{}", "[]"),
    ({"structured_outputs": {"structural_tag": TAG}}, "<a>{}</a>", "<a>"),
    ({"json_schema": OBJECT}, "{}", "[]"),
]
GIVEN = [({"response_format": f}, good, bad) for f, good, bad in RESPONSE_FORMATS] + FIELDS


@pytest.mark.parametrize(("body", "good", "bad"), GIVEN, ids=lambda v: str(v)[:60])
def test_every_word_gives_its_automaton(body, good, bad):
    for is_chat in (True, False):
        assert takes(body, good, is_chat) and not takes(body, bad, is_chat)


@pytest.mark.parametrize("body", [{}, {"response_format": {"type": "text"}}, {"structured_outputs": {"json_object": False}}])
def test_no_word_is_no_grammar(body):
    request = parse_chat_request(CHAT | body)
    assert run(constrained(request.params, request.structured)) is request.params


def test_two_at_once_are_named():
    with pytest.raises(RequestError, match=r"response_format and guided_regex both"):
        parse_chat_request(CHAT | {"guided_regex": "a", "response_format": {"type": "json_object"}})
    with pytest.raises(RequestError, match=r"exactly one.*json, regex"):
        parse_chat_request(CHAT | {"structured_outputs": {"json": {}, "regex": "a"}})


REFUSED = [
    ({"response_format": "json"}, "response_format"),
    ({"response_format": {"type": "xml"}}, "response_format"),
    ({"response_format": {"type": ["text"]}}, "response_format"),
    ({"response_format": {"type": "json_object", "strict": True}}, "response_format.strict"),
    ({"response_format": {"type": "json_object", "schema": "{"}}, "response_format.schema"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"response_format": {"type": "json_schema", "json_schema": OBJECT}}, "response_format.json_schema.type"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": [1]}}},
        "response_format.json_schema.schema",
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": 1}}},
        "response_format.json_schema.strict",
    ),
    ({"response_format": {"type": "regex"}}, "response_format.regex"),
    ({"response_format": {"type": "regex", "pattern": "(a"}}, "response_format.pattern"),
    ({"guided_regex": "(a"}, "guided_regex"),
    ({"guided_regex": 3}, "guided_regex"),
    ({"guided_choice": []}, "guided_choice"),
    ({"guided_choice": ["a", 1]}, "guided_choice"),
    ({"structured_outputs": {}}, "structured_outputs"),
    ({"structured_outputs": {"regexp": "a"}}, "structured_outputs.regexp"),
    ({"structured_outputs": {"json_object": 1}}, "structured_outputs.json_object"),
    ({"structured_outputs": {"structural_tag": {"format": {"type": "tagg"}}}}, "structured_outputs.structural_tag.format.type"),
    ({"response_format": {"type": "structural_tag", "format": {"type": "tagg"}}}, "response_format.format.type"),
]


@pytest.mark.parametrize(("body", "param"), REFUSED, ids=lambda v: str(v)[:60])
def test_what_is_wrong_is_named_by_its_place(body, param):
    with pytest.raises(RequestError) as caught:
        takes(body, "")
    assert caught.value.param == param
