"""JSON Schema to rules: each set of values that the keywords say (keywords.py) becomes the texts of its values.

Properties are written in the order of the schema, those that are not listed after them. A rule is a node's; strings, numbers
and values that are not restricted are the rules of JSON itself.
"""

import json
from functools import cached_property
from itertools import combinations
from typing import Any

from fanlight.errors import RequestError
from fanlight.grammar.expressions import EMPTY, NOTHING, Expression, Literal, Machine, Regular, Rule, Rules, choice, sequence
from fanlight.grammar.json_text import ARRAY, COLON, COMMA, JSON, NUMBER, OBJECT, SPACE, STRING, VALUE, json_string, string
from fanlight.grammar.keywords import Keywords
from fanlight.grammar.limits import TooLarge, blame, spend
from fanlight.grammar.nodes import FALSE, TRUE, Leaf, Nodes
from fanlight.grammar.references import with_pointers
from fanlight.grammar.regular import Dfa, difference, intersection, other_than, words
from fanlight.grammar.values import ANY_ARRAY, ANY_OBJECT, Array, Object, Values

MAX_MACHINE = 8_000  # states of one array or object
MAX_UNIQUE = 6  # values of an array whose elements differ, in any order
MAX_ORDERED = 200  # … in the order of their enum, or sorted
INTEGER = "any JSON integer"
spelled = json.JSONEncoder(ensure_ascii=False).encode
LITERALS = {"null": Literal(b"null"), "true": Literal(b"true"), "false": Literal(b"false")}


def json_schema(schema: Any, rules: Rules, at: str) -> Expression:
    """The texts of the values that satisfy a schema; adds the rules that they need."""
    rules |= JSON
    schema = with_pointers(schema, at)
    writer = Writer(Nodes(schema, at), rules)
    root = writer.nodes.leaf(schema, at)
    found = writer.expression(root)
    writer.write_rules()
    return found


class Writer:
    def __init__(self, nodes: Nodes, rules: Rules) -> None:
        self.nodes, self.rules = nodes, rules
        self.keywords = Keywords(nodes)
        self.expressions: dict[int, Expression] = {TRUE: Rule(VALUE), FALSE: NOTHING}
        self.todo: list[tuple[int, Values]] = []
        self.at = nodes.at  # what is being written, for messages

    def expression(self, node: int) -> Expression:
        """What stands where a value of this node is expected: a rule, or something as short."""
        if node not in self.expressions:
            values = self.keywords.values(node)
            spend(10)
            plain = self._plain(values)
            if plain is None:
                self.todo.append((node, values))
                plain = Rule(self._name(node))
            self.expressions[node] = plain
        return self.expressions[node]

    def write_rules(self) -> None:
        while self.todo:
            node, values = self.todo.pop()
            self.at = self.nodes.name(node)
            with blame(self.at):
                self.rules[self._name(node)] = choice(*self._scalars(values), *self._containers(node, values))

    def _name(self, node: int) -> str:
        return f"{self.nodes.name(node)} ({node})"

    def _plain(self, values: Values) -> Expression | None:
        """The expression of values that need no rule of their own."""
        if values is self.keywords.everything:
            return Rule(VALUE)
        if not values.arrays and not values.objects:
            scalars = self._scalars(values, named_only=True)
            if len(scalars) == 1:
                return scalars[0]
        return None

    def _scalars(self, values: Values, named_only: bool = False) -> list[Expression]:
        """The kinds without parts. `named_only`: nothing, where it would not be rules of JSON and literals."""
        found: list[Expression] = [LITERALS[name] for name in sorted(values.literals)]
        if len(found) > 1:
            found = [choice(*found)]
        numbers = self.keywords.numbers
        if values.numbers is numbers.every:
            found.append(Rule(NUMBER))
        elif values.numbers is numbers.integers:
            self.rules[self._integer] = Regular(numbers.spelled_integers)
            found.append(Rule(self._integer))
        elif not values.numbers.is_empty:
            found.append(NOTHING if named_only else Regular(numbers.spelled(values.numbers)))
        if values.strings.is_everything:
            found.append(Rule(STRING))
        elif not values.strings.is_empty:
            found.append(NOTHING if named_only else string(json_string(values.strings)))
        return [] if NOTHING in found else found

    @cached_property
    def _integer(self) -> str:
        return f"{INTEGER} of {self.nodes.at}"

    def _containers(self, node: int, values: Values) -> list[Expression]:
        found: list[Expression] = []
        for name, any_shape, shapes in ((ARRAY, ANY_ARRAY, values.arrays), (OBJECT, ANY_OBJECT, values.objects)):
            if any_shape in shapes:
                found.append(Rule(name))
                continue
            for shape in shapes:
                found.append(self._array(shape) if isinstance(shape, Array) else self._object(shape))
        return found

    # Objects

    def _object(self, shape: Object) -> Expression:
        return sequence(Literal(b"{"), _Members(self, shape).machine(), Literal(b"}"))

    def member(self, name: str, node: int) -> Expression:
        return sequence(Literal(spelled(name).encode()), COLON, self.expression(node))

    def other_member(self, names: Dfa, node: int) -> Expression:
        if names.is_everything:
            return sequence(Rule(STRING), COLON, self.expression(node))
        return sequence(string(json_string(names)), COLON, self.expression(node))

    # Arrays

    def _array(self, array: Array) -> Expression:
        return sequence(Literal(b"["), _Elements(self, array).machine(), Literal(b"]"))


