"""The example of Vite and React: its dev server as it comes, which bundles dependencies first; its build and `vite preview`."""

import pytest

from tests.examples.asking import ANSWER, EXAMPLES, QUESTION, free_port, opened, served
from tests.npm import run

pytestmark = [pytest.mark.browser, pytest.mark.minutes, pytest.mark.timeout(900)]


@pytest.fixture
def folder(project):
    return project(EXAMPLES / "vite-react")


def vite(*command):
    return ("node", "node_modules/vite/bin/vite.js", *command, "--host", "127.0.0.1", "--port", free_port(), "--strictPort")


def test_dev(chromium, folder):
    with served(*vite("dev"), folder=folder) as url, opened(chromium, url, ".assistant") as page:
        assert page.answer(Question=QUESTION) == ANSWER
        assert page.problems == []


def test_build_and_preview(chromium, folder):
    run("npm", "run", "build", folder=folder)
    with served(*vite("preview"), folder=folder) as url, opened(chromium, url, ".assistant") as page:
        assert page.answer(Question=QUESTION) == ANSWER
        assert page.problems == []
