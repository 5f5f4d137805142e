"""Random texts of an automaton, and all spellings of a value: what the tests of grammars judge with."""

import json
from collections import deque
from itertools import islice, permutations, product
from random import Random

from fanlight.grammar import Automaton, Matcher, compile_format


def schema(schema, **more) -> Automaton:
    return compile_format({"type": "json_schema", "json_schema": schema, **more})


def accepts(automaton: Automaton, text: str | bytes) -> bool:
    matcher = Matcher(automaton)
    return matcher.accept(text.encode() if isinstance(text, str) else text) and matcher.is_complete


def bytes_by_class(automaton: Automaton) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(automaton.num_classes)]
    for byte, number in enumerate(automaton.classes):
        found[number].append(byte)
    return found


def walk(automaton: Automaton, rng: Random, most: int = 60) -> bytes:
    """A random text: any allowed byte until it is whole and a coin says so, or `most` are written; then the shortest end."""
    members, matcher, written = bytes_by_class(automaton), Matcher(automaton), bytearray()
    while len(written) < most:
        classes = matcher.next_classes()
        if matcher.is_complete and (not classes or rng.random() < 0.3):
            return bytes(written)
        assert classes, f"a dead end after {bytes(written)!r}"
        byte = rng.choice(members[rng.choice(classes)])
        assert matcher.accept(bytes([byte]))
        written.append(byte)
    return bytes(written) + ending(matcher, rng)


def ending(matcher: Matcher, rng: Random) -> bytes:
    """A short way to an end: the shortest out of each rule that has begun."""
    members, written = bytes_by_class(matcher.automaton), b""
    while not matcher.is_complete:
        matcher, more = _out(matcher, members, rng)
        written += more
    return written


def _out(matcher: Matcher, members: list[list[int]], rng: Random) -> tuple[Matcher, bytes]:
    todo, seen = deque([(matcher, b"")]), {(matcher.state, tuple(matcher.stack))}
    while todo:
        at, written = todo.popleft()
        if at.is_complete or len(at.stack) < len(matcher.stack):
            return at, written
        for number in at.next_classes():
            after = at.copy()
            byte = rng.choice(members[number])
            assert after.accept(bytes([byte]))
            key = after.state, tuple(after.stack)
            if key not in seen:
                seen.add(key)
                todo.append((after, written + bytes([byte])))
    raise AssertionError("no end is reached")


def spellings(value, most: int = 200) -> list[str]:
    """A value's compact texts, with its keys in every order."""
    if isinstance(value, dict):
        found: list[str] = []
        for order in permutations(value.items()):
            parts = [[f"{json.dumps(k, ensure_ascii=False)}:{v}" for v in spellings(held)] for k, held in order]
            found += ["{" + ",".join(chosen) + "}" for chosen in islice(product(*parts), most)]
            if len(found) > most:
                break
        return found
    if isinstance(value, list):
        return ["[" + ",".join(chosen) + "]" for chosen in islice(product(*map(spellings, value)), most)]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return [json.dumps(value, ensure_ascii=False)]
