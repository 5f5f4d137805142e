"""Regular sets of texts, as automata over characters, and their algebra. Patterns, lengths, formats, enumerations,
names of keys, numbers are these; a JSON schema's `allOf`, `not` and `oneOf` are intersections and complements of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

from fanlight.grammar.limits import TooLarge, spend

Edge = tuple[int, int, int]  # from character, to character, target
Ranges = tuple[tuple[int, int], ...]  # of characters: sorted, disjoint, not touching
State = TypeVar("State")
LAST = 0x10FFFF
CHARACTERS: Ranges = ((0, 0xD7FF), (0xE000, LAST))  # all but surrogates
MAX_DFA_STATES = 20_000
MAX_NEEDLES = 4_000  # characters of texts that are looked for
MAX_MINIMISED = 1_500  # states; larger ones are used as they are


@dataclass(frozen=True, slots=True, eq=False)
class Dfa:
    """State 0 is the start. Edges of a state are sorted and disjoint; where none fits, the text is outside. Every state is
    reached and reaches an accepting one (but for the start of the empty set)."""

    edges: tuple[tuple[Edge, ...], ...]
    accepts: tuple[bool, ...]

    @property
    def is_empty(self) -> bool:
        return not any(self.accepts)

    @property
    def is_everything(self) -> bool:
        return len(self.accepts) == 1 and self.accepts[0] and self.edges[0] == tuple((a, b, 0) for a, b in CHARACTERS)

    def __contains__(self, text: str) -> bool:
        state: int | None = 0
        for character in text:
            if state is not None:
                state = self.step(state, ord(character))
        return state is not None and self.accepts[state]

    def step(self, state: int, code: int) -> int | None:
        return next((target for low, high, target in self.edges[state] if low <= code <= high), None)

    def count(self, most: int) -> int | None:
        """How many texts there are; None where more than `most`."""
        order: list[int] = []
        mark = [0] * len(self.edges)
        todo = [(0, False)]
        while todo:  # depth first, to find cycles and an order
            state, left = todo.pop()
            if left:
                mark[state] = 2
                order.append(state)
            elif mark[state] == 0:
                mark[state] = 1
                todo.append((state, True))
                for _, _, target in self.edges[state]:
                    if mark[target] == 1:
                        return None
                    todo.append((target, False))
            # a state that is finished is not looked at again
        counts = [0] * len(self.edges)
        for state in order:
            counts[state] = self.accepts[state] + sum((high - low + 1) * counts[t] for low, high, t in self.edges[state])
            if counts[state] > most:
                return None
        return counts[0]

    def texts(self, most: int) -> list[str] | None:
        """All of them; None where they are more than `most`."""
        if self.count(most) is None:
            return None
        found, todo = [], [("", 0)]
        while todo:
            text, state = todo.pop()
            found += [text] if self.accepts[state] else []
            for low, high, target in reversed(self.edges[state]):
                todo += [(text + chr(code), target) for code in range(high, low - 1, -1)]
        return found


NONE = Dfa(((),), (False,))
ALL = Dfa((tuple((a, b, 0) for a, b in CHARACTERS),), (True,))


def normal(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sorted, joined, without surrogates."""
    found: list[tuple[int, int]] = []
    for low, high in sorted((max(a, c), min(b, d)) for a, b in ranges for c, d in CHARACTERS if max(a, c) <= min(b, d)):
        if found and low <= found[-1][1] + 1 and low != 0xE000:
            found[-1] = found[-1][0], max(high, found[-1][1])
        elif found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return tuple(found)


def inverted(ranges: Iterable[tuple[int, int]]) -> Ranges:
    found, at = [], 0
    for low, high in normal(ranges):
        if at < low:
            found.append((at, low - 1))
        at = high + 1
    return normal([*found, (at, LAST)] if at <= LAST else found)


def explore(start: State, edges_of: Callable[[State], list[tuple[int, int, State]]], accepts: Callable[[State], bool]) -> Dfa:
    """The automaton whose states are whatever `edges_of` leads to from `start`, numbered as they are met."""
    numbers = {start: 0}
    order = [start]
    edges: list[list[Edge]] = []
    for state in order:  # grows
        row: list[Edge] = []
        for low, high, target in edges_of(state):
            if target not in numbers:
                if len(numbers) >= MAX_DFA_STATES:
                    raise TooLarge(f"it needs more than {MAX_DFA_STATES} states")
                numbers[target] = len(order)
                order.append(target)
            number = numbers[target]
            if row and row[-1][2] == number and row[-1][1] + 1 == low and low != 0xE000:
                row[-1] = row[-1][0], high, number
            else:
                row.append((low, high, number))
        spend(2 + len(row))
        edges.append(row)
    return trimmed(edges, [accepts(state) for state in order])


