"""Sets of numbers, as automata over their JSON texts without exponents: ranges, multiples, constants.

The universe is the numbers of so many digits, before and after the point together (what a double holds, so that none is rounded
over a bound), without a negative zero. Every set holds all texts of
its numbers (1.5 and 1.50), so that complements are right; `spelled` then chooses which of them an answer may write.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache

from fanlight.grammar.json_text import DIGITS
from fanlight.grammar.limits import TooLarge
from fanlight.grammar.regex import regex
from fanlight.grammar.regular import Dfa, difference, explore, intersection, minimised

MAX_DIGITS = 60
MAX_DIVISOR = 1_000
MAX_LISTED = 1_000  # numbers that are written in their shortest text only
LESS, EQUAL, GREATER = -1, 0, 1


@dataclass(frozen=True, slots=True)
class Parts:
    """A number's magnitude, digit by digit."""

    negative: bool
    whole: str  # no leading zeros, "0" for none
    fraction: str  # no trailing zeros

    @classmethod
    def of(cls, number: int | float) -> "Parts":
        decimal = Decimal(number) if isinstance(number, int) else Decimal(repr(number))
        if abs(decimal.adjusted()) > MAX_DIGITS:
            raise TooLarge(f"the number {number!r:.80} has more than {MAX_DIGITS} digits")
        whole, _, fraction = f"{abs(decimal):f}".partition(".")
        if len(whole) + len(fraction) > 2 * MAX_DIGITS:
            raise TooLarge(f"the number {number!r:.80} has more than {MAX_DIGITS} digits")
        return cls(decimal < 0, whole, fraction.rstrip("0"))


def universe(digits: int) -> "Numbers":
    """The numbers of so many digits; at least DIGITS."""
    return _universe(max(digits, DIGITS))


@lru_cache(maxsize=16)
def _universe(digits: int) -> "Numbers":
    return Numbers(digits)


