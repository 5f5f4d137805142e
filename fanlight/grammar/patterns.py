"""The syntax of regular expressions: from text to a tree."""

import sys
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Union

from fanlight.errors import RequestError
from fanlight.grammar.limits import TooLarge
from fanlight.grammar.regular import CHARACTERS, Ranges, inverted, normal

MAX_REPEAT = 10_000
MAX_NESTING = 100
DIGIT: Ranges = ((0x30, 0x39),)
WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: Ranges = normal(
    [
        (9, 13),
        (0x20, 0x20),
        (0xA0, 0xA0),
        (0x1680, 0x1680),
        (0x2000, 0x200A),
        (0x2028, 0x2029),
        (0x202F, 0x202F),
        (0x205F, 0x205F),
        (0x3000, 0x3000),
    ]
)
EITHER_SPACE = normal([*SPACE, (0x1C, 0x1F), (0x85, 0x85), (0xFEFF, 0xFEFF)])  # in one of the two readings
DOT = inverted([(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)])
EITHER_DOT = inverted([(0x0A, 0x0A)])
CONTROLS = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "0": 0}


@dataclass(frozen=True, slots=True)
class Characters:
    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Assertion:
    what: str  # ^ $ b B


@dataclass(frozen=True, slots=True)
class Group:
    items: "tuple[Item, ...]"


@dataclass(frozen=True, slots=True)
class Alternatives:
    items: "tuple[Item, ...]"


@dataclass(frozen=True, slots=True)
class Repeated:
    item: "Item"
    least: int
    most: int | None


Item = Union[Characters, Assertion, Group, Alternatives, Repeated]  # noqa: UP007


@cache
def _categories() -> dict[str, Ranges]:
    """Characters by general category."""
    found: dict[str, list[tuple[int, int]]] = {
        "Cn": [(0x32400, 0xDFFFF), (0xE0200, 0xEFFFF)],
        "Co": [(0xF0000, sys.maxunicode)],
    }
    for codes in (range(0x32400), range(0xE0000, 0xE0200)):  # the planes in use
        for code in codes:
            runs = found.setdefault(unicodedata.category(chr(code)), [])
            if runs and runs[-1][1] == code - 1:
                runs[-1] = runs[-1][0], code
            else:
                runs.append((code, code))
    return {name: normal(runs) for name, runs in found.items()}


@cache
def category(name: str) -> Ranges:
    """The characters of a general category, as L or Lu."""
    found = [run for other, runs in _categories().items() if other.startswith(name) for run in runs]
    return normal(found)


@cache
def _class(letter: str, wide: bool) -> Ranges:
    """The characters that are of a class in both readings, or (`wide`) in one."""
    if letter.isupper():
        return inverted(_class(letter.lower(), not wide))
    if letter == "s":
        return EITHER_SPACE if wide else SPACE
    narrow, categories = (DIGIT, ("Nd",)) if letter == "d" else (WORD, ("L", "N"))
    return normal([*narrow, *(run for name in categories for run in category(name))]) if wide else narrow


def parse(pattern: str, wide: bool = False) -> Item:
    return _Parser(pattern, wide).parse()