def trimmed(edges: list[list[Edge]], accepts: list[bool]) -> Dfa:
    """Without states from which no accepting one is reached."""
    back: list[list[int]] = [[] for _ in edges]
    for state, row in enumerate(edges):
        for _, _, target in row:
            back[target].append(state)
    alive = [False] * len(edges)
    todo = [state for state, accepting in enumerate(accepts) if accepting]
    while todo:
        state = todo.pop()
        if not alive[state]:
            alive[state] = True
            todo += back[state]
    if not alive[0]:
        return NONE
    if all(alive):
        return Dfa(tuple(map(tuple, edges)), tuple(accepts))
    number, kept = [-1] * len(edges), 0
    for state in range(len(edges)):
        if alive[state]:
            number[state], kept = kept, kept + 1
    rows = (tuple((a, b, number[t]) for a, b, t in row if alive[t]) for state, row in enumerate(edges) if alive[state])
    return Dfa(tuple(rows), tuple(a for a, keep in zip(accepts, alive, strict=True) if keep))


def minimised(dfa: Dfa) -> Dfa:
    """With as few states as there can be, if it is small; Moore's refinement."""
    if len(dfa.edges) > MAX_MINIMISED:
        return dfa
    block: list[int] = [int(a) for a in dfa.accepts]
    count = len(set(block))
    while True:
        keys: dict[tuple[object, ...], int] = {}
        refined = []
        for state, row in enumerate(dfa.edges):
            targets: list[Edge] = []
            for low, high, target in row:
                if targets and targets[-1][2] == block[target] and targets[-1][1] + 1 == low:
                    targets[-1] = targets[-1][0], high, block[target]
                else:
                    targets.append((low, high, block[target]))
            refined.append(keys.setdefault((block[state], *targets), len(keys)))
        spend(len(refined))
        block = refined
        if len(keys) == count:
            break
        count = len(keys)
    if count == len(dfa.edges):
        return dfa
    first = {number: state for state, number in reversed(list(enumerate(block)))}
    return explore(
        block[0],
        lambda b: [(low, high, block[t]) for low, high, t in dfa.edges[first[b]]],
        lambda b: dfa.accepts[first[b]],
    )


Pairs = list[tuple[int, int, tuple[int, int]]]


def _overlaps(a: tuple[Edge, ...], b: tuple[Edge, ...]) -> Pairs:
    """The characters that both of two states have an edge for."""
    found, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        low, high, left = a[i]
        first, last, right = b[j]
        if low <= last and first <= high:
            found.append((max(low, first), min(high, last), (left, right)))
        if high < last:
            i += 1
        else:
            j += 1
    return found


def _joint(a: tuple[Edge, ...], b: tuple[Edge, ...]) -> Pairs:
    """The edges of two states side by side; -1 where one has none."""
    if not a or not b:
        return [(low, high, (t, -1)) for low, high, t in a] + [(low, high, (-1, t)) for low, high, t in b]
    cuts = sorted({edge[0] for edge in a + b} | {edge[1] + 1 for edge in a + b})
    found, i, j = [], 0, 0
    for low, after in pairwise(cuts):
        while i < len(a) and a[i][1] < low:
            i += 1
        while j < len(b) and b[j][1] < low:
            j += 1
        left = a[i][2] if i < len(a) and a[i][0] <= low else -1
        right = b[j][2] if j < len(b) and b[j][0] <= low else -1
        if (left, right) != (-1, -1):
            found.append((low, after - 1, (left, right)))
    return found


def _product(a: Dfa, b: Dfa, keep: Callable[[bool, bool], bool]) -> Dfa:
    """The texts for which `keep` holds of being in a and being in b."""
    both, left_alone, right_alone = keep(True, True), keep(True, False), keep(False, True)

    def edges_of(pair: tuple[int, int]) -> Pairs:
        i, j = pair
        if not left_alone and not right_alone:
            return _overlaps(a.edges[i], b.edges[j])
        found = _joint(a.edges[i] if i >= 0 else (), b.edges[j] if j >= 0 else ())
        return [
            (low, high, (p, q))
            for low, high, (p, q) in found
            if (p >= 0 and q >= 0) or (left_alone and p >= 0) or (right_alone and q >= 0)
        ]

    def accepts(pair: tuple[int, int]) -> bool:
        i, j = pair
        return keep(i >= 0 and a.accepts[i], j >= 0 and b.accepts[j])

    assert both or left_alone or right_alone
    return explore((0, 0), edges_of, accepts)


