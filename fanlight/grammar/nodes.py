"""Schemas by number: those of the document, and what the algebra makes of them (both of two, not one)."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fanlight.errors import RequestError
from fanlight.grammar.limits import spend

FALSE, TRUE = 0, 1
MAX_NODES = 20_000
ANNOTATIONS = frozenset(  # say nothing of which values are valid
    "title description default examples example deprecated readOnly writeOnly $comment $schema $id id $anchor $dynamicAnchor"
    " $defs definitions".split()
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A schema of the document, and where it stands."""

    schema: Any
    at: str


@dataclass(frozen=True, slots=True)
class Not:
    node: int


@dataclass(frozen=True, slots=True)
class Both:
    nodes: tuple[int, ...]


Node = Leaf | Not | Both


class Nodes:
    def __init__(self, document: Any, at: str) -> None:
        self.document, self.at = document, at
        self.list: list[Node] = [Leaf(False, at), Leaf(True, at)]
        self.numbers: dict[object, int] = {}

    def leaf(self, schema: Any, at: str) -> int:
        """Equal schemas are one node, whatever they say to people; a mere reference is what it refers to."""
        seen = 0
        while isinstance(schema, dict) and "$ref" in schema and not set(schema) - ANNOTATIONS - {"$ref"}:
            schema, at = self.resolve(schema["$ref"], f"{at}.$ref")
            seen += 1
            if seen > 100:
                raise RequestError("a reference that comes back to itself", param=at)
        if isinstance(schema, bool):
            return TRUE if schema else FALSE
        if not isinstance(schema, dict):
            raise RequestError(f"a schema must be an object, true or false, not {schema!r:.60}", param=at)
        said = {key: value for key, value in schema.items() if key not in ANNOTATIONS}
        if not said:
            return TRUE
        key = json.dumps(said)
        spend(len(key) // 64)
        return self._number(key, Leaf(said, at))

    def resolve(self, reference: object, at: str) -> tuple[Any, str]:
        """The schema that a reference inside the document names, and where it stands."""
        if not isinstance(reference, str):
            raise RequestError(f"a reference must be a text, not {reference!r:.60}", param=at)
        if reference != "#" and not reference.startswith("#/"):
            raise RequestError(f"{reference!r:.80} is not in this document", param=at)
        found, where = self.document, self.at
        for part in reference[2:].split("/") if reference != "#" else ():
            part = unquote(part).replace("~1", "/").replace("~0", "~")
            where = f"{where}.{part}"
            if isinstance(found, list) and part.isascii() and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            elif isinstance(found, dict) and part in found:
                found = found[part]
            else:
                raise RequestError(f"{reference!r:.80} is not in the document", param=at)
            if isinstance(found, dict) and "$id" in found:
                raise RequestError("a reference into what is not known to be a schema, with an $id, is not supported", param=at)
        return found, where

    def negated(self, node: int) -> int:
        if node in (FALSE, TRUE):
            return TRUE if node == FALSE else FALSE
        known = self.list[node]
        return known.node if isinstance(known, Not) else self._number(("not", node), Not(node))

    def both(self, a: int, b: int) -> int:
        if a == b or b == TRUE or a == FALSE:
            return a
        if a == TRUE or b == FALSE:
            return b
        parts: set[int] = set()
        for node in (a, b):
            known = self.list[node]
            parts |= set(known.nodes) if isinstance(known, Both) else {node}
        if any(self.numbers.get(("not", node)) in parts for node in parts):
            return FALSE
        nodes = tuple(sorted(parts))
        return self._number(("both", nodes), Both(nodes))

    def name(self, node: int) -> str:
        """Where a node stands in the document, for messages."""
        known = self.list[node]
        if isinstance(known, Leaf):
            return known.at
        return f"not {self.name(known.node)}" if isinstance(known, Not) else " and ".join(map(self.name, known.nodes))

    def _number(self, key: object, node: Node) -> int:
        if key not in self.numbers:
            if len(self.list) >= MAX_NODES:
                raise RequestError(f"the schema comes to more than {MAX_NODES} parts", param=self.at)
            self.numbers[key] = len(self.list)
            self.list.append(node)
        return self.numbers[key]