class _Members:
    """What stands between an object's braces. A state is (what comes next, index of the next listed name, members so far,
    which of `some` were there)."""

    def __init__(self, writer: Writer, shape: Object) -> None:
        self.writer, self.shape = writer, shape
        self.named = [p for p in shape.named if p.node != FALSE]
        names = [p.name for p in shape.named]
        self.rest = [(other_than(names) if d.is_everything else difference(d, words(names)), node) for d, node in shape.rest]
        self.rest = [(dfa, node) for dfa, node in self.rest if not dfa.is_empty]
        self.most = shape.most
        self.least = shape.least if shape.least > sum(p.required for p in self.named) else 0
        if len(shape.some) > 1:
            raise RequestError(
                "more than one condition on the names of properties, each the contrary of another, is not supported",
                param=f"{writer.at}.not",
            )
        if self.least > 1 and self.rest:
            raise RequestError(
                "minProperties above 1 counts names that are not listed, which could be the same name twice",
                hint="list the properties, or leave minProperties out",
                param=f"{writer.at}.minProperties",
            )
        self.count = max(self.least, self.most + 1 if self.most is not None else 0, 1)  # counted no further

    def machine(self) -> Expression:
        return _machine(("first", 0, 0, not self.shape.some), self._edges)

    def _edges(self, state: tuple[str, int, int, bool]) -> list[tuple[Expression, tuple[str, int, int, bool] | None]]:
        what, index, count, some = state
        found: list[tuple[Expression, tuple[str, int, int, bool] | None]] = []
        over = some and count >= self.least and not any(p.required for p in self.named[index:])
        more = self.most is None or count < self.most
        if what == "first":
            found += [(EMPTY, None)] if over else []
            found += [(Rule(SPACE), ("key", index, min(count + 1, self.count), some))] if more else []
        elif what == "after":
            found += [(Rule(SPACE), None)] if over else []
            found += [(COMMA, ("key", index, min(count + 1, self.count), some))] if more else []
        elif index < len(self.named):
            p = self.named[index]
            there = some or any(p.name in dfa for dfa in self.shape.some)
            found.append((self.writer.member(p.name, p.node), ("after", index + 1, count, there)))
            if not p.required:
                found.append((EMPTY, ("key", index + 1, count, some)))
        else:
            for dfa, node in self.rest:
                found.append((self.writer.other_member(dfa, node), ("after", index, count, some)))
                for wanted in () if some else self.shape.some:
                    both = intersection(dfa, wanted)
                    found.append((self.writer.other_member(both, node), ("after", index, count, True)))
        return found


