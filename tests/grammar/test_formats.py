"""Grammars in text, structural tags, and the automaton that all formats become."""

import json
from array import array
from random import Random

import pytest

from fanlight.errors import RequestError
from fanlight.grammar import Matcher, compile_format
from fanlight.grammar.automaton import HEADER, MAX_DEPTH
from fanlight.grammar.formats import KEYS, Kept, kept
from tests.grammar.walks import accepts, ending, schema, walk

JSON_GBNF = r"""
# llama.cpp's way of writing JSON
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws ( string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""
EXPRESSION = r"""root ::= expr
expr ::= expr "+" term | expr "-" term | term
term ::= term "*" factor | factor
factor ::= [0-9]+ | "(" expr ")" """
GRAMMARS = {
    "JSON": (JSON_GBNF, ["{}", '{"a": [1, 2.5e3, "x\\n"], "b": {"c": null}}\n  '], ["[", '{"a" 1}', '{"a":1}  ']),
    "left recursion": (EXPRESSION, ["1", "1+2*(3-4)", "((1))"], ["1+", "(1", "1)"]),
    "nested": ('root ::= "a" root "b" | ""', ["", "ab", "aaabbb"], ["aab", "a"]),
    "right recursion": ('root ::= item root | item\nitem ::= "- " [^\\n]+ "\\n"', ["- a\n", "- a\n- é\n"], ["- a", "a\n"]),
    "what follows begins alike": ('root ::= a "x"\na ::= "x"*', ["x", "xxx"], ["", "y"]),
    "calls that begin alike": (
        'root ::= (a | b)+\na ::= "ab" c?\nb ::= "a"\nc ::= "b" a?',
        ["ab", "aab", "aba", "abbab"],
        ["b"],
    ),
    "repetitions": ('root ::= [a-c]{2} "é"{1,} .{0,2}', ["abé", "ccéé😀x"], ["aé", "abéxyz", "ab"]),
    "joint calls": (
        'root ::= "(" x ")1" | "(" y ")2"\nx ::= "(" x ")" | "a"\ny ::= "(" y ")" | "a" | "b"',
        ["((a))1", "((b))2", "((a))2"],
        ["((b))1"],
    ),
    "escapes": (r'root ::= "\x41\u00e9\t\"" [\]\-^]', ['Aé\t"]', 'Aé\t"-'], ['Aé\t"a']),
}
BAD_GRAMMARS = {
    "ambiguous": 'root ::= "a" root "a" | "b" root "b" | ""',
    "left-recursive: 'a' -> 'b'": 'root ::= a\na ::= b "x" | "y"\nb ::= a "z" | "w"',
    "uses a rule 'foo'": "root ::= foo",
    "no rule 'root'": 'x ::= "a"',
    "not understood": 'root ::= "a',
    "not understood from '= ": 'root ::= (= "a") "b"',
    "a range": "root ::= [z-a]",
    "a second rule": 'root ::= "a"\nroot ::= "b"',
    "no text satisfies": 'root ::= "a" root',
    "too large": 'root ::= (("a"{100}){100}){100}',
    "nest deeper": "root ::= " + "(" * 3000 + '"a"' + ")" * 3000,
}
OBJECT = {"type": "json_schema", "json_schema": {"type": "object"}}
TEXT = {"type": "any_text"}
TAGS = [{"begin": "<f=x>", "content": OBJECT, "end": "</f>"}, {"type": "tag", "begin": "<f=y>", "content": TEXT, "end": "</f>"}]
TRIGGERED = {"type": "triggered_tags", "triggers": ["<f="], "tags": TAGS}
SEPARATED = {"type": "tags_with_separator", "tags": TAGS, "separator": ", "}
ONE = {"type": "const_string", "value": "é"}
OLD = {
    "type": "structural_tag",
    "triggers": ["<f="],
    "structures": [{"begin": "<f=x>", "schema": {"type": "object"}, "end": "</f>"}],
}
FORMATS = {
    "const_string": (ONE, ["é"], ["", "e", "éé"]),
    "any_text": ({"type": "any_text", "excludes": ["ab", "b<"]}, ["", "a😀ba", "a" * 100], ["xaby", "b<", b"\xc3"]),
    "sequence": ({"type": "sequence", "elements": [ONE, {"type": "regex", "pattern": "a+"}]}, ["éaa"], ["é", "aé"]),
    "or": ({"type": "or", "elements": [ONE, OBJECT]}, ["é", "{}"], ["é{}"]),
    "optional": ({"type": "optional", "content": ONE}, ["", "é"], ["éé"]),
    "star": ({"type": "star", "content": ONE}, ["", "ééé"], ["a"]),
    "plus": ({"type": "plus", "content": ONE}, ["é", "ééé"], [""]),
    "repeat": ({"type": "repeat", "min": 1, "max": 2, "content": ONE}, ["é", "éé"], ["", "ééé"]),
    "repeat without end": ({"type": "repeat", "min": 1, "max": -1, "content": ONE}, ["é" * 9], [""]),
    "tag": (
        {"type": "tag", "begin": "<t>", "content": TEXT, "end": ["</t>", "\n"]},
        ["<t>a<b</t>", "<t>\n"],
        ["<t>a</t>b</t>", "<t>"],
    ),
    "triggered_tags": (TRIGGERED, ["", "hi <f=x>{}</f> and <f=y>zé</f>", '<f<f=x>{"a":1}</f>'], ["<f=z", "<f=x>{}</g>", "<f="]),
    "at_least_one": (
        {**TRIGGERED, "at_least_one": True},
        ["<f=x>{}</f>", "<f=x>{}</f> x<f=y></f>"],
        ["", "hi", "hi <f=x>{}</f>"],
    ),
    "stop_after_first": ({**TRIGGERED, "stop_after_first": True}, ["hi", "hi <f=y>a</f>"], ["<f=x>{}</f> "]),
    "first and last": (
        {**TRIGGERED, "at_least_one": True, "stop_after_first": True},
        ["<f=x>{}</f>"],
        ["", "<f=x>{}</f><f=x>{}</f>"],
    ),
    "excludes": ({**TRIGGERED, "excludes": ["no"]}, ["n o<f=x>{}</f>"], ["no", "no<f=x>{}</f>"]),
    "tags_with_separator": (SEPARATED, ["", "<f=x>{}</f>", "<f=x>{}</f>, <f=y>, </f>"], ["<f=x>{}</f><f=x>{}</f>", ", "]),
    "separated, one": (
        {**SEPARATED, "at_least_one": True, "stop_after_first": True},
        ["<f=x>{}</f>"],
        ["", "<f=x>{}</f>, <f=x>{}</f>"],
    ),
    "structural_tag": ({"type": "structural_tag", "format": TRIGGERED}, ["a<f=x>{}</f>"], ["<f=z"]),
    "structural_tag, old": (OLD, ["a<f=x>{}</f>b"], ["<f=y>", "<f=x>1</f>"]),
    "grammar": ({"type": "grammar", "grammar": 'root ::= "é"'}, ["é"], ["a"]),
    "two grammars": (
        {"type": "star", "content": {"type": "grammar", "grammar": 'root ::= x\nx ::= "a" x "b" | "."'}},
        ["a.b.", ""],
        ["a."],
    ),
}
BAD_FORMATS = {
    "format.type": {"type": "x"},
    "format.patern": {"type": "regex", "pattern": "a", "patern": "b"},
    "format.pattern": {"type": "regex"},
    "format.value": {"type": "const_string", "value": 1},
    "format.elements.1.type": {"type": "sequence", "elements": [ONE, {"type": "token", "token": 3}]},
    "format.elements": {"type": "or", "elements": []},
    "format.tags.0.begin": {**TRIGGERED, "triggers": ["<g"]},
    "format.triggers": {**TRIGGERED, "triggers": []},
    "format.content.json_schema.minimum": {"type": "plus", "content": {"type": "json_schema", "json_schema": {"minimum": "a"}}},
    "format.style": {**OBJECT, "style": "xml"},
    "format.min": {"type": "repeat", "min": 3, "max": 2, "content": ONE},
    "format": [],
    "format.structures.0": {**OLD, "structures": [{}]},
}
WALKED = {
    "any JSON": ({}, [b"[", b'{"a":']),
    "objects": ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["b"]}, []),
    "lists of lists": ({"type": "array", "items": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "minItems": 1}, [b"["]),
    "must nest": (
        {"type": "object", "properties": {"a": {"type": "array", "items": {"$ref": "#"}}}, "required": ["a"]},
        [b'{"a":['],
    ),
    "may end": ({"properties": {"a": {"$ref": "#"}, "b": {"type": "array", "items": {"$ref": "#"}}}}, [b'{"b":[', b'{"a":']),
}


@pytest.mark.parametrize("case", GRAMMARS)
def test_grammars_in_text(case):
    grammar, valid, violating = GRAMMARS[case]
    automaton = compile_format({"type": "grammar", "grammar": grammar})
    assert [text for text in valid if not accepts(automaton, text)] == []
    assert [text for text in violating if accepts(automaton, text)] == []
    for seed in range(20):
        assert accepts(automaton, walk(automaton, Random(seed)))


@pytest.mark.parametrize("message", BAD_GRAMMARS)
def test_grammars_that_are_refused(message):
    with pytest.raises(RequestError, match=message.replace("(", r"\(")):
        compile_format({"type": "grammar", "grammar": BAD_GRAMMARS[message]})


def test_right_recursion_needs_no_stack():
    matcher = Matcher(compile_format({"type": "grammar", "grammar": GRAMMARS["right recursion"][0]}))
    assert matcher.accept(b"- a\n" * 1000) and matcher.is_complete and len(matcher.stack) < 3


@pytest.mark.parametrize("case", FORMATS)
def test_formats(case):
    format, valid, violating = FORMATS[case]
    automaton = compile_format(format)
    assert [text for text in valid if not accepts(automaton, text)] == []
    assert [text for text in violating if accepts(automaton, text)] == []
    for seed in range(10):
        walk(automaton, Random(seed), 40).decode()


def test_every_type_of_format_has_a_case():
    assert set(KEYS) == {format["type"] for format, *_ in FORMATS.values()} | {"json_schema", "regex"}


@pytest.mark.parametrize("param", BAD_FORMATS)
def test_formats_that_are_refused(param):
    with pytest.raises(RequestError) as refused:
        compile_format(BAD_FORMATS[param])
    assert refused.value.param == param


@pytest.mark.parametrize("case", WALKED)
def test_no_random_text_comes_to_a_dead_end(case):
    document, opening = WALKED[case]
    automaton = schema(document)
    for seed in range(6):
        text = walk(automaton, Random(seed), 400)
        assert accepts(automaton, text)
        json.loads(text)
    matcher, taken = Matcher(automaton), b""  # nor where the stack ends
    while text := next((text for text in opening if matcher.accept(text)), b""):
        taken += text
    assert not opening or MAX_DEPTH - 3 <= len(matcher.stack) <= MAX_DEPTH
    json.loads(taken + ending(matcher, Random(0)))


@pytest.mark.parametrize("pattern", ["[xy]abcdef(gh|gi)?[0-3]ijk", "(ab|abc|ü[é]z)*end", "a{3}b?", "(x(yz)*)+!"])
def test_what_is_forced_is_what_all_texts_go_on_with(pattern):
    """Against a search that tries every byte."""
    for seed in range(20):
        matcher, random = Matcher(compile_format({"type": "regex", "pattern": pattern})), Random(seed)
        while True:
            forced, walk = matcher.forced(), matcher.copy()
            for byte in forced:
                assert not walk.is_complete and [b for b in range(256) if walk.copy().accept(bytes([b]))] == [byte]
                walk.accept(bytes([byte]))
            nexts = [b for b in range(256) if walk.copy().accept(bytes([b]))]
            assert walk.is_complete or len(nexts) != 1
            if not (allowed := [b for b in range(256) if matcher.copy().accept(bytes([b]))]):
                break
            matcher.accept(bytes([random.choice(allowed)]))


def test_a_matcher_takes_all_or_nothing_and_says_what_is_forced():
    matcher = Matcher(schema({"type": "object", "properties": {"name": {"const": "x"}}, "required": ["name"]}))
    assert not matcher.accept(b'{"nam_') and matcher.accept(b'{"n')
    assert matcher.forced() == b'ame":'
    other = matcher.copy()
    assert other.accept(b'ame": "x"}') and other.is_complete and not matcher.is_complete


def test_words_hold_all_tables():
    automaton = schema({})
    words, header = automaton.words, dict(zip(HEADER, automaton.words, strict=False))
    assert (header["num_classes"], header["start"]) == (automaton.num_classes, automaton.start)
    for name, following in zip(HEADER[2:], [*HEADER[3:], None], strict=True):
        end = header[following] if following else len(words)
        assert words[header[name] : end] == array("I", list(getattr(automaton, name)))


def test_the_same_format_is_compiled_once_and_always_alike():
    first = schema({"type": "object", "properties": {"a": {"enum": ["x", "y"]}}})
    assert schema({"type": "object", "properties": {"a": {"enum": ["x", "y"]}}}) is first
    kept.clear()
    assert schema({"type": "object", "properties": {"a": {"enum": ["x", "y"]}}}).words == first.words
    assert not accepts(schema({"required": ["b", "a"]}), '{"a":1,"b":2}') and accepts(
        schema({"required": ["a", "b"]}), '{"a":1,"b":2}'
    )


def test_what_is_kept_is_bounded():
    made = [schema({"const": "x" * i}) for i in range(5)]
    cache = Kept(3, sum(len(automaton.actions) for automaton in made[1:3]))
    for i, automaton in enumerate(made):
        cache.put(str(i), automaton)
        assert cache.get(str(i)) is automaton
    assert [cache.get(str(i)) for i in range(4)] == [None] * 4  # the last is larger than two of the others
    cache.put("2", made[2])
    cache.put("0", made[0])
    assert [cache.get(str(i)) for i in range(5)] == [made[0], None, made[2], None, None]


HOSTILE = {
    "nested arrays": {"type": "array"},
    "many optional properties": {"properties": {f"property_{i}": {"type": "string"} for i in range(500)}},
    "alternatives": {"allOf": [{"anyOf": [{"required": [f"a{i}"]}, {"required": [f"b{i}"]}]} for i in range(20)]},
    "patterns of names": {"patternProperties": {f"{c}.*{c}": {"type": "integer"} for c in "abcdefghijklmn"}},
    "a long pattern": {"type": "string", "pattern": r"\p{L}{1,200}"},
    "many dependents": {"dependentRequired": {f"a{i}": [f"b{i}"] for i in range(20)}},
    "large multiples": {"type": "integer", "multipleOf": 123457},
    "digits": {"const": 10**100},
}
for _ in range(500):
    HOSTILE["nested arrays"] = {"type": "array", "items": HOSTILE["nested arrays"]}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_would_take_long_is_refused(case):
    """By counting, not by a clock: each is refused within about half a second on a machine that is not busy."""
    with pytest.raises(RequestError, match=r"large|deeper|many"):
        schema(HOSTILE[case])
