"""The chat page with the real package and the built-in model, on SwiftShader: what a visitor does.

Outside truth: the greedy answers that transformers gave (tests/builtin/greedy.json)."""

import json
import os
import re
from pathlib import Path

import gguf
import pytest

from bench.random_encoder import word, write_random_encoder
from tests.page.test_page import ask

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
PATIENCE_MS = 120_000  # SwiftShader on few cores takes half a minute to compile the kernels


@pytest.fixture
def chat_page(page, site):
    page.goto(f"{site.url}/index.html")
    return page


def shortest_answer() -> tuple[str, str]:
    """Question and answer of the record whose dialogue is one plain question, with the fewest tokens."""
    record = json.loads((ROOT / "tests/builtin/greedy.json").read_text(encoding="utf-8"))
    plain = [p for p in record["prompts"] if len(p["messages"]) == 1 and not p.get("tools") and len(p["ids"]) >= 6]
    chosen = min(plain, key=lambda p: len(p["prompt_ids"]) + len(p["ids"]))
    return chosen["messages"][0]["content"], chosen["answer"]


def longer_answer() -> tuple[str, str]:
    """The same with more tokens, and nothing that Markdown would change."""
    record = json.loads((ROOT / "tests/builtin/greedy.json").read_text(encoding="utf-8"))
    plain = [p for p in record["prompts"] if len(p["messages"]) == 1 and not p.get("tools") and len(p["ids"]) >= 18]
    chosen = min(
        (p for p in plain if re.fullmatch(r"[\w ,.:'-]+", p["answer"])), key=lambda p: len(p["prompt_ids"]) + len(p["ids"])
    )
    return chosen["messages"][0]["content"], chosen["answer"]


