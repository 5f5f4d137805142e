"""What the documents show is what stands in the files, and the Python in docs/*.md runs.

The blocks of a page that begin with ```python run in order in one namespace, in an empty folder, as in a notebook: a block may
`await`. One that cannot run here (it needs a network or a large model) begins with ```python no-run, and is compiled only."""

import ast
import asyncio
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DIFFS = re.findall(r"```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S)
BLOCK = re.compile(r"^```python(?P<how>[^\n]*)\n(?P<code>.*?)^```\s*$", re.S | re.M)
PAGES = [page for page in sorted((ROOT / "docs").glob("*.md")) if BLOCK.search(page.read_text())]


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


def run_page(text: str, name: str) -> dict[str, object]:
    """What the page's blocks leave in their namespace. A traceback names the page's own lines."""
    namespace: dict[str, object] = {"__name__": "__docs__"}
    with asyncio.Runner() as runner:
        for block in BLOCK.finditer(text):
            how = block["how"].strip()
            assert how in ("", "no-run"), f"{name}: a block is ```python or ```python no-run, not ```python {how}"
            before = "\n" * text.count("\n", 0, block.start("code"))
            code = compile(before + block["code"], name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if how:
                continue
            running = eval(code, namespace)
            if inspect.isawaitable(running):
                runner.run(_finish(running))
    return namespace


async def _finish(running: object) -> None:
    assert inspect.isawaitable(running)
    await running


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page.read_text(), str(page))


def test_blocks_run_in_order_and_may_await() -> None:
    blocks = ("python\nimport asyncio\na = 1", "python no-run\na = wrong()", "python\nb = await asyncio.sleep(0, a + 1)")
    assert run_page("".join(f"```{block}\n```\n" for block in blocks), "page")["b"] == 2
    with pytest.raises(SyntaxError):
        run_page("```python no-run\na = (\n```\n", "page")
    with pytest.raises(ZeroDivisionError) as caught:
        run_page("\n\n```python\n1 / 0\n```\n", "page.md")
    assert caught.traceback[-1].lineno == 3  # the page's line 4, counted from 0
