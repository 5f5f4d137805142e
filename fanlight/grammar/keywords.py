"""The keywords of JSON Schema (2020-12, and draft 7's spellings): what each says, as a set of values.

A keyword is enforced as it says, or refused by name. A WIDE set leaves nothing out, for complements; in a NARROW one
nothing may be in it that should not be. Only patterns and formats tell the two apart.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from fanlight.errors import RequestError
from fanlight.grammar.limits import TooLarge, blame, spend
from fanlight.grammar.nodes import FALSE, TRUE, Both, Leaf, Nodes, Not
from fanlight.grammar.numbers import EQUAL, GREATER, LESS, Parts, universe
from fanlight.grammar.regex import regex
from fanlight.grammar.regular import ALL, NONE, Dfa, difference, intersection, length, words
from fanlight.grammar.string_formats import string_format
from fanlight.grammar.unevaluated import KEYWORDS as UNEVALUATED
from fanlight.grammar.unevaluated import Cases
from fanlight.grammar.unevaluated import values as unevaluated_values
from fanlight.grammar.values import (
    LITERALS,
    NOTHING,
    Algebra,
    Array,
    Contains,
    Object,
    Property,
    Unexact,
    Values,
)

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
ARRAY_KEYWORDS = ["items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains"]
ARRAY_KEYWORDS += ["minContains", "maxContains"]
OBJECT_KEYWORDS = ["properties", "patternProperties", "additionalProperties", "required", "propertyNames"]
OBJECT_KEYWORDS += ["minProperties", "maxProperties"]
MAX_DEPTH = 40
NARROW, WIDE, LOOSE = range(3)  # LOOSE: wide, and formats say nothing


class Keywords:
    """The values of each node of a schema."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.numbers = universe(_digits(nodes.document))
        self.algebra = Algebra(nodes, self.numbers.every)
        self.everything = self.algebra.everything
        self.known: dict[tuple[int, int], Values | None] = {}  # None while it is being found
        self.cases: dict[tuple[int, int], Cases | None] = {}  # likewise: of unevaluated.py
        self.depth = 0

    def values(self, node: int, mode: int = NARROW) -> Values:
        if node in (FALSE, TRUE):
            return NOTHING if node == FALSE else self.everything
        key = node, mode
        if key not in self.known:
            self.known[key] = None
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise RequestError(f"schemas lie in one another deeper than {MAX_DEPTH}", param=self.nodes.at)
            self.known[key] = self._values(node, mode)
            self.depth -= 1
        found = self.known[key]
        if found is None:
            raise RequestError("the schema refers to itself before it says anything")
        return found

    def _values(self, node: int, mode: int) -> Values:
        known = self.nodes.list[node]
        if isinstance(known, Not):
            with blame(self.nodes.name(node)):
                try:
                    return self.algebra.complement(self.values(known.node, NARROW if mode else WIDE))
                except Unexact as error:
                    raise RequestError(f"the contrary of {error} is not supported", param=self.nodes.name(node)) from None
        if isinstance(known, Both):
            found = self.everything
            with blame(self.nodes.name(node)):
                for part in known.nodes:
                    found = self.algebra.intersection(found, self.values(part, mode))
            return found
        return Reader(self, known, mode).values()

    def is_empty(self, values: Values, depth: int = 0) -> bool:
        """Whether there is surely no such value, in a set that leaves nothing out; what lies deep is not looked at."""
        if values.literals or not values.numbers.is_empty or not values.strings.is_empty:
            return False
        if depth > 4:
            return values is NOTHING
        for array in values.arrays:
            if not any(self._never(array.node(i), depth) for i in range(min(array.least, 8))):
                return False
        return all(any(p.required and self._never(p.node, depth) for p in shape.named) for shape in values.objects)

    def _never(self, node: int, depth: int) -> bool:
        if self.known.get((node, LOOSE), NOTHING) is None:
            return False
        return self.is_empty(self.values(node, LOOSE), depth + 1)