class Numbers:
    def __init__(self, digits: int) -> None:
        texts = intersection(regex(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"), regex(rf"-?([0-9]\.?){{1,{digits}}}"))
        self.every = difference(texts, regex(r"-0(\.0*)?"))

    @cached_property
    def integers(self) -> Dfa:
        """Numbers without a fraction: 1, and 1.0 too."""
        return intersection(self.every, regex(r"-?[0-9]+(\.0*)?"))

    @cached_property
    def spelled_integers(self) -> Dfa:
        return intersection(self.integers, regex(r"-?[0-9]+"))

    def spelled(self, numbers: Dfa) -> Dfa:
        """Integers without a point; a short list of numbers without needless zeros; other numbers in any way."""
        if numbers is self.integers:
            return self.spelled_integers
        shortest = intersection(numbers, regex(r"-?[0-9]+(\.[0-9]*[1-9])?"))
        if difference(numbers, self.integers).is_empty or shortest.count(MAX_LISTED) is not None:
            return shortest
        return numbers

    def compared(self, number: int | float, *orders: int) -> Dfa:
        """The numbers that are less than, equal to or greater than this one."""
        return _compared(self, Parts.of(number), frozenset(orders))

    def listed(self, numbers: Iterable[int | float]) -> Dfa:
        """These numbers, in any spelling. State: (what was read, if it begins the shortest text of one; whether zeros may go
        on: 0 no, 1 they must, 2 they may)."""
        shortest = set()
        for number in numbers:
            parts = Parts.of(number)
            sign = "-" if parts.negative and (parts.whole != "0" or parts.fraction) else ""
            shortest.add(f"{sign}{parts.whole}.{parts.fraction}".rstrip("."))
        begun = {text[:i] for text in shortest for i in range(len(text) + 1)}

        def edges_of(state: tuple[str | None, int]) -> list[tuple[int, int, tuple[str | None, int]]]:
            read, zeros = state
            found = []
            for character in "-.0123456789":
                more = read + character if read is not None and read + character in begun else None
                after = 1 if character == "." and read in shortest else 0
                if character == "0" and (zeros or (read in shortest and "." in str(read))):
                    after = 2
                if more is not None or after:
                    found.append((ord(character), ord(character), (more, after)))
            return found

        start: tuple[str | None, int] = "", 0
        return minimised(intersection(self.every, explore(start, edges_of, lambda s: s[0] in shortest or s[1] == 2)))

    def multiples(self, number: int | float) -> Dfa:
        parts = Parts.of(number)
        if parts == Parts(False, "1", ""):
            return self.integers
        divisor, places = int(parts.whole + parts.fraction), len(parts.fraction)
        if divisor * (places + 1) > MAX_DIVISOR:
            raise TooLarge(f"multiples of {number!r:.80} need a state for each remainder; at most {MAX_DIVISOR}")
        return minimised(intersection(self.every, minimised(_multiples(divisor, places))))


@lru_cache(maxsize=128)
def _compared(numbers: Numbers, bound: Parts, orders: frozenset[int]) -> Dfa:
    return minimised(intersection(numbers.every, _comparison(bound, orders)))


def _comparison(bound: Parts, orders: frozenset[int]) -> Dfa:
    """State: (negative, part, digits read of the part, how the magnitude compares so far). Parts: 0 nothing, 1 a sign, 2 the
    whole, 3 the point, 4 the fraction."""
    State = tuple[bool, int, int, int]

    def order(state: State) -> int:
        negative, part, read, so_far = state
        if negative != bound.negative:
            return LESS if negative else GREATER
        if part == 2:
            so_far = _by_length(read, len(bound.whole), so_far)
            read = 0
        if so_far == EQUAL and read < len(bound.fraction):
            so_far = LESS  # it has more digits, the last of which is not 0
        return -so_far if negative else so_far

    def edges_of(state: State) -> list[tuple[int, int, State]]:
        negative, part, read, so_far = state
        found: list[tuple[int, int, State]] = []
        if part == 0:
            found.append((ord("-"), ord("-"), (True, 1, 0, EQUAL)))
        if part == 2:
            found.append((ord("."), ord("."), (negative, 3, 0, _by_length(read, len(bound.whole), so_far))))
        digits = bound.whole if part <= 2 else bound.fraction
        against = int(digits[read]) if read < len(digits) else 0
        for digit in range(10):
            after = so_far or (digit > against) - (digit < against)
            if part <= 2:
                after = after if read < len(digits) else so_far
                found.append((48 + digit, 48 + digit, (negative, 2, min(read + 1, len(digits) + 1), after)))
            else:
                found.append((48 + digit, 48 + digit, (negative, 4, min(read + 1, len(digits)), after)))
        return found

    return explore((False, 0, 0, EQUAL), edges_of, lambda state: state[1] in (2, 4) and order(state) in orders)


def _by_length(read: int, length: int, so_far: int) -> int:
    return LESS if read < length else GREATER if read > length else so_far


def _multiples(divisor: int, places: int) -> Dfa:
    """The texts whose number, times 10 ** places, is a multiple of the divisor. State: (part, digits after the point, rest)."""
    State = tuple[int, int, int]

    def edges_of(state: State) -> list[tuple[int, int, State]]:
        part, read, rest = state
        found: list[tuple[int, int, State]] = []
        if part == 0:
            found.append((ord("-"), ord("-"), (1, 0, 0)))
        if part == 2:
            found.append((ord("."), ord("."), (3, 0, rest)))
        for digit in range(10):
            if part < 3:
                found.append((48 + digit, 48 + digit, (2, 0, (rest * 10 + digit) % divisor)))
            elif read < places:
                found.append((48 + digit, 48 + digit, (4, read + 1, (rest * 10 + digit) % divisor)))
            elif digit == 0:
                found.append((48, 48, (4, read, rest)))
        return found

    return explore((0, 0, 0), edges_of, lambda s: s[0] in (2, 4) and s[2] * 10 ** (places - s[1]) % divisor == 0)
