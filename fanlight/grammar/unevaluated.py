"""`unevaluatedProperties` and `unevaluatedItems`: what is said of the properties and elements that no schema of the same value
looks at.  https://json-schema.org/draft/2020-12/json-schema-core#section-11

A schema holds in one of several *cases*: a set of values, and what its parts have looked at in them. Of two cases that overlap,
the one that has looked at more says less of the rest, so their union is right even where they do not exclude one another."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from fanlight.errors import RequestError
from fanlight.grammar.limits import blame
from fanlight.grammar.nodes import FALSE, TRUE
from fanlight.grammar.regular import ALL, NONE, Dfa, complement, union
from fanlight.grammar.values import NOTHING, Array, Object, Property, Values

if TYPE_CHECKING:
    from fanlight.grammar.keywords import Reader

KEYWORDS = frozenset(("unevaluatedProperties", "unevaluatedItems"))
IN_PLACE = frozenset(("$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "dependencies"))
MAX_CASES = 64


@dataclass(frozen=True, slots=True)
class Seen:
    """What was looked at: properties by name and by pattern, the first elements, those that `contains` finds."""

    names: frozenset[str] = frozenset()
    patterns: frozenset[Dfa] = frozenset()
    prefix: int = 0
    contains: frozenset[int] = frozenset()
    every_property: bool = False
    every_element: bool = False

    def __or__(self, other: "Seen") -> "Seen":
        return Seen(
            self.names | other.names,
            self.patterns | other.patterns,
            max(self.prefix, other.prefix),
            self.contains | other.contains,
            self.every_property or other.every_property,
            self.every_element or other.every_element,
        )


Cases = dict[Seen, Values]


def values(reader: "Reader") -> Values:
    """Those of a schema with one of KEYWORDS."""
    found = NOTHING
    for part in _cases(reader).values():
        found = reader.algebra.union(found, part)
    return found


def _cases(reader: "Reader") -> Cases:
    schema = reader.schema
    found = {_own(reader): reader.said(keyword for keyword in schema if keyword not in KEYWORDS | IN_PLACE)}
    for keyword in schema:
        if keyword in IN_PLACE:
            with blame(f"{reader.at}.{keyword}"):
                found = _both(reader, found, _of_keyword(reader, keyword))
    if KEYWORDS.isdisjoint(schema):
        return found
    kept: Cases = {}
    for seen, part in found.items():
        every = Seen(every_property="unevaluatedProperties" in schema, every_element="unevaluatedItems" in schema)
        _add(reader, kept, seen | every, reader.algebra.intersection(part, _rest(reader, seen)))
    return kept


def _own(reader: "Reader") -> Seen:
    """What the keywords look at that say something of properties or elements themselves."""
    schema = reader.schema
    prefix, _ = reader.items()
    listed = isinstance(schema.get("items"), list)
    patterns = ((sure if reader.is_narrow else union(sure, maybe)) for sure, maybe, _ in reader.patterns())
    return Seen(
        frozenset(schema.get("properties", {})),
        frozenset(patterns),
        len(prefix),
        frozenset((reader.child(schema["contains"], "contains"),) if "contains" in schema else ()),
        "additionalProperties" in schema,
        "additionalItems" in schema if listed else "items" in schema,
    )


def _of_keyword(reader: "Reader", keyword: str) -> Cases:
    schema, found = reader.schema, {Seen(): reader.everything}
    if keyword == "$ref":
        found = _of_part(reader, {"$ref": schema["$ref"]}, "$ref")
    elif keyword == "allOf":
        for i, part in enumerate(reader.schemas("allOf")):
            found = _both(reader, found, _of_part(reader, part, "allOf", i))
    elif keyword == "anyOf":
        found = _any_of(reader, [_of_part(reader, part, "anyOf", i) for i, part in enumerate(reader.schemas("anyOf"))])
    elif keyword == "oneOf":
        found = {}
        for i, part in enumerate(reader.schemas("oneOf")):
            alone = {Seen(): reader.no_other("oneOf", i)}
            _merge(reader, found, _both(reader, alone, _of_part(reader, part, "oneOf", i)))
    elif keyword == "if":
        yes, no = _of_part(reader, schema["if"], "if"), {Seen(): reader.contrary(schema["if"], "if")}
        found = {}
        for branch, then in ((yes, "then"), (no, "else")):
            _merge(reader, found, _both(reader, branch, _of_part(reader, schema.get(then, True), then)))
    elif keyword in ("dependentSchemas", "dependencies"):
        for name, part in reader.map(keyword).items():
            if isinstance(part, list):
                cases = {Seen(): reader.depends(name, reader.having(part))}
            else:
                present = {Seen(): reader.having([name], objects_only=True)}
                cases = _both(reader, present, _of_part(reader, part, keyword, name))
                _add(reader, cases, Seen(), reader.absent(name))
            found = _both(reader, found, cases)
    return found  # then and else are read with if, and say nothing without it


def _any_of(reader: "Reader", parts: list[Cases]) -> Cases:
    """Of those that look at nothing one is enough; of the others each may hold beside the rest."""
    found: Cases = {}
    looking = [part for part in parts if list(part) != [Seen()]]
    if 1 << len(looking) > MAX_CASES:
        raise RequestError(f"more than {MAX_CASES} ways to look at properties or elements are not supported")
    for part in parts:
        _merge(reader, found, part)
    for size in range(2, len(looking) + 1):
        for chosen in combinations(looking, size):
            together = chosen[0]
            for part in chosen[1:]:
                together = _both(reader, together, part)
            _merge(reader, found, together)
    return found


def _of_part(reader: "Reader", schema: Any, *path: object) -> Cases:
    """The cases of a schema that applies to the same value."""
    node, known = reader.child(schema, *path), reader.keywords.cases
    if node in (FALSE, TRUE):
        return {Seen(): NOTHING if node == FALSE else reader.everything}
    key = node, reader.mode
    if key not in known:
        known[key] = None
        known[key] = _cases(reader.of(node))
    found = known[key]
    if found is None:
        raise RequestError("the schema refers to itself before it says anything")
    return found


def _rest(reader: "Reader", seen: Seen) -> Values:
    """The values whose properties and elements are as they must be where nothing has looked at them."""
    nodes, schema, found = reader.nodes, reader.schema, reader.everything
    if "unevaluatedProperties" in schema and not seen.every_property:
        node = reader.child(schema["unevaluatedProperties"], "unevaluatedProperties")
        fitting = NONE
        for pattern in seen.patterns:
            fitting = union(fitting, pattern)
        rest = ((ALL, node),) if fitting.is_empty else ((fitting, TRUE), (complement(fitting), node))
        shape = reader.algebra.object(Object(tuple(Property(name, TRUE) for name in sorted(seen.names)), rest))
        found = replace(found, objects=() if shape is None else (shape,))
    if "unevaluatedItems" in schema and not seen.every_element:
        neither = nodes.negated(reader.child(schema["unevaluatedItems"], "unevaluatedItems"))
        for node in sorted(seen.contains):
            neither = nodes.both(neither, nodes.negated(node))
        array = reader.algebra.array(Array((TRUE,) * seen.prefix, nodes.negated(neither)))
        found = replace(found, arrays=() if array is None else (array,))
    return found


def _both(reader: "Reader", a: Cases, b: Cases) -> Cases:
    found: Cases = {}
    for seen, part in a.items():
        for more, other in b.items():
            _add(reader, found, seen | more, reader.algebra.intersection(part, other))
    return found


def _merge(reader: "Reader", found: Cases, more: Cases) -> None:
    for seen, part in more.items():
        _add(reader, found, seen, part)


def _add(reader: "Reader", found: Cases, seen: Seen, part: Values) -> None:
    if part == NOTHING:
        return
    found[seen] = reader.algebra.union(found[seen], part) if seen in found else part
    if len(found) > MAX_CASES:
        raise RequestError(f"more than {MAX_CASES} ways to look at properties or elements are not supported")
