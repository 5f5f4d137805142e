"""What an answer may be: a deterministic pushdown automaton over bytes, as tables that a GPU walks too (lib/grammar.wgsl).

A configuration is a state and a stack. For the next byte, `actions[state, class of the byte]` says what to do:

    GOTO t    take the byte and go to state t
    PUSH i    push `pushes[i].base`, go to `pushes[i].start`, and look again: a rule begins
    NONE      where the state accepts by exit e: pop a base, go to `returns[base + e]`, and look again: the rule ends.
              Elsewhere, and where the stack is empty, the byte is refused.

An action's high byte says how much more of the stack the way to an end needs, at the least: with GOTO from state t on, with
PUSH (where it is at least 1) from before the push on. Where that is more than MAX_DEPTH leaves, the byte is refused, so that
what nests deep can always be closed again.

A text is whole where popping alone leads from its last configuration to an accepting state over an empty stack. Every state
that can be reached leads to a whole text (the front end prunes the others), and no look ever goes round in a circle: left
recursion is refused.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

SOME, CLOSER = -1, -2  # what Automaton.only says beside bytes
NONE, GOTO, PUSH = 0, 1, 2  # the two low bits of an action; then a state or the index of a push; then the need of the stack
KIND_BITS, VALUE_BITS = 2, 22
MAX_DEPTH = 64  # of the stack: what nests deeper is refused


@dataclass(frozen=True, eq=False)
class Automaton:
    classes: bytes  # [256] byte -> class; bytes of a class are never told apart
    num_classes: int
    actions: "array[int]"  # u32 [states, num_classes]
    exits: "array[int]"  # u32 [states]: 0, or the exit by which the state accepts, plus 1
    pushes: "array[int]"  # u32 [pushes, 2]: start, base
    returns: "array[int]"  # u32: states
    start: int = 0

    @cached_property
    def goes_on(self) -> bytes:
        """[states]: whether a byte may follow in the state itself, without popping."""
        n = self.num_classes
        return bytes(any(self.actions[i : i + n]) for i in range(0, len(self.actions), n))

    @cached_property
    def _only(self) -> dict[int, int]:
        return {}

    def only(self, state: int) -> int:
        """The one byte that a state takes, and it goes nowhere else; SOME where it takes several; else CLOSER: who would know
        has to look at the stack."""
        if (found := self._only.get(state)) is None:
            row = self.actions[state * self.num_classes : (state + 1) * self.num_classes]
            kinds = [row[c] & (1 << KIND_BITS) - 1 for c in self.classes]
            taken = [byte for byte, kind in enumerate(kinds) if kind != NONE]
            is_plain = len(taken) == 1 and not self.exits[state] and kinds[taken[0]] == GOTO
            found = self._only[state] = SOME if len(taken) > 1 else taken[0] if is_plain else CLOSER
        return found

    @property
    def num_states(self) -> int:
        return len(self.exits)

    @cached_property
    def words(self) -> "array[int]":
        """All of it as u32: where each table begins, then the tables (HEADER says which)."""
        classes = array("I", list(self.classes))
        tables = (classes, self.actions, self.exits, self.pushes, self.returns)
        header = array("I", [self.num_classes, self.start])
        at = len(HEADER)
        for table in tables:
            header.append(at)
            at += len(table)
        return sum(tables, header)


HEADER = ("num_classes", "start", "classes", "actions", "exits", "pushes", "returns")  # words of `Automaton.words`


class Matcher:
    """A walk through an automaton."""

    def __init__(self, automaton: Automaton, state: int | None = None, stack: Sequence[int] = ()) -> None:
        self.automaton = automaton
        self.state = automaton.start if state is None else state
        self.stack = list(stack)

    def copy(self) -> "Matcher":
        return Matcher(self.automaton, self.state, self.stack)

    def accept(self, text: bytes) -> bool:
        """Take all of the bytes, or none of them."""
        after = self.copy()
        if not all(map(after._step, text)):
            return False
        self.state, self.stack = after.state, after.stack
        return True

    def _step(self, byte: int) -> bool:
        a = self.automaton
        column = a.classes[byte]
        while True:
            action = a.actions[self.state * a.num_classes + column]
            kind, value = action & (1 << KIND_BITS) - 1, action >> KIND_BITS & (1 << VALUE_BITS) - 1
            if len(self.stack) + (action >> KIND_BITS + VALUE_BITS) > MAX_DEPTH:
                return False
            if kind == GOTO:
                self.state = value
                return True
            if kind == PUSH:
                self.stack.append(a.pushes[2 * value + 1])
                self.state = a.pushes[2 * value]
            elif not self._pop():
                return False

    def _pop(self) -> bool:
        exit = self.automaton.exits[self.state]
        if not exit or not self.stack:
            return False
        self.state = self.automaton.returns[self.stack.pop() + exit - 1]
        return True

    @property
    def is_complete(self) -> bool:
        """Whether the text may end here."""
        end = self.copy()
        while end._pop():
            pass
        return not end.stack and self.automaton.exits[end.state] > 0

    @property
    def is_over(self) -> bool:
        """Whether the text is whole and no byte may follow."""
        end = self.copy()
        while not end.automaton.goes_on[end.state]:
            if not end.stack:
                return end.automaton.exits[end.state] > 0
            if not end._pop():
                return False
        return False

    def next_classes(self) -> list[int]:
        """The classes of bytes that may come next."""
        a = self.automaton
        return [c for c in range(a.num_classes) if self.copy()._step(a.classes.index(c))]

    def forced(self, most: int = 256) -> bytes:
        """The bytes that must come next: up to where there is a choice, or the text may end, or `most` are found."""
        after, found = self.copy(), bytearray()
        while len(found) < most and (byte := after._only_byte()) is not None and after._step(byte):
            found.append(byte)
        return bytes(found)

    def _only_byte(self) -> int | None:
        byte = self.automaton.only(self.state)
        if byte != CLOSER:
            return None if byte == SOME else byte
        classes = [] if self.is_complete else self.next_classes()
        if len(classes) != 1 or self.automaton.classes.count(classes[0]) != 1:
            return None
        return self.automaton.classes.index(classes[0])
