"""Keeps what a message says apart from what a template says: only the template can write control tokens.

A user may type `<|im_end|>`; rendered into the prompt it would end the user's turn. So a prompt whose messages could spell a
control token is rendered once more with *marked* messages: a character with which a control token begins or ends is replaced
by a private one of Unicode, its twin, that no message holds. What is a control token then, the template wrote. Where the
template does nothing but copy, the marked text is the prompt, and its twins say which characters came from a message. Where it
looks at those very characters (`</think>`), the plain text is taken if it has the same control tokens as the marked one, and
one of the marked texts if not. Knows no templates.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fanlight.errors import RequestError

BLOCKS = (0x10F000, 0x10E000, 0x10D000, 0xFF000, 0xFE000, 0xFD000)  # private characters, a few thousand from each of these on
MAX_TWINS = 4000

Write = Callable[[Any, Any, Any], str]  # the prompt's text, from messages, tools and variables


@dataclass(frozen=True, slots=True)
class PromptText:
    """A text in which twins stand for characters that are no part of a control token."""

    marked: str
    twins: Mapping[str, str] = field(default_factory=dict)  # twin -> character

    @property
    def text(self) -> str:
        return unmarked(self.marked, self.twins)


def _marked(value: Any, mark: Callable[[str], str]) -> Any:
    """The value, with every text in it marked, and keys that are no mere names (of fields, which have to stay)."""
    if isinstance(value, str):
        return mark(value)
    if isinstance(value, Mapping):
        return {mark(k) if isinstance(k, str) and not k.isidentifier() else k: _marked(v, mark) for k, v in value.items()}
    return [_marked(v, mark) for v in value] if isinstance(value, (list, tuple)) else value


def _untyped(message: Mapping[str, Any]) -> dict[str, Any]:
    """Without its role, and the types of its parts."""
    content = message.get("content")
    parts = [{**part, "type": ""} if "type" in part else part for part in content] if isinstance(content, list) else content
    return {**message, "role": "", **({"content": parts} if parts is not None else {})}


def _as(message: Mapping[str, Any], marked: dict[str, Any]) -> dict[str, Any]:
    """marked: of the message, untyped."""
    content, parts = message.get("content"), marked.get("content")
    if isinstance(content, list):
        pairs = zip(content, marked["content"], strict=True)
        parts = [{**part, "type": given["type"]} if "type" in given else part for given, part in pairs]
    return {**marked, "role": message.get("role"), **({"content": parts} if parts is not None else {})}


def texts_of(value: Any) -> Iterator[str]:
    """All texts in a value."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            pending += item.keys()
            pending += item.values()
        elif isinstance(item, (list, tuple)):
            pending += item


def unmarked(text: str, twins: Mapping[str, str]) -> str:
    for twin, character in twins.items():
        if twin in text:
            text = text.replace(twin, character)
        if (escaped := json.dumps(twin)[1:-1]) in text:
            text = text.replace(escaped, character)
    return text


class ControlTokens:
    """The texts of a vocabulary's control tokens."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(sorted({t for t in texts if t.strip()}, key=lambda t: (-len(t), t)))
        self._any = re.compile(_pattern(self.texts) if self.texts else r"(?!)")
        self._any_case = re.compile(self._any.pattern, re.IGNORECASE)
        self._edges = "".join(sorted({c for t in self.texts for c in (t[0], t[-1])}))
        self._edge = re.compile(f"[{re.escape(self._edges)}]" if self._edges else r"(?!)")
        self._all = "\n".join(self.texts)

    def found(self, text: str) -> list[str]:
        return self._any.findall(text)

    def replaced(self, text: str, names: Mapping[str, str]) -> str:
        return self._any.sub(lambda found: names[found[0]], text)

    def prompt(self, write: Write, messages: Any, tools: Any, variables: Any) -> PromptText:
        """The prompt that `write` makes of them. What role a message has, and of what type its parts are, is no text of its
        own."""

        def render(mark: Callable[[str], str]) -> str:
            said = [_as(m, _marked(_untyped(m), mark)) for m in messages]
            return write(said, _marked(tools, mark), _marked(variables, mark))

        plain = write(messages, tools, variables)
        texts = texts_of([[_untyped(m) for m in messages], tools, variables])
        suspects = [text for text in texts if self._edge.search(text) or self._is_part(text)]
        if not suspects:
            return PromptText(plain)
        twin_of = self._twins([plain, *suspects])
        twins = {twin: character for character, twin in twin_of.items()}

        def mark_edges(text: str) -> str:
            characters = text if self._is_part(text) else self._edges
            for character in {*characters} & twin_of.keys():
                text = text.replace(character, twin_of[character])
            return text

        def mark_tokens(text: str) -> str:
            return self._any_case.sub(lambda found: twin_of.get(found[0][0], found[0][0]) + found[0][1:], text)

        try:
            marked = render(mark_edges)
        except RequestError:  # the template wants something that begins as a control token does
            tokens_marked = render(mark_tokens)
            return PromptText(tokens_marked, twins)
        if unmarked(marked, twins) == plain:
            return PromptText(marked, twins)
        written = self.found(marked)
        if self.found(plain) == written:
            return PromptText(plain)
        tokens_marked = render(mark_tokens)
        return PromptText(tokens_marked if self.found(tokens_marked) == written else marked, twins)

    def _is_part(self, text: str) -> bool:
        """Whether the text could stand inside a control token that a template begins and ends."""
        return bool(stripped := text.strip()) and len(stripped) <= len(self._all) and stripped in self._all

    def _twins(self, texts: Iterable[str]) -> dict[str, str]:
        """Characters of control tokens, as private characters that are in none of the texts."""
        characters = sorted({*self._all, *self._all.lower(), *self._all.upper()} - {"\n"})[:MAX_TWINS]
        texts = list(texts)
        for block in BLOCKS:
            private = re.compile(f"[{chr(block)}-{chr(block + MAX_TWINS)}]")
            if not any(private.search(text) for text in texts):
                return {character: chr(block + i) for i, character in enumerate(characters)}
        raise RequestError("the messages hold private characters of Unicode from all of its blocks", param="messages")


def _pattern(texts: Iterable[str]) -> str:
    """A regular expression of the texts, the longest first, in which those that begin alike share their beginning."""
    by_first: dict[str, list[str]] = {}
    for text in texts:
        by_first.setdefault(text[:1], []).append(text)
    branches = []
    for first, group in by_first.items():
        if first:
            shared = min(group)[: _num_shared(min(group), max(group))]
            rest = [text[len(shared) :] for text in group]
            branches.append(re.escape(shared) + (_pattern(rest) if any(rest) else ""))
    optional = "?" if "" in by_first else ""
    return f"(?:{'|'.join(branches)}){optional}"


def _num_shared(left: str, right: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