def intersection(a: Dfa, b: Dfa) -> Dfa:
    if a is b or b.is_everything:
        return a
    return b if a.is_everything else _product(a, b, lambda p, q: p and q)


def union(a: Dfa, b: Dfa) -> Dfa:
    if a is b or b.is_empty or a.is_everything:
        return a
    return b if a.is_empty or b.is_everything else minimised(_product(a, b, lambda p, q: p or q))


def difference(a: Dfa, b: Dfa) -> Dfa:
    """What is in a and not in b."""
    if a is b or b.is_everything:
        return NONE
    return a if b.is_empty or a.is_empty else minimised(_product(a, b, lambda p, q: p and not q))


def complement(a: Dfa) -> Dfa:
    return difference(ALL, a)


def other_than(texts: Iterable[str]) -> Dfa:
    """All texts but these. It has as few states as there can be, since `words` has."""
    texts = list(texts)
    if not texts:
        return ALL
    return _product(ALL, words(texts), lambda p, q: p and not q)


def words(texts: Iterable[str]) -> Dfa:
    """Exactly these texts: a trie, equal branches once."""
    root: dict[str, object] = {}
    for text in texts:
        node = root
        for character in text:
            node = node.setdefault(character, {})  # type: ignore[assignment]
        node[""] = {}
        spend(len(text))
    numbers: dict[tuple[object, ...], int] = {}
    rows: list[tuple[bool, list[Edge]]] = []

    def number(node: dict[str, object]) -> int:
        children: list[Edge] = []
        for character in sorted(c for c in node if c):
            target = done[id(node[character])]
            children.append((ord(character), ord(character), target))
        key = ("" in node, *children)
        if key not in numbers:
            numbers[key] = len(rows)
            rows.append(("" in node, children))
        return numbers[key]

    done: dict[int, int] = {}
    order = [root]
    for node in order:
        order += [child for character, child in node.items() if character]  # type: ignore[misc]
    for node in reversed(order):
        done[id(node)] = number(node)
    return explore(
        done[id(root)],
        lambda n: list(rows[n][1]),
        lambda n: rows[n][0],
    )


@lru_cache(maxsize=32)
def length(least: int, most: int | None) -> Dfa:
    """The texts of so many characters."""
    last = least if most is None else most
    if last >= MAX_DFA_STATES:
        raise TooLarge(f"{last} characters are counted one by one: at most {MAX_DFA_STATES - 1}")
    if most is not None and most < least:
        return NONE
    edges = [[(a, b, i + 1) for a, b in CHARACTERS] for i in range(last)]
    edges.append([(a, b, last) for a, b in CHARACTERS] if most is None else [])
    return Dfa(tuple(map(tuple, edges)), tuple(i >= least for i in range(last + 1)))


def without(texts: Iterable[str]) -> Dfa:
    """The texts in which none of these occurs."""
    return _search(tuple(texts), None)


def until(texts: Iterable[str], last: str) -> Dfa:
    """The texts that end with `last` and in which none of these, `last` among them, occurs before."""
    return _search(tuple(texts), last)


def _search(needles: tuple[str, ...], last: str | None) -> Dfa:
    """Aho and Corasick's automaton; its states are the prefixes of the needles."""
    if "" in needles:
        return NONE if last is None else words([""] if not last else [])
    if sum(map(len, needles)) > MAX_NEEDLES:
        raise TooLarge(f"texts to look for have more than {MAX_NEEDLES} characters")
    prefixes = {text[:i] for text in needles for i in range(len(text))}
    letters = sorted({ord(c) for text in needles for c in text})
    others = inverted([(c, c) for c in letters])

    def edges_of(prefix: str | None) -> list[tuple[int, int, str | None]]:
        if prefix is None:  # it is over
            return []
        found: list[tuple[int, int, str | None]] = [(a, b, "") for a, b in others]
        for code in letters:
            text = prefix + chr(code)
            if not any(map(text.endswith, needles)):
                found.append((code, code, next(text[i:] for i in range(len(text) + 1) if text[i:] in prefixes)))
            elif last is not None and text.endswith(last):
                found.append((code, code, None))
        return sorted(found, key=lambda edge: edge[0])

    start: str | None = ""
    return explore(start, edges_of, lambda prefix: (last is None) == (prefix is not None))
