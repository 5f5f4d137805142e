"""Which repository a text names and which of its files are the model: one table, for Python here and for JavaScript in
tests/web/test_hub.py."""

import json
from pathlib import Path
from typing import Any

import pytest

from fanlight.errors import SourceError
from fanlight.formats.hub_choice import HubId, choose_files, parse_hub_id

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "hub_cases.json").read_text())


@pytest.mark.parametrize(("text", "expected"), CASES["ids"])
def test_what_a_text_names(text: str, expected: dict[str, str] | None) -> None:
    assert parse_hub_id(text) == (None if expected is None else HubId(**expected))


@pytest.mark.parametrize("case", CASES["choices"], ids=lambda case: f"{len(case['files'])} {case.get('quant', '')}")
def test_which_files_are_the_model(case: dict[str, Any]) -> None:
    sizes = {path: (i + 1) * 10**9 for i, path in enumerate(case["files"])}
    try:
        found: dict[str, Any] = {"chosen": choose_files("owner/repo", sizes, case.get("quant"), case.get("shards"))}
    except SourceError as error:
        assert error.where.startswith("owner/repo")
        found = {"error": error.message[: len(case.get("error", ""))]}
    assert found == {key: case[key] for key in ("chosen", "error") if key in case}
