"""Vite: its dev server as it comes, which bundles dependencies first; its build and `vite preview`.  Of the example with React,
and of a new project by README.md's own words."""

import json
import re
from pathlib import Path

import pytest

from tests.examples.asking import ANSWER, EXAMPLES, PATIENCE_MS, QUESTION, free_port, opened, served
from tests.npm import run

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


def vite(*command):
    return ("node", "node_modules/vite/bin/vite.js", *command, "--host", "127.0.0.1", "--port", free_port(), "--strictPort")


def test_the_example_by_the_dev_server_and_built(chromium, project):
    """In one: the package is installed once, and the second visit finds the model of the first nowhere."""
    folder = project(EXAMPLES / "vite-react")
    run("npm", "run", "build", folder=folder)
    for command in ("dev", "preview"):
        with served(*vite(command), folder=folder) as url, opened(chromium, url, ".assistant") as page:
            assert page.answer(Question=QUESTION) == ANSWER
            assert page.problems == []


# --- a new project ---------------------------------------------------------------------------------------------------------
CODE = re.search(r"## In a page\n```ts\n(.*?)```", (EXAMPLES.parent / "README.md").read_text(), re.S)[1]
MODEL = re.compile(r'"https://[^"]*\.gguf"')
HTML = '<!doctype html><html lang="en"><body><script type="module" src="/src/main.ts"></script></body></html>'
VITE = json.loads((EXAMPLES / "vite-react" / "package.json").read_text())["devDependencies"]["vite"]


@pytest.fixture
def fresh(tarball: Path, tmp_path: Path) -> Path:
    """What `npm create vite` makes, without its pictures; then the package as npm installs it, then README.md's code."""
    folder = tmp_path / "fresh"
    (folder / "src").mkdir(parents=True)
    scripts = {"dev": "vite", "build": "vite build", "preview": "vite preview"}
    manifest = {"name": "fresh", "private": True, "type": "module", "scripts": scripts, "devDependencies": {"vite": VITE}}
    (folder / "package.json").write_text(json.dumps(manifest))
    (folder / "index.html").write_text(HTML)
    (folder / "src" / "main.ts").write_text(MODEL.sub('"built-in"', CODE) + '\ndocument.title = "done";\n')
    run("npm", "install", "--no-audit", "--no-fund", tarball, folder=folder)
    return folder


@pytest.mark.minutes
def test_a_new_project_by_the_readme(chromium, fresh):
    assert MODEL.search(CODE)
    run("npm", "run", "build", folder=fresh)
    for command in ("dev", "preview"):
        with served(*vite(command), folder=fresh) as url:
            context = chromium.new_context()
            page, said, problems = context.new_page(), [], []
            page.on("pageerror", lambda error, problems=problems: problems.append(error))
            page.on("console", lambda message, said=said: said.append(message))
            page.goto(url)
            page.wait_for_function("() => document.title === 'done'", timeout=PATIENCE_MS)
            context.close()
        assert problems == []
        answer = "".join(message.text for message in said if message.type == "log").partition("ready")[2]
        assert len(answer.replace("undefined", "")) > 12, "its bytes, and an answer"
