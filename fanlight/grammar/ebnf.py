"""Grammars in text, as XGrammar's EBNF and llama.cpp's GBNF write them: `name ::= alternatives`, from the rule `root` on.

A rule ends where the next one begins, so lines may be broken anywhere. A rule that begins with itself is read as a repetition;
one that does so through others is refused (analysis.py). Look-ahead and tokens of a model are no texts, and are refused.
"""

import re
from dataclasses import dataclass

from fanlight.errors import RequestError
from fanlight.grammar.expressions import (
    EMPTY,
    NOTHING,
    Choice,
    Expression,
    Literal,
    Regular,
    Repeat,
    Rule,
    Rules,
    Sequence,
    choice,
)
from fanlight.grammar.limits import TooLarge, spend
from fanlight.grammar.regular import CHARACTERS, Dfa, Ranges, inverted, normal

MAX_NESTING = 100
MAX_REPEAT = 10_000
TOKEN = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*)+)|(?P<define>::=)|(?P<text>"(?:\\.|[^"\\\n])*")|(?P<set>\[(?:\\.|[^\]\\\n])*\])
    |(?P<name>[A-Za-z_][A-Za-z0-9_.-]*|[0-9]+[A-Za-z_-][A-Za-z0-9_.-]*)|(?P<times>\{\s*\d*\s*(?:,\s*\d*\s*)?\})|(?P<sign>[|()*+?.])""",
    re.VERBOSE,
)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a", "b": "\b", "0": "\0", "e": "\x1b"}
ESCAPED = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    line: int


def ebnf(text: str, rules: Rules, root: str = "root", prefix: str = "") -> Expression:
    """The texts of the rule `root` of a grammar; adds its rules, their names after `prefix`."""
    parser = _Parser(_tokens(text), prefix)
    defined = parser.rules()
    if prefix + root not in defined:
        raise RequestError(f"the grammar has no rule {root!r}", hint=f"call the first rule {root}")
    for name, line in parser.used.items():
        if name not in defined:
            raise RequestError(f"line {line} of the grammar uses a rule {name[len(prefix) :]!r} that it does not define")
    rules |= {name: _without_left_recursion(name, expression) for name, expression in defined.items()}
    return Rule(prefix + root)


def _tokens(text: str) -> list[Token]:
    found, at, line = [], 0, 1
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise RequestError(f"line {line} of the grammar is not understood from {text[at : at + 20]!r} on")
        kind = str(match.lastgroup)
        if kind != "space":
            found.append(Token(kind, match[0], line))
        line += match[0].count("\n")
        at = match.end()
        spend(1)
    return [*found, Token("end", "", line)]


class _Parser:
    def __init__(self, tokens: list[Token], prefix: str) -> None:
        self.tokens, self.prefix, self.at, self.depth = tokens, prefix, 0, 0
        self.used: dict[str, int] = {}  # rule -> line

    def _error(self, what: str) -> RequestError:
        return RequestError(f"line {self.tokens[self.at].line} of the grammar has {what}")

    def _is(self, kind: str, text: str | None = None) -> bool:
        token = self.tokens[self.at]
        return token.kind == kind and text in (None, token.text)

    def _take(self, kind: str, text: str | None = None) -> bool:
        taken = self._is(kind, text)
        self.at += taken
        return taken

    def rules(self) -> Rules:
        found: Rules = {}
        while not self._is("end"):
            name = self.prefix + self.tokens[self.at].text
            if not self._take("name") or not self._take("define"):
                raise self._error("no rule (name ::= ...) where one is expected")
            if name in found:
                raise self._error(f"a second rule {name[len(self.prefix) :]!r}")
            found[name] = self._alternatives()
        return found

    def _alternatives(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise TooLarge(f"parentheses nest deeper than {MAX_NESTING}")
        items = [self._sequence()]
        while self._take("sign", "|"):
            items.append(self._sequence())
        self.depth -= 1
        return choice(*items)

    def _sequence(self) -> Expression:
        items: list[Expression] = []
        while True:
            token = self.tokens[self.at]
            following = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
            if token.kind == "end" or token.text in ("|", ")") or (token.kind == "name" and following.kind == "define"):
                return items[0] if len(items) == 1 else Sequence(tuple(items))
            items.append(self._repeated(self._item()))

    def _item(self) -> Expression:
        token = self.tokens[self.at]
        self.at += 1
        if token.kind == "text":
            return Literal(_unescaped(token).encode())
        if token.kind == "set":
            return _one_of(_set(token))
        if token.kind == "name":
            self.used.setdefault(self.prefix + token.text, token.line)
            return Rule(self.prefix + token.text)
        if token.text == ".":
            return _one_of(CHARACTERS)
        if token.text != "(":
            self.at -= 1
            raise self._error(f"{token.text or 'an end'!r} where a text, a set, a rule or a parenthesis is expected")
        found = self._alternatives()
        if not self._take("sign", ")"):
            raise self._error("a ( without a )")
        return found

    def _repeated(self, item: Expression) -> Expression:
        while True:
            token = self.tokens[self.at]
            if token.kind == "times":
                low, comma, high = token.text[1:-1].partition(",")
                if not low.strip() and not high.strip():
                    raise self._error(f"a repetition {token.text} without a number")
                least = int(low.strip() or 0)
                most = (int(high) if high.strip() else None) if comma else least
            elif token.kind == "sign" and token.text in "*+?":
                least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[token.text]
            else:
                return item
            if most is not None and most < least:
                raise self._error(f"a repetition {token.text} of at least {least} and at most {most}")
            if max(least, most or 0) > MAX_REPEAT:
                raise TooLarge(f"line {token.line} repeats more than {MAX_REPEAT} times")
            self.at += 1
            item = Repeat(item, least, most)


def _one_of(ranges: Ranges) -> Expression:
    if not ranges:
        return NOTHING
    return Regular(Dfa((tuple((low, high, 1) for low, high in ranges), ()), (False, True)))


def _characters(token: Token, body: str) -> list[tuple[str, bool]]:
    """The characters of a body, each with whether it was escaped."""
    found, at = [], 0
    while at < len(body):
        match = ESCAPED.match(body, at)
        if match is None:
            found.append((body[at], False))
            at += 1
            continue
        two, four, eight, letter = match.groups()
        code = int(two or four or eight or "0", 16)
        if letter is not None and letter.isalnum() and letter not in ESCAPES:
            raise RequestError(f"line {token.line} of the grammar has an escape \\{letter}, which is not known")
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise RequestError(f"line {token.line} of the grammar has an escape {match[0]}, which is no character")
        found.append((chr(code) if letter is None else ESCAPES.get(letter, letter), True))
        at = match.end()
    return found


def _unescaped(token: Token) -> str:
    return "".join(character for character, _ in _characters(token, token.text[1:-1]))


def _set(token: Token) -> Ranges:
    body = token.text[1:-1]
    negated = body.startswith("^")
    characters = _characters(token, body[negated:])
    found, at = [], 0
    while at < len(characters):
        low = ord(characters[at][0])
        if at + 2 < len(characters) and characters[at + 1] == ("-", False):
            high = ord(characters[at + 2][0])
            if high < low:
                raise RequestError(f"line {token.line} of the grammar has a range in {token.text} that is none")
            found.append((low, high))
            at += 3
        else:
            found.append((low, low))
            at += 1
    return inverted(found) if negated else normal(found)


def _without_left_recursion(name: str, expression: Expression) -> Expression:
    """`a ::= a x | b` as `a ::= b x*`."""
    items = expression.items if isinstance(expression, Choice) else (expression,)
    ends, repeats = [], []
    for item in items:
        parts = item.items if isinstance(item, Sequence) else (item,)
        if parts and parts[0] == Rule(name):
            repeats.append(Sequence(parts[1:]))
        else:
            ends.append(item)
    repeats = [item for item in repeats if item != EMPTY]
    if len(ends) == len(items):
        return expression
    return Sequence((choice(*ends), Repeat(choice(*repeats)))) if repeats else choice(*ends)
