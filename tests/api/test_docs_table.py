"""The table of fields in docs/api.md is the one that requests are checked by."""

from fanlight.api import structured
from fanlight.api.requests import ACCEPTED, CHAT, COMPLETION, REFUSED
from scripts import api_table


def test_the_table_is_as_it_would_be_made_now() -> None:
    assert api_table.PAGE.read_text() == api_table.page(), "run python scripts/api_table.py"


def test_every_field_has_words() -> None:
    honoured = {*CHAT, *COMPLETION} - ACCEPTED.keys() - REFUSED.keys() - structured.FIELDS.keys()
    assert honoured | {"response_format"} == api_table.WORDS.keys()