def finished(page):
    page.locator("article.answer:last-of-type:not([aria-busy]) .stats").wait_for(timeout=PATIENCE_MS)
    return page.locator("article.answer .markdown").last.inner_text()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_load_chat_stop_and_again_offline(chat_page, site):
    page = chat_page
    question, answer = shortest_answer()
    page.get_by_role("button", name="Start the built-in model").click()
    page.get_by_text("Compiling the model").wait_for(timeout=PATIENCE_MS)
    page.locator(".welcome").wait_for(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Settings").click()
    assert page.locator(".sheet .memory dl > div").first.inner_text().startswith("Weights\n15.")
    page.keyboard.press("Escape")

    page.evaluate("""() => {
      globalThis.seen = new Set();
      const log = document.querySelector("[role=log]");
      const read = () => seen.add(log.querySelector("article.answer .answer-body > .markdown")?.textContent ?? "");
      new MutationObserver(read).observe(log, { childList: true, subtree: true, characterData: true });
    }""")
    ask(page, question)
    assert finished(page) == answer
    assert page.evaluate("seen.size") > 3  # it grew
    assert "tokens/s · first after" in page.locator("article.answer .stats").inner_text()

    ask(page, "What is Fanlight?")
    page.locator(".answer .markdown .block").nth(1).wait_for(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").first.wait_for()
    assert 0 < len(finished(page)) < 100

    page.evaluate("navigator.serviceWorker.ready")
    page.context.set_offline(True)
    before = len(site.served.requests)
    page.reload()
    page.get_by_role("button", name="Load Built-in model").click()
    page.get_by_role("button", name="Built-in model: choose another").wait_for(timeout=PATIENCE_MS)
    page.locator("article.answer").nth(1).wait_for()  # nothing is lost by a reload
    page.get_by_role("button", name="New chat").click()
    ask(page, question)
    assert finished(page) == answer
    # A browser asks for a newer service worker whatever it is told about being offline.
    assert {path for path, _ in site.served.requests[before:]} <= {"/service-worker.js"}


@pytest.mark.minutes
@pytest.mark.timeout(600)
def test_a_stopped_answer_goes_on_as_if_it_were_not(chat_page):
    """And the service worker is stopped meanwhile, which the page does not notice."""
    page = chat_page
    question, answer = longer_answer()
    page.get_by_role("button", name="Start the built-in model").click()
    page.locator(".welcome").wait_for(timeout=PATIENCE_MS)
    page.evaluate("navigator.serviceWorker.ready")
    ask(page, question)
    page.get_by_role("log").get_by_text(answer[:4]).last.wait_for(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Stop").click()
    assert len(finished(page)) < len(answer)
    page.get_by_role("button", name="Continue").click()
    session = page.context.new_cdp_session(page)
    session.send("ServiceWorker.enable")
    session.send("ServiceWorker.stopAllWorkers")
    page.get_by_role("log").get_by_text(answer).wait_for(timeout=PATIENCE_MS)
    assert finished(page) == answer
    asked = "async () => (await (await fetch('/v1/models')).json()).data.length"
    assert page.evaluate(asked) == 1  # by the service worker, started again
    session.send("ServiceWorker.stopAllWorkers")
    page.reload()
    page.get_by_role("log").get_by_text(answer).wait_for()  # the conversation is whole


DROP = """([name, text]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text], name));
  for (const type of ["dragover", "drop"]) dispatchEvent(new DragEvent(type, { dataTransfer, cancelable: true }));
}"""


def test_a_wrong_file_is_refused_in_words(chat_page):
    chat_page.get_by_role("button", name="Start the built-in model").wait_for()
    chat_page.evaluate(DROP, ["holiday.jpg", "these are not the bytes of a model, but enough to be read as some " * 9])
    alert = chat_page.get_by_role("alert").filter(has=chat_page.get_by_role("heading"))
    alert.wait_for(timeout=PATIENCE_MS)
    assert "not a model file" in alert.inner_text()
    assert "holiday.jpg" in alert.inner_text()


def test_an_unknown_architecture_is_named(chat_page, tmp_path):
    path = tmp_path / "strange.gguf"
    writer = gguf.GGUFWriter(os.fspath(path), "hyperbolic")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    chat_page.get_by_label("Choose a GGUF file").set_input_files(path)
    alert = chat_page.get_by_role("alert").filter(has=chat_page.get_by_role("heading"))
    alert.wait_for(timeout=PATIENCE_MS)
    assert "not supported" in alert.inner_text()
    assert "hyperbolic" in alert.inner_text()


def test_an_address_without_a_file_is_said(chat_page):
    chat_page.get_by_role("textbox", name="Or load one").fill("/nowhere.gguf")
    chat_page.keyboard.press("Enter")
    alert = chat_page.get_by_role("alert").filter(has=chat_page.get_by_role("heading"))
    alert.wait_for(timeout=PATIENCE_MS)
    assert "404" in alert.inner_text()
    alert.get_by_role("button", name="Try again").wait_for()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined })", "This browser has no WebGPU"),
        ("GPU.prototype.requestAdapter = async () => null", "hardware acceleration"),
        ("delete globalThis.DecompressionStream", "cannot unpack compressed files"),
    ],
)
def test_what_the_browser_lacks_is_said_in_words(page, site, script, words):
    page.add_init_script(script)
    page.goto(f"{site.url}/index.html")
    alert = page.get_by_role("alert").filter(has=page.get_by_role("heading"))
    alert.wait_for()
    assert "This browser cannot run a model" in alert.inner_text()
    assert words in alert.inner_text()
    assert page.locator(".stack[inert]").count() == 1


@pytest.mark.minutes
@pytest.mark.timeout(600)
def test_a_long_file_is_read_with_an_embedding_model(chat_page, site, tmp_path):
    """A second model beside the first, on the same device; its weights are random, so only that it was asked is known."""
    write_random_encoder("tiny-encoder", "Q8_0", tmp_path / "encoder.gguf")
    site.served.files["/encoder.gguf"] = (tmp_path / "encoder.gguf").read_bytes()
    page = chat_page
    page.evaluate("localStorage.setItem('fanlight-settings', '{\"max_tokens\": 4}')")
    page.reload()
    page.get_by_role("button", name="Start the built-in model").click()
    page.locator(".welcome").wait_for(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("combobox", name="Embedding model").select_option("Another one …")
    page.get_by_role("textbox", name="Its name or address").fill("/encoder.gguf")
    page.get_by_role("button", name="Use it").click()
    page.keyboard.press("Escape")
    text = "\n\n".join(" ".join(word(100 * i + j) for j in range(100)) for i in range(12))
    payload = {"name": "words.txt", "mimeType": "text/plain", "buffer": text.encode()}
    page.locator(".attached input[type=file]").set_input_files([payload])
    ask(page, f"Where is {word(730)}?")
    finished(page)
    page.locator(".sources summary").click()
    sources = page.locator(".sources").inner_text()
    assert "with encoder.gguf" in sources and word(730) in sources
