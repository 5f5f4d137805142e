"""From rules to one nondeterministic automaton over bytes, in which a rule is called by its name: states, edges on bytes, edges
on calls, and what the determiniser has to know of each rule."""

from collections.abc import Iterator

from fanlight.errors import RequestError
from fanlight.grammar.expressions import (
    BEYOND_ASCII,
    CHARACTERS,
    ESCAPE,
    Bytes,
    Choice,
    Expression,
    Literal,
    Machine,
    Regular,
    Repeat,
    Rule,
    Rules,
    Sequence,
    byte_range,
)
from fanlight.grammar.limits import TooLarge, spend

MAX_NFA_STATES = 40_000
ASCII = byte_range(0, 0x7F)
PLAIN = byte_range(0x20, 0x7F) & ~(1 << ord('"')) & ~(1 << ord("\\"))  # ASCII that a JSON string holds as it is
SHORT = {8: "b", 9: "t", 10: "n", 12: "f", 13: "r", 0x22: '"', 0x5C: "\\"}  # the escapes of one letter


class Nfa:
    """The automaton of all rules that the root needs. A rule has a start, which nothing leads back to, and an end, which
    nothing leaves."""

    def __init__(self, rules: Rules, root: str) -> None:
        self.edges: list[list[tuple[int, int]]] = []  # of each state: (mask, target)
        self.skips: dict[int, list[int]] = {}  # of the states that have some: edges that take nothing
        self.calls: dict[int, list[int]] = {}  # likewise: indices into call_rule and call_target
        self.call_rule: list[int] = []
        self.call_target: list[int] = []
        self.names: list[str] = []
        self.start: list[int] = []
        self.end: list[int] = []
        self._rules = CHARACTERS | rules
        self._ids: dict[str, int] = {}
        self._rule(root)
        built = 0
        while built < len(self.names):
            self._build(self._rules[self.names[built]], self.start[built], self.end[built])
            built += 1

    def _rule(self, name: str) -> int:
        if name not in self._ids:
            if name not in self._rules:
                raise RequestError(f"the grammar has no rule {name!r}", hint="define every rule that is used")
            self._ids[name] = len(self.names)
            self.names.append(name)
            self.start.append(self._state())
            self.end.append(self._state())
        return self._ids[name]

    def _state(self) -> int:
        if len(self.edges) >= MAX_NFA_STATES:
            raise TooLarge(f"it needs more than {MAX_NFA_STATES} states")
        self.edges.append([])
        return len(self.edges) - 1

    def _skip(self, at: int, to: int) -> None:
        self.skips.setdefault(at, []).append(to)

    def _call(self, name: str, at: int, to: int) -> None:
        self.calls.setdefault(at, []).append(len(self.call_rule))
        self.call_rule.append(self._rule(name))
        self.call_target.append(to)

    def _build(self, expression: Expression, at: int, to: int) -> None:
        """Make `expression` lead from one state to another. It never leads back to `at`, nor on from `to`."""
        match expression:
            case Bytes(mask):
                self.edges[at] += [(mask, to)] if mask else []
            case Literal(text):
                self._literal(text, at, to)
            case Sequence(items):
                for item in items[:-1]:
                    self._build(item, at, at := self._state())
                self._build(items[-1], at, to) if items else self._skip(at, to)
            case Choice(items):
                for item in items:
                    self._build(item, at, to)
            case Repeat(item, least, most):
                self._repeat(item, least, most, at, to)
            case Rule(name):
                self._call(name, at, to)
            case Regular():
                _Characters(self, expression, to).build(at)
            case Machine(edges):
                states = [self._state() for _ in edges[:-1]] + [to]
                self._skip(at, states[0])
                for state, row in zip(states, edges, strict=True):
                    for item, target in row:
                        self._build(item, state, states[target])

    def _literal(self, text: bytes, at: int, to: int) -> None:
        if not text:
            return self._skip(at, to)
        for byte in text[:-1]:
            following = self._state()
            self.edges[at].append((1 << byte, following))
            at = following
        self.edges[at].append((1 << text[-1], to))

    def _repeat(self, item: Expression, least: int, most: int | None, at: int, to: int) -> None:
        for _ in range(least):
            self._build(item, at, at := self._state())
        if most is None:
            loop = self._state()
            self._skip(at, loop)
            self._build(item, loop, loop)
            self._skip(loop, to)
            return
        for _ in range(most - least):
            self._skip(at, to)
            self._build(item, at, at := self._state())
        self._skip(at, to)