class _Elements:
    """What stands between an array's brackets. A state is (index, how many elements each `contains` has found, values used)."""

    def __init__(self, writer: Writer, array: Array) -> None:
        self.writer, self.array = writer, array
        self.both, self.negated = writer.nodes.both, writer.nodes.negated
        self.last = max(len(array.prefix), array.least, array.most or 0, *(c.skip for c in array.contains), 1)
        if self.last > MAX_MACHINE:
            raise RequestError(
                f"{self.last} elements are counted one by one; at most {MAX_MACHINE}",
                param=f"{writer.at}.{'maxItems' if array.most == self.last else 'minItems'}",
            )
        self.caps = [c.least if c.most is None else c.most + 1 for c in array.contains]
        self.unique = self._unique() if array.unique and (array.most is None or array.most > 1) else []

    def _unique(self) -> list[int]:
        """The nodes of the values of an array whose elements differ."""
        if self.array.prefix or self.array.contains:
            raise RequestError(
                "uniqueItems beside prefixItems or contains is not supported", param=f"{self.writer.at}.uniqueItems"
            )
        values = self.writer.keywords.values(self.array.rest)
        listed = self._listed(values)
        if listed is None or len(listed) > MAX_ORDERED:
            raise RequestError(
                f"uniqueItems is supported for elements of at most {MAX_ORDERED} values, as an enum's",
                hint="leave uniqueItems out, or list the values",
                param=f"{self.writer.at}.uniqueItems",
            )
        known = self.writer.nodes.list[self.array.rest]
        enum = known.schema.get("enum") if isinstance(known, Leaf) else None
        place = {json.dumps(value): i for i, value in enumerate(enum or ())}
        listed.sort(key=lambda value: place.get(json.dumps(value), len(place)))
        return [self.writer.nodes.leaf({"const": value}, self.writer.nodes.at) for value in listed]

    def _listed(self, values: Values) -> list[Any] | None:
        """All of them, numbers and texts sorted; None where they are too many, or lists and objects."""
        numbers = self.writer.keywords.numbers.spelled(values.numbers)
        if values.arrays or values.objects or values.numbers is self.writer.keywords.numbers.every:
            return None
        texts, figures = values.strings.texts(MAX_ORDERED), numbers.texts(MAX_ORDERED)
        if texts is None or figures is None:
            return None
        literals = [{"null": None, "true": True, "false": False}[name] for name in sorted(values.literals)]
        return [*literals, *sorted(float(text) if "." in text else int(text) for text in figures), *sorted(texts)]

    def machine(self) -> Expression:
        return _machine(("first", 0, (0,) * len(self.caps), 0), self._edges)

    def _edges(self, state: tuple[Any, ...]) -> list[tuple[Expression, tuple[Any, ...] | None]]:
        what, index, counts, used = state
        array = self.array
        enough = all(c.least <= n and (c.most is None or n <= c.most) for c, n in zip(array.contains, counts, strict=True))
        over = enough and index >= array.least
        more = array.most is None or index < array.most
        if what == "element":
            return self._items(index, counts, used)
        found: list[tuple[Expression, tuple[Any, ...] | None]] = []
        found += [(EMPTY if what == "first" else Rule(SPACE), None)] if over else []
        found += [(Rule(SPACE) if what == "first" else COMMA, ("element", index, counts, used))] if more else []
        return found

    def _items(self, index: int, counts: tuple[int, ...], used: int) -> list[tuple[Expression, tuple[Any, ...] | None]]:
        following = min(index + 1, self.last if self.array.most is None else self.array.most)
        if len(self.unique) > MAX_UNIQUE:  # `used`: how many of them may not come any more
            found: list[tuple[Expression, tuple[Any, ...] | None]] = []
            if used < len(self.unique):
                found.append((self.writer.expression(self.unique[used]), ("after", following, counts, used + 1)))
            return [*found, (EMPTY, ("element", index, counts, used + 1))] if used + 1 < len(self.unique) else found
        if self.unique:
            free = [(i, node) for i, node in enumerate(self.unique) if not used >> i & 1]
            return [(self.writer.expression(n), ("after", following, counts, used | 1 << i)) for i, n in free]
        found = []
        looked = [i for i, c in enumerate(self.array.contains) if index >= c.skip]
        for size in range(len(looked) + 1):
            for these in combinations(looked, size):
                node, after = self.array.node(index), list(counts)
                for i in looked:
                    contains = self.array.contains[i]
                    if i in these:
                        node = self.both(node, contains.node)
                        after[i] = min(after[i] + 1, self.caps[i])
                    elif contains.most is not None:
                        node = self.both(node, self.negated(contains.node))
                if node != FALSE:
                    found.append((self.writer.expression(node), ("after", following, tuple(after), used)))
        return found


def _machine(start: Any, edges_of: Any) -> Machine:
    """The machine of the states that `edges_of` leads to from `start`; None is the end."""
    numbers: dict[Any, int] = {start: 0}
    order = [start]
    rows: list[list[tuple[Expression, Any]]] = []
    for state in order:  # grows
        rows.append(edges_of(state))
        for _, target in rows[-1]:
            if target is not None and target not in numbers:
                if len(order) >= MAX_MACHINE:
                    raise TooLarge(f"it needs more than {MAX_MACHINE} states")
                numbers[target] = len(order)
                order.append(target)
        spend(2)
    end = len(order)
    edges = [[(item, end if target is None else numbers[target]) for item, target in row] for row in rows]
    return Machine([*edges, []])
