"""JSON-Schema-Test-Suite: a schema is refused by name, or no invalid document is taken, in any spelling, and every valid one
is, but for what docs/grammars.md says that an answer does not write. Both are counted: no change refuses or loses more."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from fanlight.errors import RequestError
from fanlight.grammar import Automaton
from fanlight.grammar.keywords import READERS
from fanlight.grammar.nodes import ANNOTATIONS
from tests.grammar.suite import Group, archive, groups
from tests.grammar.walks import accepts, schema, spellings
from tests.real.model import CannotDownload

KNOWN = {*READERS, *ANNOTATIONS}
# How many schemas are refused by keyword, and how many valid documents are not written by file.
REFUSED = {
    "draft2020-12": {
        "$defs": 1,
        "$ref": 23,
        "format": 1,
        "if": 1,
        "minProperties": 2,
        "multipleOf": 1,
        "not": 1,
        "pattern": 1,
        "patternProperties": 1,
        "uniqueItems": 3,
        "unknown": 18,
    },
    "draft7": {
        "$ref": 15,
        "format": 1,
        "minProperties": 1,
        "multipleOf": 1,
        "pattern": 1,
        "patternProperties": 1,
        "uniqueItems": 3,
        "unknown": 3,
    },
}
STRICTER = {
    "draft2020-12": {
        "const": 1,
        "content": 1,
        "format": 19,
        "optional/bignum": 4,
        "optional/ecmascript-regex": 4,
        "optional/float-overflow": 1,
        "optional/format/date-time": 3,
        "optional/format/email": 5,
        "optional/format/hostname": 2,
        "optional/format/idn-email": 1,
        "optional/format/idn-hostname": 19,
        "optional/format/iri": 1,
        "optional/format/time": 7,
        "optional/format/uri": 1,
        "vocabulary": 1,
    },
    "draft7": {
        "const": 1,
        "optional/bignum": 4,
        "optional/ecmascript-regex": 4,
        "optional/float-overflow": 1,
        "optional/format/date-time": 3,
        "optional/format/hostname": 2,
        "optional/format/idn-email": 1,
        "optional/format/idn-hostname": 19,
        "optional/format/iri": 1,
        "optional/format/time": 7,
        "optional/format/uri": 1,
        "ref": 1,
    },
}


@pytest.fixture(scope="session")
def suite() -> Path:
    """Where a change is judged, this test runs; elsewhere it may lack a network."""
    try:
        return archive()
    except CannotDownload as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def spaced(text: str, **options) -> str:
    return json.dumps(json.loads(text), **options)


def is_taken(automaton: Automaton, document, valid: bool) -> bool:
    """A valid document: compact and as Python writes it, with its keys in one order. An invalid one: in any way."""
    orders = spellings(document)
    if valid:
        return any(accepts(automaton, text) and accepts(automaton, spaced(text, ensure_ascii=False)) for text in orders)
    return any(
        accepts(automaton, t) for text in orders for t in (text, spaced(text, ensure_ascii=False), spaced(text, indent=2))
    )


def judged(group: Group) -> tuple[str | None, list[str]]:
    """The keyword that the refusal of the schema names, or the valid documents that the automaton does not take. An invalid one
    that it takes fails the test."""
    try:
        automaton = schema(group.schema)
    except RequestError as error:
        if "no text satisfies" not in error.message:
            named = [part for part in error.param.split(".") if part in KNOWN]
            unknown = f"the keyword {error.param.split('.')[-1]!r} is not supported" in error.message
            assert named or unknown, error
            return "unknown" if unknown else named[-1], []
        automaton = None
    lost = []
    for what, document, valid in group.documents:
        taken = automaton is not None and is_taken(automaton, document, valid)
        assert valid or not taken, f"{group.file}: {group.name}: {what}: {document} is taken by {group.schema}"
        lost += [what] if valid and not taken else []
    return None, lost


@pytest.mark.parametrize("draft", ["draft2020-12", "draft7"])
def test_suite(suite, draft):
    refused: Counter[str] = Counter()
    stricter: Counter[str] = Counter()
    for group in groups(suite, draft):
        keyword, lost = judged(group)
        refused.update([keyword] if keyword else [])
        stricter.update({group.file: len(lost)} if lost else {})
    assert (dict(refused), dict(stricter)) == (REFUSED[draft], STRICTER[draft])
