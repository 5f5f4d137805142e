"""The rules of JSON's own syntax, and how much of its freedom an answer has.

White space is what writers use and bounded: after a comma or an opening bracket, and before a closing one, nothing, a space, or
a new line with up to MAX_INDENT spaces; after a colon nothing or a space. Numbers are bounded in their digits. Keys are spelled
in one way, strings in any.
"""

from fanlight.grammar.expressions import (
    Bytes,
    Expression,
    Literal,
    Regular,
    Repeat,
    Rule,
    Rules,
    byte_range,
    bytes_of,
    choice,
    optional,
    sequence,
)
from fanlight.grammar.regular import ALL, Dfa

MAX_INDENT = 32
DIGITS = 15  # a double holds as many
VALUE, ARRAY, OBJECT, STRING, NUMBER, SPACE = (
    f"any JSON {name}" for name in ("value", "array", "object", "string", "number", "space")
)
_digit = Bytes(byte_range(0x30, 0x39))
COLON = sequence(Literal(b":"), optional(Literal(b" ")))
COMMA = sequence(Literal(b","), Rule(SPACE))
LITERALS = {None: Literal(b"null"), True: Literal(b"true"), False: Literal(b"false")}


def string(content: Expression) -> Expression:
    return sequence(Literal(b'"'), content, Literal(b'"'))


def json_string(texts: Dfa) -> Expression:
    """Texts as they stand between quotes."""
    return Regular(texts, json=True)


def listed(opening: bytes, item: Expression, closing: bytes) -> Expression:
    """Any number of items in brackets."""
    items = optional(sequence(Rule(SPACE), item, Repeat(sequence(COMMA, item)), Rule(SPACE)))
    return sequence(Literal(opening), items, Literal(closing))


JSON: Rules = {
    SPACE: optional(choice(Literal(b" "), sequence(Literal(b"\n"), Repeat(Literal(b" "), 0, MAX_INDENT)))),
    STRING: string(Regular(ALL, json=True)),
    NUMBER: sequence(
        optional(Literal(b"-")),
        choice(Literal(b"0"), sequence(Bytes(byte_range(0x31, 0x39)), Repeat(_digit, 0, DIGITS - 1))),
        optional(sequence(Literal(b"."), Repeat(_digit, 1, DIGITS))),
        optional(sequence(bytes_of("eE"), optional(bytes_of("+-")), Repeat(_digit, 1, 2))),
    ),
    ARRAY: listed(b"[", Rule(VALUE), b"]"),
    OBJECT: listed(b"{", sequence(Rule(STRING), COLON, Rule(VALUE)), b"}"),
    VALUE: choice(*(Rule(name) for name in (STRING, NUMBER, ARRAY, OBJECT)), *LITERALS.values()),
}
