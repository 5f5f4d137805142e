"""Regular expressions, as ECMAScript and Python's `re` read them where both agree, to automata over characters.

Where the two read a class differently (\\s, \\D, \\W, `.`), what both take is taken. What is not regular (look-around,
back-references) and what changes the reading (flags) is refused.
"""

from functools import lru_cache
from itertools import pairwise

from fanlight.grammar.limits import TooLarge, spend
from fanlight.grammar.patterns import Alternatives, Assertion, Characters, Group, Item, Repeated, parse
from fanlight.grammar.regular import CHARACTERS, Dfa, Ranges, explore, minimised, normal

MAX_NFA = 20_000  # states of one pattern
START, OTHER, WORD, FOREIGN = range(4)  # what comes before a place, as assertions see it
KINDS: dict[int, Ranges] = {
    WORD: ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    FOREIGN: normal([(0x80, 0x10FFFF)]),  # word or not: readings differ, so neither \b nor \B holds beside it
}
KINDS[OTHER] = normal([(0, 0x2F), (0x3A, 0x40), (0x5B, 0x5E), (0x60, 0x60), (0x7B, 0x7F)])
Place = tuple[frozenset[int], int]  # states, and what came before
END = -1  # what comes after the last character


@lru_cache(maxsize=256)
def regex(pattern: str, search: bool = False, wide: bool = False) -> Dfa:
    """The texts that `pattern` matches as a whole, or in which it is found; `wide`: in one of the two readings at least."""
    try:
        return minimised(_Machine(parse(pattern, wide), search, wide).dfa())
    except TooLarge as error:
        raise TooLarge(f"the pattern {pattern[:60]!r} is too large: {error}") from None


class _Machine:
    def __init__(self, item: Item, search: bool, wide: bool) -> None:
        self.wide = wide
        self.skips: list[list[tuple[str, int]]] = []  # (assertion or "", target)
        self.edges: list[list[tuple[Ranges, int]]] = []
        self.words = False  # whether \b or \B occurs
        start, self.accept = self._state(), self._state()
        self._build(item, start, self.accept)
        if search:
            self.edges[start].append((CHARACTERS, start))
            self.edges[self.accept].append((CHARACTERS, self.accept))
        self.start = start

    def _state(self) -> int:
        if len(self.edges) >= MAX_NFA:
            raise TooLarge(f"it needs more than {MAX_NFA} states")
        self.skips.append([])
        self.edges.append([])
        return len(self.edges) - 1

    def _build(self, item: Item, at: int, to: int) -> None:
        match item:
            case Characters(ranges):
                self.edges[at].append((ranges, to))
            case Assertion(what):
                self.words |= what in "bB"
                self.skips[at].append((what, to))
                if what == "$" and self.wide:  # before a last new line too, as Python reads it
                    before = self._state()
                    self.edges[at].append((((10, 10),), before))
                    self.skips[before].append((what, to))
            case Group(items):
                for part in items[:-1]:
                    self._build(part, at, at := self._state())
                self._build(items[-1], at, to) if items else self.skips[at].append(("", to))
            case Alternatives(items):
                for part in items:
                    before = self._state()
                    self.skips[at].append(("", before))
                    self._build(part, before, to)
            case Repeated(part, least, most):
                self._repeat(part, least, most, at, to)

    def _repeat(self, part: Item, least: int, most: int | None, at: int, to: int) -> None:
        for _ in range(least):
            self._build(part, at, at := self._state())
        if most is None:
            loop = self._state()
            self.skips[at].append(("", loop))
            self._build(part, loop, loop)
            self.skips[loop].append(("", to))
            return
        for _ in range(most - least):
            self.skips[at].append(("", to))
            self._build(part, at, at := self._state())
        self.skips[at].append(("", to))

    def dfa(self) -> Dfa:
        return explore(
            (frozenset({self.start}), START),
            self._edges_of,
            lambda state: self.accept in self._close(state[0], state[1], END),
        )

    def _edges_of(self, state: Place) -> list[tuple[int, int, Place]]:
        kernel, before = state
        found: list[tuple[int, int, Place]] = []
        for kind in (OTHER, WORD, FOREIGN) if self.words else (OTHER,):
            events: dict[int, list[tuple[bool, int]]] = {}
            for at in self._close(kernel, before, kind):
                for ranges, target in self.edges[at]:
                    spend(len(ranges))
                    for low, high in overlap(ranges, KINDS[kind]) if self.words else ranges:
                        events.setdefault(low, []).append((True, target))
                        events.setdefault(high + 1, []).append((False, target))
            found += _sweep(events, kind)
        return sorted(found, key=lambda edge: edge[0])

    def _close(self, kernel: frozenset[int], before: int, after: int) -> set[int]:
        seen, todo = set(kernel), list(kernel)
        while todo:
            for what, target in self.skips[todo.pop()]:
                if target not in seen and (not what or self._holds(what, before, after)):
                    seen.add(target)
                    todo.append(target)
        spend(len(seen))
        return seen

    def _holds(self, what: str, before: int, after: int) -> bool:
        if what == "^":
            return before == START
        if what == "$":
            return after == END
        if FOREIGN in (before, after):
            return self.wide
        return ((before == WORD) != (after == WORD)) == (what == "b")


def _sweep(events: dict[int, list[tuple[bool, int]]], kind: int) -> list[tuple[int, int, Place]]:
    """The stretches of characters that lead to the same set of states."""
    cuts = sorted(events)
    active: dict[int, int] = {}
    found: list[tuple[int, int, Place]] = []
    for low, after in pairwise([*cuts, 0]):
        for begins, target in events[low]:
            active[target] = active.get(target, 0) + (1 if begins else -1)
            if not active[target]:
                del active[target]
        if active:
            found.append((low, after - 1, (frozenset(active), kind)))
    spend(len(cuts))
    return found


@lru_cache(maxsize=1024)
def overlap(a: Ranges, b: Ranges) -> Ranges:
    return tuple(sorted((max(p, r), min(q, s)) for p, q in a for r, s in b if max(p, r) <= min(q, s)))
