"""Formats of structural tags, as XGrammar names them, to automata: what an API's `response_format`, `guided_*` and tools come
down to. A type or key that is not known is refused by name."""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from fanlight.errors import RequestError
from fanlight.grammar.automaton import Automaton
from fanlight.grammar.determinize import determinize
from fanlight.grammar.ebnf import ebnf
from fanlight.grammar.expressions import EMPTY, Expression, Regular, Repeat, Rules, choice, literal, sequence
from fanlight.grammar.limits import MAX_WORDS, TooLarge, blame, budget, nests_deeper, took
from fanlight.grammar.numbers import universe
from fanlight.grammar.regex import regex
from fanlight.grammar.regular import until, without
from fanlight.grammar.schema import json_schema
from fanlight.grammar.string_formats import FORMATS as STRING_FORMATS
from fanlight.grammar.string_formats import string_format

MAX_TEXT = 1 << 20  # characters of one format
MAX_NESTING = 200
Format = Mapping[str, Any]


def compile_format(format: Format) -> Automaton:
    """The automaton of a format, as {"type": "json_schema", "json_schema": {...}}. The latest are kept."""
    if nests_deeper(format, MAX_NESTING):
        raise RequestError(f"the format nests deeper than {MAX_NESTING}", param="format")
    try:
        text = json.dumps(format, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(f"the format is not JSON: {error}", param="format") from None
    if len(text) > MAX_TEXT:
        raise RequestError(f"the format has {len(text)} characters; at most {MAX_TEXT} are compiled", param="format")
    found = kept.get(text)
    if found is None:
        found = _compile(text)
        kept.put(text, found)
    return found


class Kept:
    """The latest automata, by the text of their formats: so many, of so many words of tables in all. Threads may share it."""

    def __init__(self, most: int, most_words: int) -> None:
        self.most, self.most_words = most, most_words
        self._found: OrderedDict[str, Automaton] = OrderedDict()
        self._num_words = 0
        self._lock = Lock()

    def get(self, text: str) -> Automaton | None:
        with self._lock:
            if text in self._found:
                self._found.move_to_end(text)
            return self._found.get(text)

    def put(self, text: str, automaton: Automaton) -> None:
        with self._lock:
            if text not in self._found:
                self._found[text] = automaton
                self._num_words += len(automaton.actions)
            while len(self._found) > self.most or self._num_words > self.most_words:
                self._num_words -= len(self._found.popitem(last=False)[1].actions)

    def clear(self) -> None:
        with self._lock:
            self._found.clear()
            self._num_words = 0


kept = Kept(64, 2 * MAX_WORDS)


def warm() -> None:
    """Makes what schemas share and is kept; a page's memory snapshot holds it."""
    compile_format({"type": "json_schema", "json_schema": {"type": "object"}})
    for name in STRING_FORMATS:
        string_format(name)
    universe(0).spelled(universe(0).integers)


def _compile(text: str) -> Automaton:
    rules: Rules = {}
    started = time.perf_counter()
    try:
        with budget(), blame("format"):
            rules[""] = _Formats(rules).expression(json.loads(text), "format", 0)
            found = determinize(rules, "")
    except TooLarge as error:
        raise RequestError(f"the grammar is too large: {error}", param="format") from None
    took(time.perf_counter() - started)
    return found


class _Formats:
    """Adds the rules that a format needs and gives its expression. `at` is where in the request a format stands."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def expression(self, format: object, at: str, depth: int) -> Expression:
        if not isinstance(format, dict):
            raise RequestError(f"a format must be an object, not {format!r:.60}", param=at)
        kind = format.get("type")
        if not isinstance(kind, str) or kind not in KEYS:
            known = ", ".join(KEYS)
            raise RequestError(f"a format of type {kind!r:.60} is not known", hint=f"one of {known}", param=f"{at}.type")
        required, others = KEYS[kind]
        for key in format:
            if key not in {"type", *required, *others}:
                raise RequestError(f"a format of type {kind!r} has no key {key!r}", param=f"{at}.{key}")
        for key in required:
            if key not in format:
                raise RequestError(f"a format of type {kind!r} needs a key {key!r}", param=f"{at}.{key}")
        make: Callable[[dict[str, Any], str, int], Expression] = getattr(self, f"_{kind}")
        return make(format, at, depth + 1)

    def _const_string(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        return literal(_text(format, "value", at))

    def _json_schema(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        if format.get("style", "json") != "json":
            raise RequestError(f"a style {format['style']!r:.60} is not known; only 'json' is", param=f"{at}.style")
        return json_schema(format["json_schema"], self.rules, f"{at}.json_schema")

    def _regex(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        param = f"{at}.pattern"
        with blame(param):
            return Regular(regex(_text(format, "pattern", at)))

    def _grammar(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        param = f"{at}.grammar"
        with blame(param):
            return ebnf(_text(format, "grammar", at), self.rules, prefix="" if "root" not in self.rules else f"{param}.")

    def _any_text(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        return Regular(without(_texts(format, "excludes", at)))

    def _sequence(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        return sequence(*self._elements(format, "elements", at, depth))

    def _or(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        return choice(*self._elements(format, "elements", at, depth))

    def _optional(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        return Repeat(self.expression(format["content"], f"{at}.content", depth), 0, 1)

    def _star(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        return Repeat(self.expression(format["content"], f"{at}.content", depth))

    def _plus(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        return Repeat(self.expression(format["content"], f"{at}.content", depth), 1)

    def _repeat(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        least, most = format["min"], format["max"]
        if type(least) is not int or type(most) is not int or least < 0 or -1 != most < least:
            raise RequestError(
                f"a repetition of {least!r:.20} to {most!r:.20} times (-1: any number) is none", param=f"{at}.min"
            )
        return Repeat(self.expression(format["content"], f"{at}.content", depth), least, None if most == -1 else most)

    def _tag(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        return sequence(literal(_text(format, "begin", at)), self._after_begin(format, at, depth))

    def _after_begin(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        """A tag's content and end. Any text ends with the first end that occurs in it."""
        ends = _texts(format, "end", at) if isinstance(format["end"], list) else [_text(format, "end", at)]
        content = format["content"]
        if isinstance(content, dict) and content.get("type") == "any_text" and all(ends):
            self.expression(content, f"{at}.content", depth)  # is refused there, if at all
            stops = [*ends, *_texts(content, "excludes", f"{at}.content")]
            return choice(*(Regular(until(stops, end)) for end in ends))
        return sequence(self.expression(content, f"{at}.content", depth), choice(*map(literal, ends)))

    def _structural_tag(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        if "format" in format:
            if len(format) > 2:
                raise RequestError("a structural tag has a format, or structures and triggers, not both", param=at)
            return self.expression(format["format"], f"{at}.format", depth)
        for key in ("structures", "triggers"):
            if key not in format:
                raise RequestError(f"a structural tag needs a format, or structures and triggers: {key!r} is missing", param=at)
        tags = []
        for i, structure in enumerate(_list(format, "structures", at)):
            if not isinstance(structure, dict) or set(structure) != {"begin", "schema", "end"}:
                raise RequestError("a structure has the keys begin, schema and end", param=f"{at}.structures.{i}")
            content = {"type": "json_schema", "json_schema": structure["schema"]}
            tags.append({"type": "tag", "begin": structure["begin"], "content": content, "end": structure["end"]})
        return self._triggered_tags({"triggers": format["triggers"], "tags": tags}, at, depth)

    def _tags(self, format: dict[str, Any], at: str, depth: int) -> list[tuple[dict[str, Any], str]]:
        tags = _list(format, "tags", at)
        for i, tag in enumerate(tags):
            if not isinstance(tag, dict) or tag.setdefault("type", "tag") != "tag":
                raise RequestError("only tags can stand here", param=f"{at}.tags.{i}.type")
            self.expression(tag, f"{at}.tags.{i}", depth)  # is refused there, if at all
        if not tags:
            raise RequestError("at least one tag is needed", param=f"{at}.tags")
        return [(tag, f"{at}.tags.{i}") for i, tag in enumerate(tags)]

    def _triggered_tags(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        """Any text; a trigger in it begins a tag. With `at_least_one` a tag comes first."""
        triggers, tags = _texts(format, "triggers", at), self._tags(format, at, depth)
        excludes = _texts(format, "excludes", at)
        if not triggers or not all(triggers):
            raise RequestError("at least one trigger is needed, and none may be empty", param=f"{at}.triggers")
        after: dict[str, list[Expression]] = {trigger: [] for trigger in triggers}
        for tag, where in tags:
            fitting = [trigger for trigger in triggers if tag["begin"].startswith(trigger)]
            if not fitting:
                raise RequestError(f"no trigger begins the tag {tag['begin']!r:.60}", param=f"{where}.begin")
            trigger = min(fitting, key=len)  # the first to be complete
            rest = literal(tag["begin"][len(trigger) :])
            after[trigger].append(sequence(rest, self._after_begin(tag, where, depth)))
        stops = [*triggers, *excludes]
        called = choice(*(sequence(Regular(until(stops, trigger)), choice(*after[trigger])) for trigger in triggers))
        first = choice(*(sequence(literal(t), choice(*after[t])) for t in triggers))
        text = Regular(without(stops))
        if _flag(format, "stop_after_first", at):
            return first if _flag(format, "at_least_one", at) else choice(text, called)
        return sequence(first if _flag(format, "at_least_one", at) else EMPTY, Repeat(called), text)

    def _tags_with_separator(self, format: dict[str, Any], at: str, depth: int) -> Expression:
        tag = choice(*(self._tag(tag, where, depth) for tag, where in self._tags(format, at, depth)))
        more = Repeat(sequence(literal(_text(format, "separator", at)), tag))
        some = tag if _flag(format, "stop_after_first", at) else sequence(tag, more)
        return some if _flag(format, "at_least_one", at) else Repeat(some, 0, 1)

    def _elements(self, format: dict[str, Any], key: str, at: str, depth: int) -> list[Expression]:
        elements = _list(format, key, at)
        if not elements:
            raise RequestError("at least one element is needed", param=f"{at}.{key}")
        return [self.expression(element, f"{at}.{key}.{i}", depth) for i, element in enumerate(elements)]


# type -> keys that it needs, keys that it may have; a method of _Formats makes it
KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "json_schema": (("json_schema",), ("style",)),
    "regex": (("pattern",), ()),
    "grammar": (("grammar",), ()),
    "const_string": (("value",), ()),
    "any_text": ((), ("excludes",)),
    "sequence": (("elements",), ()),
    "or": (("elements",), ()),
    "optional": (("content",), ()),
    "star": (("content",), ()),
    "plus": (("content",), ()),
    "repeat": (("content", "min", "max"), ()),
    "tag": (("begin", "content", "end"), ()),
    "triggered_tags": (("triggers", "tags"), ("at_least_one", "stop_after_first", "excludes")),
    "tags_with_separator": (("tags", "separator"), ("at_least_one", "stop_after_first")),
    "structural_tag": ((), ("format", "structures", "triggers")),
}


def _text(format: dict[str, Any], key: str, at: str) -> str:
    value = format[key]
    if not isinstance(value, str):
        raise RequestError(f"{key!r} must be a text, not {value!r:.60}", param=f"{at}.{key}")
    return _encodable(value, f"{at}.{key}")


def _texts(format: dict[str, Any], key: str, at: str) -> list[str]:
    values = format.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise RequestError(f"{key!r} must be a list of texts, not {values!r:.60}", param=f"{at}.{key}")
    return [_encodable(value, f"{at}.{key}") for value in values]


def _encodable(text: str, param: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise RequestError(f"{text!r:.60} has half of a surrogate pair", param=param)
    return text


def _list(format: dict[str, Any], key: str, at: str) -> list[Any]:
    if not isinstance(format[key], list):
        raise RequestError(f"{key!r} must be a list, not {format[key]!r:.60}", param=f"{at}.{key}")
    return list(format[key])


def _flag(format: dict[str, Any], key: str, at: str) -> bool:
    value = format.get(key, False)
    if not isinstance(value, bool):
        raise RequestError(f"{key!r} must be true or false, not {value!r:.60}", param=f"{at}.{key}")
    return value