class Reader:
    """One schema of the document."""

    def __init__(self, keywords: Keywords, leaf: Leaf, mode: int) -> None:
        self.keywords, self.schema, self.at, self.mode = keywords, leaf.schema, leaf.at, mode
        self.nodes, self.algebra, self.everything = keywords.nodes, keywords.algebra, keywords.everything

    def of(self, node: int) -> "Reader":
        """The reader of a schema that applies to the same value."""
        known = self.nodes.list[node]
        assert isinstance(known, Leaf)
        return Reader(self.keywords, known, self.mode)

    @property
    def is_narrow(self) -> bool:
        return self.mode == NARROW

    def values(self) -> Values:
        if not UNEVALUATED.isdisjoint(self.schema):
            return unevaluated_values(self)
        return self.said(self.schema)

    def said(self, keywords: Iterable[str]) -> Values:
        """What some of the keywords say together."""
        found = self.everything
        done: set[Callable[[Reader], Values]] = set()
        for keyword in keywords:
            read = READERS.get(keyword)
            if read is None:
                hint = "leave it out" + _closest(keyword)
                raise RequestError(f"the keyword {keyword!r:.80} is not supported", hint=hint, param=f"{self.at}.{keyword}")
            if read not in done:
                done.add(read)
                with blame(f"{self.at}.{keyword}"):
                    found = self.algebra.intersection(found, read(self))
        return found

    # Reading

    def child(self, schema: Any, *path: object) -> int:
        return self.nodes.leaf(schema, ".".join([self.at, *map(str, path)]))

    def _same(self, schema: Any, *path: object) -> Values:
        """The values of a schema that applies to the same value."""
        return self.keywords.values(self.child(schema, *path), self.mode)

    def contrary(self, schema: Any, *path: object) -> Values:
        """Those of its contrary."""
        return self.keywords.values(self.nodes.negated(self.child(schema, *path)), self.mode)

    def _wrong(self, keyword: str, expected: str) -> RequestError:
        value = self.schema[keyword]
        return RequestError(f"{keyword} must be {expected}, not {value!r:.60}", param=f"{self.at}.{keyword}")

    def _count(self, keyword: str, default: int | None = None) -> int | None:
        value = self.schema.get(keyword, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is not None and (type(value) is not int or value < 0):
            raise self._wrong(keyword, "a whole number that is not negative")
        return value

    def schemas(self, keyword: str, least: int = 1) -> list[Any]:
        value = self.schema[keyword]
        if not isinstance(value, list) or len(value) < least:
            raise self._wrong(keyword, "a list of schemas")
        return value

    def map(self, keyword: str) -> dict[str, Any]:
        value = self.schema.get(keyword, {})
        if not isinstance(value, dict):
            raise self._wrong(keyword, "an object")
        return value

    def _names(self, value: Any, keyword: str) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise self._wrong(keyword, "a list of names")
        return value

    # Any value

    def _type(self) -> Values:
        types = self.schema["type"]
        types = [types] if isinstance(types, str) else types
        if not isinstance(types, list) or not types or not all(t in TYPES for t in types):
            raise self._wrong("type", f"one or a list of {', '.join(TYPES)}")
        every, numbers = self.everything, NONE
        if "number" in types or "integer" in types:
            numbers = every.numbers if "number" in types else self.keywords.numbers.integers
        literals = LITERALS if "boolean" in types else frozenset(("null",))
        return Values(
            literals if "null" in types else literals - {"null"},
            numbers,
            ALL if "string" in types else NONE,
            every.arrays if "array" in types else (),
            every.objects if "object" in types else (),
        )

    def _const(self) -> Values:
        return self._constants([self.schema["const"]], "const")

    def _enum(self) -> Values:
        values = self.schema["enum"]
        if not isinstance(values, list) or not values:
            raise self._wrong("enum", "a list of values")
        return self._constants(values, "enum")

    def _constants(self, values: list[Any], keyword: str) -> Values:
        spend(len(values))
        literals = [
            name for value in values for name, known in (("null", None), ("true", True), ("false", False)) if value is known
        ]
        texts = [value for value in values if isinstance(value, str)]
        figures = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
        numbers = self.keywords.numbers.listed(figures) if figures else NONE
        found = replace(NOTHING, literals=frozenset(literals), numbers=numbers, strings=words(texts) if texts else NONE)
        for value in values:
            if isinstance(value, list):
                parts = tuple(self.child({"const": part}, keyword) for part in value)
                array = Array(parts, FALSE, len(parts), len(parts))
                found = self.algebra.union(found, replace(NOTHING, arrays=(array,)))
            elif isinstance(value, dict):
                named = tuple(Property(name, self.child({"const": part}, keyword), True) for name, part in value.items())
                found = self.algebra.union(found, replace(NOTHING, objects=(Object(named, ()),)))
        return found

    # Numbers

    def _number_range(self) -> Values:
        numbers, compared = self.everything.numbers, self.keywords.numbers.compared
        low, high = (self.schema.get(f"exclusive{end}") is True for end in ("Minimum", "Maximum"))  # as draft 4 spells it
        orders = {"minimum": (GREATER,) if low else (EQUAL, GREATER), "maximum": (LESS,) if high else (LESS, EQUAL)}
        orders |= {"exclusiveMinimum": (GREATER,), "exclusiveMaximum": (LESS,)}
        for keyword, order in orders.items():
            value = self.schema.get(keyword)
            if keyword not in self.schema or (isinstance(value, bool) and keyword.startswith("exclusive")):
                continue
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                raise self._wrong(keyword, "a number")
            numbers = intersection(numbers, compared(value, *order))
        return replace(self.everything, numbers=numbers)

    def _multiple_of(self) -> Values:
        value = self.schema["multipleOf"]
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
            raise self._wrong("multipleOf", "a number above 0")
        return replace(self.everything, numbers=self.keywords.numbers.multiples(value))

    # Strings

    def _length(self) -> Values:
        most = self._count("maxLength")
        least = self._count("minLength", 0) or 0
        return replace(self.everything, strings=length(least, most))

    def _pattern(self) -> Values:
        return replace(self.everything, strings=self._regex(self.schema["pattern"], "pattern"))

    def _regex(self, pattern: object, keyword: str) -> Dfa:
        if not isinstance(pattern, str):
            raise self._wrong(keyword, "a regular expression")
        return regex(pattern, search=True, wide=self.mode != NARROW)

    def _format(self) -> Values:
        name = self.schema["format"]
        if not isinstance(name, str):
            raise self._wrong("format", "a name")
        if self.mode == LOOSE:
            return self.everything
        if self.mode == WIDE:
            raise RequestError("the contrary of a format (under not, if or oneOf) is not supported", param=f"{self.at}.format")
        found = string_format(name)
        if found is None:
            raise RequestError(f"the format {name!r:.60} is not supported", param=f"{self.at}.format")
        return replace(self.everything, strings=found)

    def _content_encoding(self) -> Values:
        if self.schema["contentEncoding"] != "base64":
            raise self._wrong("contentEncoding", "'base64'")
        four = "[A-Za-z0-9+/]{4}"
        return replace(self.everything, strings=regex(f"({four})*({four[:-3]}{{2}}==|{four[:-3]}{{3}}=)?"))

    # Arrays

    def _array(self) -> Values:
        prefix, rest = self.items()
        least, most = self._count("minItems", 0) or 0, self._count("maxItems")
        contains: tuple[Contains, ...] = ()
        if "contains" in self.schema:
            node = self.child(self.schema["contains"], "contains")
            found = self._count("minContains", 1) or 0
            contains = (Contains(0, node, found, self._count("maxContains")),)
        unique = self.schema.get("uniqueItems", False)
        if not isinstance(unique, bool):
            raise self._wrong("uniqueItems", "true or false")
        array = self.algebra.array(Array(prefix, rest, least, most, contains, unique))
        return replace(self.everything, arrays=() if array is None else (array,))

    def items(self) -> tuple[tuple[int, ...], int]:
        items, after = self.schema.get("items", True), "items"
        first, keyword = self.schema.get("prefixItems", []), "prefixItems"
        if isinstance(items, list):  # as draft 7 spells it
            if "prefixItems" in self.schema:
                raise self._wrong("items", "a schema beside prefixItems")
            first, keyword = items, "items"
            items, after = self.schema.get("additionalItems", True), "additionalItems"
        if not isinstance(first, list):
            raise self._wrong(keyword, "a list of schemas")
        return tuple(self.child(schema, keyword, i) for i, schema in enumerate(first)), self.child(items, after)

    # Objects

    def _object(self) -> Values:
        properties, required = self.map("properties"), self._names(self.schema.get("required", []), "required")
        patterns = self.patterns()
        additional = self.child(self.schema.get("additionalProperties", True), "additionalProperties")
        allowed = ALL
        if "propertyNames" in self.schema:
            allowed = self._same(self.schema["propertyNames"], "propertyNames").strings
        named = []
        for name in dict.fromkeys([*properties, *required]):
            node = self.child(properties[name], "properties", name) if name in properties else TRUE
            listed = name in properties
            for sure, maybe, other in patterns:
                listed = listed or name in sure
                disputed = name in maybe
                listed = listed or (disputed and self.mode != NARROW)
                node = self.nodes.both(node, other) if name in sure or (disputed and self.mode == NARROW) else node
            node = node if listed else self.nodes.both(node, additional)
            named.append(Property(name, node if name in allowed else FALSE, name in required))
        rest = self._rest(patterns, additional, allowed)
        least, most = self._count("minProperties", 0) or 0, self._count("maxProperties")
        shape = self.algebra.object(Object(tuple(named), rest, least, most))
        return replace(self.everything, objects=() if shape is None else (shape,))

    def patterns(self) -> list[tuple[Dfa, Dfa, int]]:
        """Of each pattern the names that it surely fits, those that it fits in one reading of regular expressions only, and
        its node."""
        found = []
        for pattern, schema in self.map("patternProperties").items():
            node = self.child(schema, "patternProperties", pattern)
            sure = regex(pattern, search=True)
            maybe = difference(regex(pattern, search=True, wide=True), sure)
            found.append((sure, maybe, node))
        return found

    def _rest(self, patterns: list[tuple[Dfa, Dfa, int]], additional: int, allowed: Dfa) -> tuple[tuple[Dfa, int], ...]:
        """The names that are not listed, by what is said of them. What a pattern may or may not fit obeys both, or neither."""
        parts: list[tuple[Dfa, int, bool]] = [(allowed, TRUE, False)]  # and whether a pattern fits
        for sure, maybe, node in patterns:
            refined = []
            for dfa, before, fits in parts:
                both = self.nodes.both(before, node)
                refined.append((intersection(dfa, sure), both, True))
                refined.append((intersection(dfa, maybe), *((both, fits) if self.mode == NARROW else (TRUE, True))))
                refined.append((difference(difference(dfa, sure), maybe), before, fits))
            parts = [part for part in refined if not part[0].is_empty]
        return tuple((dfa, node if fits else self.nodes.both(node, additional)) for dfa, node, fits in parts)

    def _dependent_required(self) -> Values:
        found = self.everything
        for name, names in self.map("dependentRequired").items():
            found = self.algebra.intersection(found, self.depends(name, self.having(self._names(names, "dependentRequired"))))
        return found

    def _dependent_schemas(self) -> Values:
        found = self.everything
        for name, schema in self.map("dependentSchemas").items():
            found = self.algebra.intersection(found, self.depends(name, self._same(schema, "dependentSchemas", name)))
        return found

    def _dependencies(self) -> Values:
        found = self.everything
        for name, value in self.map("dependencies").items():
            names = isinstance(value, list)
            then = self.having(self._names(value, "dependencies")) if names else self._same(value, "dependencies", name)
            found = self.algebra.intersection(found, self.depends(name, then))
        return found

    def depends(self, name: str, then: Values) -> Values:
        """Objects without a property, or what holds of those with it."""
        return self.algebra.union(self.absent(name), self.algebra.intersection(self.having([name], objects_only=True), then))

    def absent(self, name: str) -> Values:
        return replace(self.everything, objects=(Object((Property(name, FALSE),)),))

    def having(self, names: list[str], objects_only: bool = False) -> Values:
        shape = Object(tuple(Property(name, TRUE, True) for name in dict.fromkeys(names)))
        return replace(NOTHING if objects_only else self.everything, objects=(shape,))

    # Schemas of the same value

    def _ref(self) -> Values:
        return self._same({"$ref": self.schema["$ref"]}, "$ref")

    def _all_of(self) -> Values:
        found = self.everything
        for i, schema in enumerate(self.schemas("allOf")):
            found = self.algebra.intersection(found, self._same(schema, "allOf", i))
        return found

    def _any_of(self) -> Values:
        found = NOTHING
        for i, schema in enumerate(self.schemas("anyOf")):
            found = self.algebra.union(found, self._same(schema, "anyOf", i))
        return found

    def _one_of(self) -> Values:
        """Exactly one: those of any where no two overlap, else those of each that are of no other."""
        found = NOTHING
        for i, schema in enumerate(self.schemas("oneOf")):
            found = self.algebra.union(found, self.no_other("oneOf", i, self._same(schema, "oneOf", i)))
        return found

    def no_other(self, keyword: str, i: int, found: Values | None = None) -> Values:
        """Those (of all) that no other schema of a list takes; nothing is asked where the i-th cannot meet another."""
        found = found or self.everything
        for j, schema in enumerate(self.schema[keyword]):
            if i != j and not self._disjoint(i, j):
                found = self.algebra.intersection(found, self.contrary(schema, keyword, j))
        return found

    def _disjoint(self, i: int, j: int) -> bool:
        a, b = (self.keywords.values(self.child(self.schema["oneOf"][k], "oneOf", k), LOOSE) for k in (i, j))
        return self.keywords.is_empty(self.algebra.intersection(a, b))

    def _not(self) -> Values:
        return self.contrary(self.schema["not"], "not")

    def _if(self) -> Values:
        if "if" not in self.schema:
            return self.everything  # then and else alone say nothing
        yes, no = self._same(self.schema["if"], "if"), self.contrary(self.schema["if"], "if")
        if "then" in self.schema:
            yes = self.algebra.intersection(yes, self._same(self.schema["then"], "then"))
        if "else" in self.schema:
            no = self.algebra.intersection(no, self._same(self.schema["else"], "else"))
        return self.algebra.union(yes, no)


READERS: dict[str, Callable[[Reader], Values]] = {
    "type": Reader._type,
    "const": Reader._const,
    "enum": Reader._enum,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), Reader._number_range),
    "multipleOf": Reader._multiple_of,
    **dict.fromkeys(("minLength", "maxLength"), Reader._length),
    "pattern": Reader._pattern,
    "format": Reader._format,
    "contentEncoding": Reader._content_encoding,
    **dict.fromkeys(ARRAY_KEYWORDS, Reader._array),
    **dict.fromkeys(OBJECT_KEYWORDS, Reader._object),
    **dict.fromkeys(UNEVALUATED, unevaluated_values),
    "dependentRequired": Reader._dependent_required,
    "dependentSchemas": Reader._dependent_schemas,
    "dependencies": Reader._dependencies,
    "$ref": Reader._ref,
    "allOf": Reader._all_of,
    "anyOf": Reader._any_of,
    "oneOf": Reader._one_of,
    "not": Reader._not,
    **dict.fromkeys(("if", "then", "else"), Reader._if),
}


def _closest(keyword: str) -> str:
    same = next((known for known in READERS if known.lower() == keyword.lower()), None)
    return f", or write {same}" if same else ""


def _digits(document: Any) -> int:
    """How many digits the numbers of a document have, the longest before the point and the longest after it."""
    whole = fraction = 0
    todo = [document]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                parts = Parts.of(value)
            except TooLarge:
                continue  # is refused where it is used
            whole, fraction = max(whole, len(parts.whole)), max(fraction, len(parts.fraction))
    return whole + fraction
