"""JSON Schema: each keyword on a valid and a violating text, or refused by name; random schemas judged by `jsonschema`."""

import json
import re
from pathlib import Path
from random import Random

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.errors import RequestError
from fanlight.grammar.keywords import READERS
from fanlight.grammar.nodes import ANNOTATIONS
from fanlight.grammar.string_formats import FORMATS as STRING_FORMATS
from tests.grammar.schemas import schemas, values
from tests.grammar.walks import accepts, schema, spellings, walk

INTEGERS = {"a": {"type": "integer"}, "b": {"type": "integer"}}
OBJECT = {"type": "object", "properties": INTEGERS}
NODE = {"type": "object", "properties": {"c": {"type": "array", "items": {"$ref": "#"}}}, "additionalProperties": False}
# what: schema, valid texts, violating texts
CASES = {
    "type": ({"type": ["string", "null"]}, ['"x"', "null"], ["1", "[]", "nul"]),
    "integer": ({"type": "integer"}, ["0", "-12", "123456789012345"], ["1.5", "01", "-", "1e3", "1.0"]),
    "number": ({"type": "number"}, ["0", "-1.5", "2e10", "1.0"], ["01", ".5", "1.", "+1", "NaN"]),
    "boolean": ({"type": "boolean"}, ["true", "false"], ["null", "True"]),
    "true": (True, ['{"a": [1, null, "x"]}', "3"], ["{]", ""]),
    "string": (
        {"type": "string"},
        ['"a\\n\\"\\u00e9é😀"', '"\\ud83d\\ude00"'],
        ['"\n"', '"\\q"', '"\\ud83d"', '"a', b'"\xff"'],
    ),
    "enum": ({"enum": ["a", 1, None, {"k": [1]}]}, ['"a"', "1", "null", '{"k": [1]}'], ['"b"', "2", '{"k": [2]}']),
    "enum and type": ({"enum": ["a", 1], "type": "string"}, ['"a"'], ["1"]),
    "const": ({"const": {"a": [1, None]}}, ['{"a": [1, null]}', '{"a":[1,null]}'], ['{"a": [1]}', "{}"]),
    "const number": ({"const": 1.5}, ["1.5"], ["1", "1.51", "15"]),
    "minimum": ({"type": "integer", "minimum": 3, "maximum": 12}, ["3", "12", "7"], ["2", "13", "-5", "30"]),
    "exclusive": (
        {"type": "number", "exclusiveMinimum": 0.5, "exclusiveMaximum": 2},
        ["1.99", "0.51"],
        ["0.5", "2", "2.0", "-1"],
    ),
    "negative range": ({"type": "number", "minimum": -1.25, "maximum": -1}, ["-1.2", "-1", "-1.25"], ["-1.3", "-0.9", "1.1"]),
    "multipleOf": ({"type": "integer", "multipleOf": 7}, ["14", "0", "-7"], ["15", "1"]),
    "multipleOf of numbers": ({"type": "number", "multipleOf": 0.25}, ["1.5", "1.75", "2"], ["1.3", "0.1"]),
    "minLength": (
        {"type": "string", "minLength": 1, "maxLength": 2},
        ['"é"', '"éé"', '"\\u00e9a"'],
        ['""', '"ééé"', '"\\u00e9ab"'],
    ),
    "pattern": ({"type": "string", "pattern": "b"}, ['"abc"', '"b"'], ['"ac"', '""']),
    "anchored pattern": ({"type": "string", "pattern": "^a+$", "maxLength": 2}, ['"aa"'], ['"aaa"', '"ab"', '""']),
    "items": (
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        ["[1, 2]"],
        ["[]", "[1,2,3]", '["x"]'],
    ),
    "prefixItems": ({"prefixItems": [{"type": "integer"}], "items": False}, ["[1]", "[]", "3"], ["[1, 2]", '["x"]']),
    "items of draft 7": (
        {"items": [{"type": "null"}], "additionalItems": {"type": "integer"}},
        ["[null, 1]"],
        ["[1]", "[null,null]"],
    ),
    "contains": (
        {"type": "array", "items": {"type": "integer"}, "contains": {"const": 1}},
        ["[1]", "[2, 1, 3]"],
        ["[2]", "[]"],
    ),
    "maxContains": (
        {"contains": {"type": "null"}, "minContains": 1, "maxContains": 2},
        ["[null, 1, null]"],
        ["[null,null,null]", "[1]"],
    ),
    "uniqueItems": (
        {"type": "array", "items": {"enum": ["a", "b", 1]}, "uniqueItems": True},
        ['["b", "a"]', "[]"],
        ['["a","a"]', "[1,1]"],
    ),
    "uniqueItems of many values": (
        {"type": "array", "items": {"enum": [*"hgfedcba", 1, True]}, "uniqueItems": True, "minItems": 1},
        ['["h", "a", 1, true]', '["c"]', "[true]"],
        ['["a", "a"]', "[]", "[1, 1]", '["x"]'],
    ),
    "uniqueItems of a range": (
        {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 12}, "uniqueItems": True, "maxItems": 3},
        ["[2, 10, 11]", "[]"],
        ["[2, 2]", "[10, 11, 11]", "[1, 2, 3, 4]"],
    ),
    "properties": (OBJECT, ["{}", '{"a": 1, "c": "x"}'], ['{"a": "x"}', "[]"]),
    "no type": ({"properties": INTEGERS, "required": ["a"]}, ['{"a": 1}', "3"], ['{"a": "x"}', "{}"]),
    "required": ({"type": "object", "required": ["z"]}, ['{"z": 1}', '{"z": {}, "y": 1}'], ["{}", '{"y": 1}']),
    "additionalProperties": ({**OBJECT, "additionalProperties": False}, ['{"b": 1}'], ['{"c": 1}']),
    "additionalProperties of a schema": (
        {**OBJECT, "additionalProperties": {"type": "null"}},
        ['{"a": 1, "x": null}'],
        ['{"x": 1}'],
    ),
    "patternProperties": (
        {"type": "object", "patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False},
        ['{"ab": 1}', "{}"],
        ['{"ab": "x"}', '{"b": 1}'],
    ),
    "propertyNames": ({"type": "object", "propertyNames": {"pattern": "^a"}}, ['{"ab": 1}'], ['{"b": 1}']),
    "minProperties": ({**OBJECT, "additionalProperties": False, "minProperties": 2}, ['{"a": 1, "b": 2}'], ['{"a": 1}', "{}"]),
    "maxProperties": ({"type": "object", "maxProperties": 1}, ['{"x": 1}', "{}"], ['{"x": 1, "y": 2}']),
    "dependentRequired": ({**OBJECT, "dependentRequired": {"a": ["b"]}}, ['{"a": 1, "b": 1}', '{"b": 1}'], ['{"a": 1}']),
    "dependentSchemas": ({**OBJECT, "dependentSchemas": {"a": {"required": ["b"]}}}, ['{"a": 1, "b": 1}'], ['{"a": 1}']),
    "dependencies": ({**OBJECT, "dependencies": {"a": ["b"]}}, ['{"a": 1, "b": 1}'], ['{"a": 1}']),
    "unevaluatedProperties": ({**OBJECT, "unevaluatedProperties": False}, ['{"a": 1}'], ['{"c": 1}']),
    "unevaluatedItems": ({"prefixItems": [True], "unevaluatedItems": False}, ["[1]"], ["[1, 2]"]),
    "unevaluatedProperties beside anyOf": (
        {
            "properties": {"a": {"type": "integer"}},
            "anyOf": [{"required": ["b"], "properties": {"b": {"type": "null"}}}, {"patternProperties": {"^c": True}}],
            "unevaluatedProperties": False,
        },
        ['{"a": 1, "b": null}', '{"a": 1, "c1": 2}', '{"b": null, "c1": 2}', '{"a": 1}'],
        ['{"a": 1, "b": 1}', '{"d": 1}', '{"b": null, "d": 1}'],
    ),
    "unevaluatedItems and contains": (
        {"prefixItems": [True], "contains": {"type": "string"}, "unevaluatedItems": {"type": "null"}},
        ['[1, "x", null]', '["x"]'],
        ['[1, "x", 2]', "[1]"],
    ),
    "references by name": (
        {
            "$id": "http://a.b/c/d",
            "properties": {"x": {"$ref": "e#in"}, "y": {"$ref": "/f"}, "z": {"$dynamicRef": "#top"}},
            "$defs": {
                "e": {"$id": "e", "$defs": {"g": {"$anchor": "in", "$ref": "#/$defs/h"}, "h": {"type": "null"}}},
                "f": {"$id": "http://a.b/f", "type": "string"},
                "h": {"$dynamicAnchor": "top", "type": "boolean"},
            },
        },
        ['{"x": null, "y": "", "z": true}'],
        ['{"x": true}', '{"y": null}', '{"z": null}'],
    ),
    "allOf": ({"allOf": [{**OBJECT, "required": ["a"]}, {"required": ["b"]}]}, ['{"a": 1, "b": 2}'], ['{"a": 1}', '{"b": 2}']),
    "anyOf and properties": (
        {**OBJECT, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        ['{"a": 1}', '{"b": 1}'],
        ["{}", '{"a": ""}'],
    ),
    "oneOf": ({"oneOf": [{"type": "integer", "minimum": 0}, {"type": "integer", "maximum": 5}]}, ["7", "-1"], ["3", '"x"']),
    "oneOf of objects": (
        {"oneOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}]},
        ['{"a": 1}', '{"b": 1, "c": 2}'],
        ['{"a": 1, "b": 1}', "{}"],
    ),
    "not": ({"type": "string", "not": {"const": "a"}}, ['"b"', '"aa"'], ['"a"', '"\\u0061"']),
    "if": (
        {**OBJECT, "if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}},
        ['{"a": 2}', '{"a": 1, "b": 0}'],
        ['{"a": 1}'],
    ),
    "else": ({"if": {"type": "string"}, "else": {"type": "null"}}, ['"x"', "null"], ["1"]),
    "$ref and siblings": (
        {"$defs": {"x": {"type": "string"}}, "$ref": "#/$defs/x", "maxLength": 3},
        ['"abc"'],
        ['"abcd"', "1"],
    ),
    "recursion": (NODE, ['{"c": [{"c": []}, {}]}'], ['{"c": [1]}', '{"c": [{"d": 1}]}']),
    "contentEncoding": ({"type": "string", "contentEncoding": "base64"}, ['"YWI="', '""'], ['"YWI"', '"é"']),
    "duplicates of listed names": (OBJECT, [], ['{"a": 1, "a": 1}', '{"\\u0061": "x"}']),
}
FORMATS = {
    "date": (["2024-02-29", "1999-12-31"], ["2023-02-29", "2024-13-01", "x", "0000-01-01"]),
    "time": (["23:59:59Z", "10:00:00.25+02:00"], ["24:00:00Z", "10:00:00", "1:00:00Z"]),
    "date-time": (["2024-01-01T00:00:00Z"], ["2024-01-01 00:00:00Z", "2024-01-01"]),
    "duration": (["P1Y2M3D", "PT5M", "P4W", "P1DT2H"], ["P", "PT", "P1Y3D4W", "1D"]),
    "email": (["joe.bloggs@example.com"], ["joe", "a@b", ".a@b.cd", "a..b@c.de"]),
    "hostname": (["example.com", "a-b.c"], ["-a.com", "a-.com", "a..b", "x" * 64]),
    "ipv4": (["127.0.0.1"], ["256.0.0.1", "1.2.3", "01.2.3.4"]),
    "ipv6": (["::1", "2001:db8::7", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4"], [":::", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::"]),
    "uuid": (["2eb8aa08-aa98-11ea-b4aa-73b441d16380"], ["2eb8aa08aa9811eab4aa73b441d16380", "x"]),
    "uri": (["http://a.b/c?d=e#f", "mailto:x@y.z", "urn:isbn:1"], ["//a.b", "a b:c", "http://a b"]),
    "uri-reference": (["/a/b", "?x", "http://a"], ["\\\\x", "a b"]),
    "idn-email": (["joe.bloggs@example.com"], ["joe", "a@b"]),
    "idn-hostname": (["example.com"], ["-a.com", "xn--a"]),
    "iri": (["http://a.b/c?d=é#f"], ["//a.b", "a b:c"]),
    "iri-reference": (["/a/b", "ä"], ["\\\\x"]),
    "uri-template": (["http://a.b/{c}/d{?e,f*}{+g:3}"], ["a{b", "a}", "{}", "{a b}", "a'b"]),
    "regex": (
        ["", "^a+$", r"[a-z0-9_]{2,}|(?:\d+|x*)?", r"\(\.\[", "[^a-z]"],
        ["(", "a)", "[", "a**", "*", r"\a", "[z-a]", "{1}", "(?=a)", "a{2,1}"],
    ),
    "json-pointer": (["", "/a~0/b"], ["a", "/~2"]),
    "relative-json-pointer": (["1/a", "0#"], ["/a", "01"]),
}
# what: schema, the keyword that the refusal names
REFUSED = {
    "uniqueItems of many values": ({"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, "uniqueItems"),
    "external reference": ({"$ref": "http://example.com/a"}, "$ref"),
    "unknown format": ({"type": "string", "format": "zzz"}, "format"),
    "unknown keyword": ({"type": "string", "maxlength": 3}, "maxlength"),
    "minProperties of free names": ({"type": "object", "minProperties": 2}, "minProperties"),
    "look-around": ({"type": "string", "pattern": "(?=a)b"}, "pattern"),
    "missing reference": ({"$ref": "#/$defs/x"}, "$ref"),
    "reference to itself": ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "anyOf"),
    "nothing": ({"type": "string", "enum": [1]}, "format"),
    "bad type": ({"type": "strnig"}, "type"),
    "bad bound": ({"type": "integer", "minimum": "3"}, "minimum"),
    "bad length": ({"type": "string", "maxLength": -1}, "maxLength"),
    "contrary of a format": ({"type": "string", "not": {"format": "date"}}, "format"),
    "dynamic": ({"$dynamicRef": "#x"}, "$dynamicRef"),
    "media type": ({"contentMediaType": "application/json"}, "contentMediaType"),
    "$ref beside $id": (
        {
            "$id": "http://a.b/c/",
            "$defs": {"d": {"$id": "e"}, "f": {"$id": "/g/e"}},
            "items": {"$id": "http://a.b/g/", "$ref": "e"},
        },
        "$ref",
    ),
    "an anchor twice": ({"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}, "$ref": "#x"}, "$ref"),
    "a dynamic reference that depends on who refers": (
        {
            "$ref": "a",
            "$defs": {"a": {"$id": "a", "items": {"$dynamicRef": "#x"}, "$defs": {"b": {"$dynamicAnchor": "x"}}}},
            "$dynamicAnchor": "x",
        },
        "$dynamicRef",
    ),
    "too many ways": (
        {"anyOf": [{"properties": {f"a{i}": True}} for i in range(7)], "unevaluatedProperties": False},
        "anyOf",
    ),
    "too long": ({"type": "string", "maxLength": 10**6}, "maxLength"),
    "too many": ({"type": "array", "maxItems": 10**6}, "maxItems"),
}


@pytest.mark.parametrize("case", CASES)
def test_keywords(case):
    document, valid, violating = CASES[case]
    automaton = schema(document)
    assert [text for text in valid if not accepts(automaton, text)] == []
    assert [text for text in violating if accepts(automaton, text)] == []


@pytest.mark.parametrize("name", FORMATS)
def test_formats_of_strings(name):
    valid, violating = FORMATS[name]
    automaton = schema({"type": "string", "format": name})
    assert [text for text in valid if not accepts(automaton, json.dumps(text, ensure_ascii=False))] == []
    assert [text for text in violating if accepts(automaton, json.dumps(text, ensure_ascii=False))] == []


def test_random_texts_of_the_format_regex_are_some():
    automaton = schema({"type": "string", "format": "regex"})
    for seed in range(200):
        re.compile(json.loads(walk(automaton, Random(seed), 40)))


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_enforced_is_refused_by_name(case):
    document, keyword = REFUSED[case]
    with pytest.raises(RequestError) as refused:
        schema(document)
    assert refused.value.param.split(".")[-1] == keyword or f".{keyword}." in refused.value.param


def test_the_documents_list_every_keyword_annotation_and_format():
    page = (Path(__file__).parents[2] / "docs" / "grammars.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", page, re.M)
    assert {name for row in rows for name in re.findall("`(.*?)`", row)} == set(READERS)
    ignored = page[page.index("Said to people") : page.index("Every other keyword")]
    assert set(re.findall("`(.*?)`", ignored)) == ANNOTATIONS
    listed = page[page.index("Formats: `") : page.index("An answer keeps to a plain form")]
    assert set(re.findall("`(.*?)`", listed)) == set(STRING_FORMATS) == set(FORMATS)


def test_indented_and_compact_texts():
    automaton = schema({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}, "b": {}}})
    value = {"a": [1, 2], "b": {"x": [], "y": {"z": None}}}
    for text in (json.dumps(value), json.dumps(value, indent=2), json.dumps(value, separators=(",", ":"))):
        assert accepts(automaton, text)
    assert not accepts(automaton, '{"a":  [1]}') and not accepts(automaton, '{"a" : 1}') and not accepts(automaton, "{}\n")


@given(schemas(), st.randoms(use_true_random=False), st.lists(values(), min_size=20, max_size=40))
@settings(max_examples=60, deadline=None)
def test_random_schemas(document, random, instances):
    """A random text of the automaton is valid; a small value is valid just if the automaton takes one of its spellings."""
    try:
        automaton = schema(document)
    except RequestError as error:
        if "no text satisfies" not in error.message:
            return
        automaton = None
    judge = jsonschema.Draft202012Validator(document)
    rng = Random(random.random())
    for most in (5, 20, 60, 60) if automaton else ():
        text = walk(automaton, rng, most)
        assert judge.is_valid(json.loads(text)), text
    for value in instances:
        taken = automaton is not None and any(accepts(automaton, text) for text in spellings(value))
        assert taken == judge.is_valid(value), value
