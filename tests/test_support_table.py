"""What README and docs say that runs is what the golden cases prove."""

from scripts import support_table


def test_the_pages_are_as_they_would_be_made_now() -> None:
    assert support_table.README.read_text() == support_table.readme(), "run python -m scripts.support_table"
    assert support_table.PAGE.read_text() == support_table.page(), "run python -m scripts.support_table"


def test_every_family_has_a_case() -> None:
    unproven = [family.file for family in support_table.families() if not family.folders and not family.files]
    assert not unproven
