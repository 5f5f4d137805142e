"""The examples that need no build, as users run them: the packed package in node_modules, a server, and Chromium that asks."""

from pathlib import Path

import pytest

from bench.random_encoder import word, write_random_encoder
from tests.examples.asking import ANSWER, EXAMPLES, QUESTION, free_port, opened, served, static
from tests.web.browser import Served, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


def test_plain_html_by_a_server_without_ranges(chromium, project):
    with static(project(EXAMPLES / "plain")) as url, opened(chromium, url) as page:
        assert page.answer(question=QUESTION) == ANSWER
        assert page.problems == []


@pytest.mark.minutes
def test_a_strict_policy(chromium, project):
    folder = project(EXAMPLES / "strict-csp")
    with served("node", "serve.mjs", free_port(), folder=folder) as url, opened(chromium, url) as page:
        assert page.answer(question=QUESTION) == ANSWER
        assert page.problems == []


@pytest.mark.minutes
def test_the_package_from_another_origin(chromium, package, tmp_path):
    """Another port is another origin; that one allows all."""
    html = (EXAMPLES / "cdn" / "index.html").read_text()
    cdn = Served({"/fanlight/": package})
    cdn.headers = {"Access-Control-Allow-Origin": "*"}
    with serve(cdn) as other, static(tmp_path) as url:
        (tmp_path / "index.html").write_text(html.replace("https://cdn.example", other))
        with opened(chromium, url) as page:
            assert page.answer(question=QUESTION) == ANSWER
            assert page.problems == []


@pytest.mark.minutes
def test_fields_from_a_text(chromium, project):
    with static(project(EXAMPLES / "extraction")) as url, opened(chromium, url, "table") as page:
        assert page.answer().split() == ["room", "hall", "degrees", "28", "humidity", "36"]
        assert page.problems == []


@pytest.mark.minutes
def test_a_tool_is_called(chromium, project):
    with static(project(EXAMPLES / "tools")) as url, opened(chromium, url) as page:
        said = page.answer(question="Tell me the time in Rome.")
        (call,) = page.page.locator("#calls li").all_inner_texts()
        assert call.startswith('time_in({"city": "Rome"}) = {"time":"')
        assert said == f"It is {call[-7:-2]} in Rome."
        assert page.problems == []


@pytest.mark.minutes
def test_answers_from_documents(chromium, project):
    """The encoder is random: of texts whose words are the question's its vectors are nearest all the same."""
    folder: Path = project(EXAMPLES / "retrieval")
    write_random_encoder("tiny-encoder", "Q8_0", folder / "encoder.gguf")
    documents = "\n\n".join(f"{word(i)} {word(i + 1)}" for i in (5, 20, 40))
    with static(folder) as url, opened(chromium, f"{url}/?embedding=encoder.gguf") as page:
        assert page.answer(documents=documents, question=f"{word(20)} {word(21)}")
        first, _ = page.page.locator("#found li").all_inner_texts()
        assert first.endswith(f"{word(20)} {word(21)}") and first.startswith("1.000")
        assert page.problems == []
