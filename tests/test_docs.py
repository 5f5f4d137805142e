"""What the documents show is what stands in the files."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DIFFS = re.findall(r"```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S)


def added(diff: str) -> tuple[Path, list[str]]:
    head, *lines = diff[diff.index("+++ b/") + 6 :].splitlines()
    return ROOT / head, [line[1:] for line in lines if line.startswith("+")]


@pytest.mark.parametrize("diff", DIFFS, ids=lambda diff: added(diff)[0].name)
def test_lines_shown_as_added_are_there(diff: str) -> None:
    path, lines = added(diff)
    text = path.read_text()
    if diff.startswith("--- /dev/null"):
        assert text.splitlines() == lines, f"{path.name} is shown whole in CONTRIBUTING.md, and differs"
    assert lines and all(f"{line}\n" in text for line in lines)
