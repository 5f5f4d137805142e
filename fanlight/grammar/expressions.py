"""What a grammar is written in: expressions over bytes, and rules by name. Every front end (JSON Schema, regular expressions,
EBNF, structural tags) makes these; nfa.py takes them apart."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from fanlight.grammar.regular import Dfa


@dataclass(frozen=True, slots=True)
class Bytes:
    """One byte of a set; bit b of `mask` is byte b."""

    mask: int


@dataclass(frozen=True, slots=True)
class Literal:
    text: bytes


@dataclass(frozen=True, slots=True)
class Sequence:
    items: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Choice:
    items: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Repeat:
    item: "Expression"
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Whatever the rule of this name says."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Regular:
    """The texts of an automaton over characters, as UTF-8 or as what stands between the quotes of a JSON string."""

    dfa: "Dfa"
    json: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """States with edges that take an expression and go to a state; from 0 to the last, which nothing leaves."""

    edges: "list[list[tuple[Expression, int]]]"


Expression = Union[Bytes, Literal, Sequence, Choice, Repeat, Rule, Regular, Machine]  # noqa: UP007  (the names are quoted in what they hold)
Rules = dict[str, Expression]

EMPTY = Sequence(())
NOTHING = Choice(())


def byte_range(low: int, high: int) -> int:
    """The mask of the bytes from low to high, both included."""
    return (1 << high + 1) - (1 << low)


def bytes_of(text: str | bytes) -> Bytes:
    mask = 0
    for byte in text.encode() if isinstance(text, str) else text:
        mask |= 1 << byte
    return Bytes(mask)


def literal(text: str) -> Literal:
    return Literal(text.encode())


def sequence(*items: Expression) -> Expression:
    return items[0] if len(items) == 1 else Sequence(items)


def choice(*items: Expression) -> Expression:
    return items[0] if len(items) == 1 else Choice(items)


def optional(item: Expression) -> Repeat:
    return Repeat(item, 0, 1)


_TAIL = Bytes(byte_range(0x80, 0xBF))
BEYOND_ASCII, ESCAPE = "character beyond ASCII", "escape in a string"  # rules that Regular calls
HEX = bytes_of("0123456789abcdefABCDEF")


def _bytes(*ranges: tuple[int, int]) -> Expression:
    return Sequence(tuple(Bytes(byte_range(*r)) for r in ranges))


CHARACTERS: Rules = {
    BEYOND_ASCII: Choice(
        (
            Sequence((Bytes(byte_range(0xC2, 0xDF)), _TAIL)),
            Sequence((_bytes((0xE0, 0xE0), (0xA0, 0xBF)), _TAIL)),
            Sequence((Bytes(byte_range(0xE1, 0xEF) & ~(1 << 0xED)), _TAIL, _TAIL)),
            Sequence((_bytes((0xED, 0xED), (0x80, 0x9F)), _TAIL)),  # no surrogates
            Sequence((_bytes((0xF0, 0xF0), (0x90, 0xBF)), _TAIL, _TAIL)),
            Sequence((Bytes(byte_range(0xF1, 0xF3)), _TAIL, _TAIL, _TAIL)),
            Sequence((_bytes((0xF4, 0xF4), (0x80, 0x8F)), _TAIL, _TAIL)),
        )
    ),
    # One character, so surrogates come in pairs.
    ESCAPE: Sequence(
        (
            Literal(b"\\"),
            Choice(
                (
                    bytes_of('"\\/bfnrt'),
                    Sequence((Literal(b"u"), bytes_of("0123456789abcefABCEF"), HEX, HEX, HEX)),
                    Sequence((Literal(b"u"), bytes_of("dD"), bytes_of("01234567"), HEX, HEX)),
                    Sequence(
                        (
                            *(Literal(b"u"), bytes_of("dD"), bytes_of("89abAB"), HEX, HEX),
                            *(Literal(b"\\u"), bytes_of("dD"), bytes_of("cdefCDEF"), HEX, HEX),
                        )
                    ),
                )
            ),
        )
    ),
}
