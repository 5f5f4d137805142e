"""References of a JSON schema: from `$id`, `$anchor`, `$ref` and `$dynamicRef` to pointers inside the document ("#/..."), which
are all that the other files know.  https://json-schema.org/draft/2020-12/json-schema-core#section-8

A reference that names nothing in the document stays as it is, and is refused where it is used. So does a `$dynamicRef` that
could lead to one of several places."""

import json
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from fanlight.errors import RequestError

NAMES = ("$id", "$anchor", "$dynamicAnchor")
ONE = frozenset(  # keywords that hold a schema
    "items additionalItems unevaluatedItems contains additionalProperties unevaluatedProperties propertyNames not if then else"
    " contentSchema".split()
)
SEVERAL = frozenset(("allOf", "anyOf", "oneOf", "prefixItems", "items"))
BY_NAME = frozenset(("properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"))
Place = tuple[dict[str, Any], str, str]  # a schema, the pointer to it, the URI that references in it are relative to


def with_pointers(document: Any, at: str) -> Any:
    """The same schema with every reference as a pointer, and without the names that they go by."""
    text = json.dumps(document)
    if not any(f'"{name}"' in text for name in (*NAMES, "$dynamicRef")):
        return document  # pointers are all that can be found
    document = json.loads(text)
    places = _places(document)
    known = _Known(places)
    for schema, pointer, base in places:
        reference, dynamic = schema.get("$ref"), schema.get("$dynamicRef")
        if isinstance(reference, str) and (found := known.pointer(reference, base)) is not None:
            other = known.pointer(reference, known.outer.get(pointer, base))
            if other not in (found, None) and _is_there(document, other):
                where = ".".join([at, *filter(None, pointer.split("/")), "$ref"])
                raise RequestError("$ref beside $id is read differently by draft 7 and later ones", param=where)
            schema["$ref"] = f"#{found}"
        if isinstance(dynamic, str) and "$ref" not in schema and (found := known.static(dynamic, base)) is not None:
            schema["$ref"] = f"#{found}"
            del schema["$dynamicRef"]
    for schema, _, _ in places:
        for name in NAMES:
            schema.pop(name, None)
    return document


def _places(document: Any) -> list[Place]:
    """Every schema of the document; what lies in a constant or under a keyword that is not known is none."""
    found: list[Place] = []
    todo: list[tuple[Any, str, str]] = [(document, "", "")]
    while todo:
        schema, pointer, base = todo.pop()
        if not isinstance(schema, dict):
            continue
        own = schema.get("$id")
        if isinstance(own, str) and not own.startswith("#"):
            base = _join(base, urldefrag(own).url)
        found.append((schema, pointer, base))
        for keyword, value in schema.items():
            below = f"{pointer}/{_escaped(keyword)}"
            if keyword in SEVERAL and isinstance(value, list):
                todo += [(part, f"{below}/{i}", base) for i, part in enumerate(value)]
            elif keyword in BY_NAME and isinstance(value, dict):
                todo += [(part, f"{below}/{_escaped(name)}", base) for name, part in value.items()]
            elif keyword in ONE:
                todo.append((value, below, base))
    return found


class _Known:
    """What can be referred to: pointers by URI; None where several schemas go by one."""

    def __init__(self, places: list[Place]) -> None:
        self.uris: dict[str, str | None] = {"": ""}
        self.outer: dict[str, str] = {}  # of a schema with an $id, by pointer: what it would be relative to without
        self.dynamic: dict[str, list[str]] = {}  # pointers of each $dynamicAnchor
        bases = {pointer: base for _, pointer, base in places}
        for schema, pointer, base in places:
            own = schema.get("$id")
            if isinstance(own, str):
                anchor = urldefrag(own).fragment  # as draft 7 spells $anchor
                if not own.startswith("#"):
                    self._add(base, pointer)
                    self.outer[pointer] = _outer(bases, pointer)
                if anchor:
                    self._add(f"{base}#{anchor}", pointer)
            for keyword in ("$anchor", "$dynamicAnchor"):
                if isinstance(schema.get(keyword), str):
                    self._add(f"{base}#{schema[keyword]}", pointer)
            if isinstance(schema.get("$dynamicAnchor"), str):
                self.dynamic.setdefault(schema["$dynamicAnchor"], []).append(pointer)
        if bases.get(""):
            self.uris[""] = None  # a document with a name of its own has no other

    def _add(self, uri: str, pointer: str) -> None:
        self.uris[uri] = pointer if self.uris.get(uri, pointer) == pointer else None

    def pointer(self, reference: str, base: str) -> str | None:
        """Where a reference leads, from inside of `base`; None where nowhere, or to several places."""
        uri, fragment = urldefrag(_join(base, reference))
        if fragment and not fragment.startswith("/"):
            return self.uris.get(f"{uri}#{fragment}")
        resource = self.uris.get(uri)
        return None if resource is None else resource + fragment

    def static(self, reference: str, base: str) -> str | None:
        """Where a $dynamicRef leads, if there is no other anchor of the name that who refers here could have set."""
        found = self.pointer(reference, base)
        return found if self.dynamic.get(urldefrag(reference).fragment, [found]) == [found] else None


def _is_there(document: Any, pointer: str | None) -> bool:
    for part in (pointer or "").split("/")[1:]:
        part = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(document, list) and part.isdecimal() and int(part) < len(document):
            document = document[int(part)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            return False
    return True


def _outer(bases: dict[str, str], pointer: str) -> str:
    while pointer:
        pointer = pointer.rpartition("/")[0]
        if pointer in bases:
            return bases[pointer]
    return ""


def _join(base: str, reference: str) -> str:
    if not reference or reference.startswith("#"):
        return urldefrag(base).url + reference
    return urljoin(base, reference)


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1").replace("%", "%25")