class _Characters:
    """One Regular inside an Nfa: a state for each of its automaton's, and the bytes that spell a character between them."""

    def __init__(self, nfa: Nfa, expression: Regular, to: int) -> None:
        self.nfa, self.dfa, self.json, self.to = nfa, expression.dfa, expression.json, to
        self.escapes: dict[tuple[int, int], int] = {}  # (target, characters) -> the state after the backslash
        self.suffixes: dict[tuple[int, tuple[tuple[int, int], ...]], int] = {}  # last bytes of a character -> where they lead

    def build(self, at: int) -> None:
        nfa = self.nfa
        states = [nfa._state() for _ in self.dfa.edges]
        nfa._skip(at, states[0])
        for state, edges, accepts in zip(states, self.dfa.edges, self.dfa.accepts, strict=True):
            if accepts:
                nfa._skip(state, self.to)
            by_target: dict[int, list[tuple[int, int]]] = {}
            for low, high, target in edges:
                by_target.setdefault(target, []).append((low, high))
            for target, ranges in by_target.items():
                self._edge(state, states[target], ranges)

    def _edge(self, at: int, to: int, ranges: list[tuple[int, int]]) -> None:
        spend(len(ranges))
        mask = 0
        for low, high in ranges:
            if low < 0x80:
                mask |= byte_range(low, min(high, 0x7F))
        beyond = [(max(low, 0x80), high) for low, high in ranges if high >= 0x80]
        if beyond == [(0x80, 0xD7FF), (0xE000, 0x10FFFF)]:
            self.nfa._call(BEYOND_ASCII, at, to)
            beyond = []
            if mask == ASCII and self.json:
                self.nfa._call(ESCAPE, at, to)
                mask &= PLAIN
        for low, high in beyond:
            for first, *rest in utf8_ranges(low, high):
                self.nfa.edges[at].append((byte_range(*first), self._suffix(to, tuple(rest))))
        if self.json and mask & ~PLAIN:
            self._escapes(at, to, mask & ~PLAIN)
            mask &= PLAIN
        if mask:
            self.nfa.edges[at].append((mask, to))

    def _suffix(self, to: int, ranges: tuple[tuple[int, int], ...]) -> int:
        if not ranges:
            return to
        if (to, ranges) not in self.suffixes:
            self.suffixes[to, ranges] = state = self.nfa._state()
            self.nfa.edges[state].append((byte_range(*ranges[0]), self._suffix(to, ranges[1:])))
        return self.suffixes[to, ranges]

    def _escapes(self, at: int, to: int, mask: int) -> None:
        """Quotes, backslashes and control characters, each in one spelling."""
        if (to, mask) in self.escapes:
            self.nfa.edges[at].append((1 << ord("\\"), self.escapes[to, mask]))
            return
        self.escapes[to, mask] = escape = self.nfa._state()
        self.nfa.edges[at].append((1 << ord("\\"), escape))
        letters, digits = 0, [0, 0]  # bytes after a backslash; last digits after \\u000 and \\u001
        for code in range(0x80):
            if mask >> code & 1 and code in SHORT:
                letters |= 1 << ord(SHORT[code])
            elif mask >> code & 1:
                digits[code >> 4] |= 1 << ord("0123456789abcdef"[code & 15])
        if letters:
            self.nfa.edges[escape].append((letters, to))
        for high, last in enumerate(digits):
            if last:
                before = self.nfa._state()
                self.nfa._literal(b"u00%d" % high, escape, before)
                self.nfa.edges[before].append((last, to))


def utf8_ranges(low: int, high: int) -> Iterator[list[tuple[int, int]]]:
    """The characters from low to high as sequences of ranges of bytes; no surrogates are among them."""
    for most in (0x7F, 0x7FF, 0xFFFF):  # characters of one length
        if low <= most < high:
            yield from utf8_ranges(low, most)
            yield from utf8_ranges(most + 1, high)
            return
    for shift in (6, 12, 18):  # whole blocks of last bytes
        rest = (1 << shift) - 1
        if low >> shift != high >> shift:
            if low & rest:
                yield from utf8_ranges(low, low | rest)
                yield from utf8_ranges((low | rest) + 1, high)
                return
            if high & rest != rest:
                yield from utf8_ranges(low, (high & ~rest) - 1)
                yield from utf8_ranges(high & ~rest, high)
                return
    yield list(zip(_encode(low), _encode(high), strict=True))


def _encode(code: int) -> bytes:
    return chr(code).encode()