class _Parser:
    def __init__(self, pattern: str, wide: bool) -> None:
        self.text, self.wide, self.at, self.depth = pattern, wide, 0, 0

    def parse(self) -> Item:
        item = self._alternatives()
        if self.at < len(self.text):
            raise self._error("a ) without a (")
        return item

    def _error(self, what: str) -> RequestError:
        return RequestError(f"the regular expression {self.text[:100]!r} has, at character {self.at}, {what}")

    def _peek(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def _take(self, text: str) -> bool:
        if self._peek(text):
            self.at += len(text)
            return True
        return False

    def _next(self) -> str:
        if self.at >= len(self.text):
            raise self._error("an end where more is expected")
        self.at += 1
        return self.text[self.at - 1]

    def _alternatives(self) -> Item:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise TooLarge(f"groups nest deeper than {MAX_NESTING}")
        items = [self._group()]
        while self._take("|"):
            items.append(self._group())
        self.depth -= 1
        return items[0] if len(items) == 1 else Alternatives(tuple(items))

    def _group(self) -> Item:
        items: list[Item] = []
        while self.at < len(self.text) and not self._peek("|") and not self._peek(")"):
            items.append(self._quantified(self._atom()))
        return items[0] if len(items) == 1 else Group(tuple(items))

    def _quantified(self, item: Item) -> Item:
        bounds = self._quantifier()
        if bounds is None:
            return item
        least, most = bounds
        if isinstance(item, Assertion):
            raise self._error("a quantifier after what matches no character")
        if most is not None and most < least:
            raise self._error(f"a repetition of at least {least} and at most {most}")
        if max(least, most or 0) > MAX_REPEAT:
            raise TooLarge(f"it repeats more than {MAX_REPEAT} times")
        self._take("?")  # lazy: the same texts
        if self._peek("*") or self._peek("+"):
            raise self._error("a quantifier after a quantifier")
        if self._quantifier() is not None:
            raise self._error("a quantifier after a quantifier")
        return Repeated(item, least, most)

    def _quantifier(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        end = self.text.find("}", self.at) if self._peek("{") else -1
        if end < 0:
            return None
        low, comma, high = self.text[self.at + 1 : end].partition(",")
        digits = all(part.isascii() and part.isdigit() and len(part) < 9 for part in (low, high) if part)
        if digits and comma and not low:
            raise self._error("a repetition without a least number, which ECMAScript and Python read differently")
        if not digits or not low:
            return None  # a brace that means itself
        self.at = end + 1
        return int(low), (int(high) if high else None) if comma else int(low)

    def _atom(self) -> Item:
        character = self._next()
        if character == "(":
            return self._parenthesis()
        if character == "[":
            return Characters(self._bracket())
        if character == ".":
            return Characters(EITHER_DOT if self.wide else DOT)
        if character in "^$":
            return Assertion(character)
        if character in "*+?":
            raise self._error(f"a {character} with nothing before it")
        if character == "\\":
            return self._escaped()
        return Characters(((ord(character), ord(character)),))

    def _parenthesis(self) -> Item:
        if self._take("?"):
            if self._peek("P<") or (self._peek("<") and not self._peek("<=") and not self._peek("<!")):
                end = self.text.find(">", self.at)
                if end < 0:
                    raise self._error("a group's name without an end")
                self.at = end + 1
            elif not self._take(":"):
                kinds = {
                    "=": "look-around",
                    "!": "look-around",
                    "<": "look-around",
                    ">": "an atomic group",
                    "P": "a back-reference",
                }
                what = kinds.get(self.text[self.at : self.at + 1], "a flag")
                raise self._error(f"{what}, which is not supported")
        item = self._alternatives()
        if not self._take(")"):
            raise self._error("a ( without a )")
        return item

    def _escaped(self) -> Item:
        letter = self._next()
        if letter in "bB":
            return Assertion(letter)
        if letter in "AZz":
            return Assertion("^" if letter == "A" else "$")
        if letter in "123456789k":
            raise self._error("a back-reference, which is not supported")
        return Characters(self._escape(letter))

    def _escape(self, letter: str) -> Ranges:
        """What an escape stands for, inside a class or outside."""
        if letter in "dDwWsS":
            return _class(letter, self.wide)
        if letter in "pP" and self._peek("{"):
            return self._property(letter == "P")
        if letter in CONTROLS:
            code = CONTROLS[letter]
            if letter == "0" and self.text[self.at : self.at + 1].isdigit():
                raise self._error("an octal escape, which is not supported")
        elif letter == "x":
            code = self._hex(2)
        elif letter == "u":
            code = self._unicode()
        elif letter == "c" and self.text[self.at : self.at + 1].isascii() and self.text[self.at : self.at + 1].isalpha():
            code = ord(self._next()) % 32
        elif letter.isalnum():
            raise self._error(f"an escape \\{letter}, which is not known")
        else:
            code = ord(letter)
        return ((code, code),)

    def _hex(self, count: int) -> int:
        digits = self.text[self.at : self.at + count]
        if len(digits) < count or any(d not in "0123456789abcdefABCDEF" for d in digits):
            raise self._error(f"an escape that needs {count} hexadecimal digits")
        self.at += count
        return int(digits, 16)

    def _unicode(self) -> int:
        if self._take("{"):
            end = self.text.find("}", self.at)
            if not 1 <= end - self.at <= 6:
                raise self._error("an escape \\u{ without its digits")
            code = self._hex(end - self.at)
            self.at += 1
        else:
            code = self._hex(4)
            if 0xD800 <= code < 0xDC00 and self._take("\\u"):  # a pair
                code = 0x10000 + (code - 0xD800 << 10) + self._hex(4) - 0xDC00
        if not any(low <= code <= high for low, high in CHARACTERS):
            raise self._error("half of a surrogate pair")
        return code

    def _property(self, negated: bool) -> Ranges:
        end = self.text.find("}", self.at)
        name = self.text[self.at + 1 : end] if end > 0 else ""
        self.at = end + 1 if end > 0 else self.at
        name = name.removeprefix("gc=").removeprefix("General_Category=")
        name = {"Letter": "L", "Number": "N", "Punctuation": "P", "Symbol": "S", "Separator": "Z", "Mark": "M"}.get(name, name)
        if not (1 <= len(name) <= 2 and category(name)):
            raise self._error("a property of characters that is not a general category (as \\p{L}), which is not supported")
        return inverted(category(name)) if negated else category(name)

    def _bracket(self) -> Ranges:
        negated = self._take("^")
        if self._peek("]"):
            raise self._error("an empty class")
        found: list[tuple[int, int]] = []
        classes: set[str] = set()
        self.wide = self.wide != negated
        while not self._take("]"):
            low = self._class_item(classes)
            if not (self._peek("-") and not self._peek("-]")):
                found += low
                continue
            self.at += 1
            high = self._class_item(classes)
            if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or high[0][0] != high[0][1] or low > high:
                raise self._error("a range of characters that is not one")
            found.append((low[0][0], high[0][0]))
        if any(letter.swapcase() in classes for letter in classes):
            found += CHARACTERS  # [\s\S]: any character, however each half is read
        self.wide = self.wide != negated
        return inverted(found) if negated else normal(found)

    def _class_item(self, classes: set[str]) -> Ranges:
        letter = self._next()
        if letter != "\\":
            return ((ord(letter), ord(letter)),)
        letter = self._next()
        if letter == "b":
            return ((8, 8),)
        if letter in "dDwWsS":
            classes.add(letter)
            return () if letter.swapcase() in classes else _class(letter, self.wide)
        return self._escape(letter)
