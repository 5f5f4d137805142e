"""Sets of JSON values, and their algebra: what a schema's keywords say, before it is written as rules.

A set says, kind by kind, which values are in it: some of null, true and false; an automaton for numbers and one for strings;
for arrays and objects a union of shapes. What elements and properties may be is left to *nodes* (nodes.py), by number, so that
schemas may refer to themselves.
"""

from dataclasses import dataclass, replace
from itertools import zip_longest

from fanlight.grammar.limits import TooLarge, spend
from fanlight.grammar.nodes import FALSE, TRUE, Nodes
from fanlight.grammar.regular import ALL, NONE, Dfa, complement, difference, intersection, other_than, union

MAX_SHAPES = 256  # of one set
LITERALS = frozenset(("null", "true", "false"))


@dataclass(frozen=True, slots=True)
class Contains:
    """At least and at most so many elements, from the one at `skip` on, are of a node."""

    skip: int
    node: int
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Array:
    prefix: tuple[int, ...] = ()
    rest: int = TRUE
    least: int = 0
    most: int | None = None
    contains: tuple[Contains, ...] = ()
    unique: bool = False

    def node(self, index: int) -> int:
        return self.prefix[index] if index < len(self.prefix) else self.rest


@dataclass(frozen=True, slots=True)
class Property:
    name: str
    node: int
    required: bool = False


@dataclass(frozen=True, slots=True)
class Object:
    """`named` is all that is said of its names, in the order in which they are written. Of other names, those in one of the
    automata of `rest`, which do not overlap, may occur. At least one name of each automaton of `some` must."""

    named: tuple[Property, ...] = ()
    rest: tuple[tuple[Dfa, int], ...] = ((ALL, TRUE),)
    least: int = 0
    most: int | None = None
    some: tuple[Dfa, ...] = ()

    def node(self, name: str) -> int:
        found = next((p.node for p in self.named if p.name == name), None)
        return found if found is not None else next((node for dfa, node in self.rest if name in dfa), FALSE)

    def requires(self, name: str) -> bool:
        return any(p.required for p in self.named if p.name == name)


ANY_ARRAY, ANY_OBJECT = Array(), Object()


@dataclass(frozen=True, slots=True)
class Values:
    literals: frozenset[str]
    numbers: Dfa
    strings: Dfa
    arrays: tuple[Array, ...]
    objects: tuple[Object, ...]


NOTHING = Values(frozenset(), NONE, NONE, (), ())


