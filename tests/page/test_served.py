"""The chat page beside a model that its server runs, and other sites' pages that would use it: a real server, Chromium."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from fanlight.api.access import Access
from tests.api.fakes import make_face
from tests.api.test_server import echo, engine_of, served, wait_until
from tests.cli.tiny import write_model
from tests.page.test_page import ask, finished
from tests.web.browser import CHROMIUM_FLAGS

pytestmark = pytest.mark.browser


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Any]:
    contexts = []

    def open_it(url: str) -> Any:
        context = chromium.new_context(service_workers="block")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.goto(url)
        return page

    yield open_it
    for context in contexts:
        context.close()


def chat(page: Any, text: str) -> str:
    ask(page, text)
    return finished(page)


def test_the_page_talks_to_the_served_model(open_page, assets) -> None:
    with served(make_face(echo), assets=assets, access=Access(hosts=())) as url:
        page = open_page(url)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_role("button", name="Chat with scripted").click()
        assert chat(page, "Hello") == "You said: Hello 🙂"
        assert chat(page, "Again") == "You said: Again 🙂"
        assert "sent there" in page.locator(".composer + .note .privacy").inner_text()
        page.reload()  # the conversation is kept here, and goes on with the server's model by itself
        assert chat(page, "Once more") == "You said: Once more 🙂"
        assert page.locator("article").count() == 6
        paths = {path.removeprefix(url) for path in asked}
        assert "/v1/chat/completions" in paths and not [path for path in paths if "gguf" in path or "worker" in path]


def test_a_long_answer_streams_can_be_stopped_and_errors_are_said(open_page, assets) -> None:
    loaded = make_face(lambda prompt, params: "word " * 20_000, context_length=30_000)
    with served(loaded, assets=assets) as url:
        page = open_page(url)
        page.get_by_role("button", name="Chat with scripted").click()
        ask(page, "Go on")
        page.get_by_text("word word").wait_for()
        page.keyboard.press("Escape")
        page.get_by_text("Stopped.", exact=True).wait_for()
        wait_until(lambda: engine_of(loaded).aborted and not engine_of(loaded).running)
        loaded.engine.context_length = 4
        ask(page, "Longer")
        alert = page.get_by_role("alert").filter(has=page.get_by_role("heading"))
        alert.get_by_text("longer than the model's context").wait_for()


def test_a_server_with_a_key_asks_for_it(open_page, assets) -> None:
    with served(make_face(echo), assets=assets, access=Access(keys=("s3cret",))) as url:
        page = open_page(url)
        field = page.get_by_label("The server's API key")
        field.fill("wrong")
        page.keyboard.press("Enter")
        expect(field).to_have_value("")  # it is asked for anew
        field.fill("s3cret")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Chat with scripted").click()
        assert chat(page, "Hello") == "You said: Hello 🙂"


FOREIGN = """async (url) => {
  const body = JSON.stringify({ messages: [{ role: "user", content: "compute" }] });
  const ways = [
    {}, { mode: "no-cors" },
    { method: "POST", body: new Blob([body]) }, { method: "POST", body: new Blob([body]), mode: "no-cors" },
    { method: "POST", body, mode: "no-cors" }, { method: "POST", body, headers: { "Content-Type": "application/json" } },
  ];
  const read = [];
  for (const path of ["/v1/chat/completions", "/v1/models", "/models/model.gguf", "/metrics"])
    for (const init of ways)
      await fetch(url + path, init).then(
        async (response) => read.push(`${path} ${response.type} ${await response.text()}`), () => read.push("refused"));
  const frame = document.createElement("iframe");
  frame.name = "frame";
  const target = { method: "post", action: url + "/v1/chat/completions", target: "frame" };
  const form = Object.assign(document.createElement("form"), target);
  document.body.append(frame, form);
  form.submit();
  await new Promise((done) => setTimeout(done, 300));
  return read.filter((text) => text !== "refused" && !/ opaque $/.test(text));
}"""


def test_a_page_of_another_site_reads_and_computes_nothing(open_page, assets, site, tmp_path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    loaded = make_face(echo)
    with served(loaded, assets=assets, model_files=[model], access=Access(hosts=())) as url:
        page = open_page(f"{site.url}/pages/blank.html")
        assert page.evaluate(FOREIGN, url) == []
        assert not engine_of(loaded).sequences
        own = open_page(url)  # the same from the server's own page does compute, so the test could fail
        assert own.evaluate(FOREIGN, url) and engine_of(loaded).sequences


def test_a_name_that_was_made_to_point_here_is_refused(chromium, assets) -> None:
    """What DNS rebinding comes to: the browser takes the page and this server for one site."""
    with served(make_face(echo), assets=assets, access=Access(hosts=())) as url:
        port = url.rpartition(":")[2]
        flags = [*CHROMIUM_FLAGS, "--host-resolver-rules=MAP evil.example 127.0.0.1"]
        browser = chromium.browser_type.launch(executable_path="/usr/bin/chromium", args=flags)
        try:
            page = browser.new_page()
            response = page.goto(f"http://evil.example:{port}/")
            assert response.status == 403 and "evil.example" in response.text()
            assert page.evaluate("fetch('/v1/models').then((r) => r.status)") == 403
        finally:
            browser.close()


def test_a_server_that_offers_a_model_begins_with_it(open_page, assets, tmp_path) -> None:
    """As `make demo` does: the server runs none, and the page loads it from there."""
    path = write_model(tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf")
    asked: list[str] = []
    with served(None, assets=assets, model_files=[path], access=Access(hosts=()), log_access=asked.append) as url:
        page = open_page(url)
        page.get_by_role("heading", name="SmolLM2-135M-Instruct.Q4_1").wait_for()
        assert "from the server that this page comes from" in page.locator(".featured").inner_text()
        page.get_by_role("button", name="Start SmolLM2-135M-Instruct.Q4_1").click()
        page.get_by_role("heading", name="Loading SmolLM2-135M-Instruct.Q4_1").wait_for()
        wait_until(lambda: any(f"/models/{path.name}" in line for line in asked), 30)
        page.get_by_role("button", name="Cancel").click()
