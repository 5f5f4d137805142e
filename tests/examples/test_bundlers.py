"""One page by every bundler that web/README.md names: built from the packed package, served without ranges, and asked."""

import shutil
from pathlib import Path

import pytest

from tests.examples.asking import ANSWER, EXAMPLES, QUESTION, free_port, opened, served, static
from tests.npm import run

pytestmark = [pytest.mark.browser, pytest.mark.minutes, pytest.mark.timeout(900)]

PAGE = Path(__file__).parent / "bundlers"
BUILDS = {
    "webpack": ["webpack"],
    "rollup": ["rollup", "-c", "--environment", "assets"],
    "rollup-alone": ["rollup", "-c"],
    "esbuild": ["esbuild", "page.js", "--bundle", "--format=esm", "--outdir=dist"],
    "parcel": ["parcel", "build", "index.html", "--no-cache"],
}
FINDERS = ("webpack", "rollup")  # they emit the package's files; for the others these are copied, and the page says where


@pytest.mark.parametrize("bundler", BUILDS)
def test_a_page_is_built_and_answered(bundler, chromium, package, project):
    folder = project(PAGE)
    tool, *arguments = BUILDS[bundler]
    run(folder / "node_modules" / ".bin" / tool, *arguments, folder=folder)
    dist = folder / "dist"
    if not (dist / "index.html").exists():
        shutil.copy(folder / "index.html", dist)
    copied = bundler not in FINDERS
    if copied:
        shutil.copytree(package / "dist", dist / "fanlight")
    with static(dist) as url, opened(chromium, f"{url}/{'?assets=/fanlight/' if copied else ''}") as page:
        assert page.answer(question=QUESTION) == ANSWER
        assert page.problems == []


@pytest.mark.parametrize("bundler", ["turbopack", "webpack"])
def test_next_builds_and_serves_it(bundler, chromium, project):
    folder = project(EXAMPLES / "next")
    next_ = ("node", "node_modules/next/dist/bin/next")
    run(*next_, "build", f"--{bundler}", folder=folder)
    with served(*next_, "start", "-H", "127.0.0.1", "-p", free_port(), folder=folder) as url, opened(chromium, url) as page:
        assert page.answer(question=QUESTION) == ANSWER
        assert page.problems == []