class Algebra:
    """Intersections, unions and complements. `every_number` is the universe of numbers."""

    def __init__(self, nodes: Nodes, every_number: Dfa) -> None:
        self.nodes, self.every_number = nodes, every_number
        self.everything = Values(LITERALS, every_number, ALL, (ANY_ARRAY,), (ANY_OBJECT,))

    def intersection(self, a: Values, b: Values) -> Values:
        if a is b or b is self.everything:
            return a
        if a is self.everything:
            return b
        numbers = a.numbers if b.numbers is self.every_number else b.numbers
        if self.every_number not in (a.numbers, b.numbers):
            numbers = intersection(a.numbers, b.numbers)
        return Values(
            a.literals & b.literals,
            numbers,
            intersection(a.strings, b.strings),
            shapes([self._arrays(p, q) for p in a.arrays for q in b.arrays]),
            shapes([self._objects(p, q) for p in a.objects for q in b.objects]),
        )

    def union(self, a: Values, b: Values) -> Values:
        if a is b or b is NOTHING or a is self.everything:
            return a
        if a is NOTHING or b is self.everything:
            return b
        numbers = self.every_number if self.every_number in (a.numbers, b.numbers) else union(a.numbers, b.numbers)
        strings = union(a.strings, b.strings)
        return Values(a.literals | b.literals, numbers, strings, shapes(a.arrays + b.arrays), shapes(a.objects + b.objects))

    def complement(self, a: Values) -> Values:
        if a is self.everything or a is NOTHING:
            return NOTHING if a is self.everything else self.everything
        arrays, objects = (ANY_ARRAY,), (ANY_OBJECT,)
        for array in a.arrays:
            arrays = shapes([self._arrays(p, q) for p in arrays for q in self._other_arrays(array)])
        for object_ in a.objects:
            objects = shapes([self._objects(p, q) for p in objects for q in self._other_objects(object_)])
        numbers = self.every_number if a.numbers.is_empty else difference(self.every_number, a.numbers)
        return Values(LITERALS - a.literals, numbers, complement(a.strings), arrays, objects)

    def _arrays(self, a: Array, b: Array) -> Array | None:
        if a == ANY_ARRAY or b == ANY_ARRAY or a == b:
            return b if a == ANY_ARRAY else a
        meet = self.nodes.both
        prefix = [meet(a.rest if p is None else p, b.rest if q is None else q) for p, q in zip_longest(a.prefix, b.prefix)]
        return self.array(
            Array(
                tuple(prefix),
                meet(a.rest, b.rest),
                max(a.least, b.least),
                least_of(a.most, b.most),
                tuple(dict.fromkeys(a.contains + b.contains)),
                a.unique or b.unique,
            )
        )

    def array(self, array: Array) -> Array | None:
        """The same; None where it can be seen to have no value."""
        most = array.most
        for i, node in enumerate((*array.prefix, array.rest)):
            if node == FALSE:
                most = least_of(most, i)
                break
        if most is not None and most < array.least:
            return None
        return replace(array, most=most)

    def _other_arrays(self, array: Array) -> list[Array]:
        """The arrays that are not of this shape."""
        if array.unique:
            raise Unexact("uniqueItems")
        found: list[Array | None] = []
        if array.least:
            found.append(Array(most=array.least - 1))
        if array.most is not None:
            found.append(Array(least=array.most + 1))
        for i, node in enumerate(array.prefix):
            if node != TRUE:
                found.append(Array((TRUE,) * i + (self.nodes.negated(node),), least=i + 1))
        if array.rest != TRUE:
            found.append(self._some_element(Contains(len(array.prefix), self.nodes.negated(array.rest), 1, None)))
        for contains in array.contains:
            if contains.least:
                found.append(Array(contains=(replace(contains, least=0, most=contains.least - 1),)))
            if contains.most is not None:
                found.append(Array(contains=(replace(contains, least=contains.most + 1, most=None),)))
        return [shape for shape in found if shape is not None]

    def _some_element(self, contains: Contains) -> Array:
        if contains.node == TRUE:
            return Array(least=contains.skip + 1)
        return Array(contains=(contains,))

    def _objects(self, a: Object, b: Object) -> Object | None:
        if a == ANY_OBJECT or b == ANY_OBJECT or a == b:
            return b if a == ANY_OBJECT else a
        names = dict.fromkeys([p.name for p in a.named] + [p.name for p in b.named])
        named = []
        for name in names:
            node = self.nodes.both(a.node(name), b.node(name))
            named.append(Property(name, node, a.requires(name) or b.requires(name)))
        rest = []
        for left, node in a.rest:
            for right, other in b.rest:
                meet = intersection(left, right)
                if not meet.is_empty:
                    rest.append((meet, self.nodes.both(node, other)))
        some = tuple(dict.fromkeys(a.some + b.some))
        return self.object(Object(tuple(named), tuple(rest), max(a.least, b.least), least_of(a.most, b.most), some))

    def object(self, shape: Object) -> Object | None:
        """The same; None where it can be seen to have no value."""
        required = sum(p.required for p in shape.named)
        if any(p.required and p.node == FALSE for p in shape.named):
            return None
        rest = tuple((dfa, node) for dfa, node in shape.rest if node != FALSE)
        possible = sum(p.node != FALSE for p in shape.named) if not rest else None
        most = least_of(shape.most, possible)
        if most is not None and most < max(shape.least, required):
            return None
        least = shape.least if shape.least > required else 0
        some = tuple(dfa for dfa in shape.some if not any(p.required and p.name in dfa for p in shape.named))
        return replace(shape, rest=rest, least=least, some=some)

    def _other_objects(self, shape: Object) -> list[Object]:
        """The objects that are not of this shape."""
        if shape.some:
            raise Unexact("several layers of not over the names of properties")
        found: list[Object] = []
        if shape.least:
            found.append(Object(most=shape.least - 1))
        if shape.most is not None:
            found.append(Object(least=shape.most + 1))
        for p in shape.named:
            if p.required:
                found.append(Object((Property(p.name, FALSE),)))
            if p.node != TRUE:
                found.append(Object((Property(p.name, self.nodes.negated(p.node), True),)))
        others = other_than(p.name for p in shape.named)
        for dfa, node in shape.rest:
            if node != TRUE and not intersection(dfa, others).is_empty:
                raise Unexact("a schema of properties that are not listed")
            others = difference(others, dfa)
        if not others.is_empty:
            found.append(Object(some=(others,)))
        return found


class Unexact(Exception):
    """The complement of what this keyword says cannot be told exactly."""


def least_of(a: int | None, b: int | None) -> int | None:
    return a if b is None else b if a is None else min(a, b)


def shapes(found: list[object] | tuple[object, ...]) -> tuple:  # type: ignore[type-arg]
    """Without those that are nothing, or there twice; one that is everything is enough."""
    spend(10 * len(found))
    kept = dict.fromkeys(shape for shape in found if shape is not None)
    for everything in (ANY_ARRAY, ANY_OBJECT):
        if everything in kept:
            return (everything,)
    if len(kept) > MAX_SHAPES:
        raise TooLarge(f"it comes to more than {MAX_SHAPES} alternatives of arrays or objects")
    return tuple(kept)
