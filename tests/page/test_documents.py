"""Files given to a message: what of them reaches the model, what is shown, and what is refused, in words.

Judges: the requests that the stand-in engine got, the browser, axe-core."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.page.test_page import ask, axe_findings, finished, load, until

pytestmark = pytest.mark.browser

TOPICS = ["the tides", "bananas", "railway gauges", "bees", "glass", "tea", "the museum", "chess"]
FILLER = "It has been written about by many people for many years, and most of what they say is of no use here. " * 12
LONG = "\n\n".join(f"About {topic}: {'It opens at nine. ' if topic == 'the museum' else ''}{FILLER}" for topic in TOPICS)


def pdf(*pages: str) -> bytes:
    """The least PDF file that has these pages."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for page in pages:
        lines = "".join(f"({line}) Tj 0 -14 Td " for line in page.split("\n"))
        stream = f"BT /F1 12 Tf 50 700 Td {lines}ET"
        kids.append(f"{len(objects) + 1} 0 R")
        content = len(objects) + 2
        resources = "/Resources << /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {resources} /Contents {content} 0 R >>")
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(pages)} >>"
    out, places = b"%PDF-1.4\n", []
    for i, body in enumerate(objects):
        places.append(len(out))
        out += f"{i + 1} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF"
    return out + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def give(page: Any, *files: tuple[str, str, bytes]) -> None:
    payloads = [{"name": name, "mimeType": kind, "buffer": data} for name, kind, data in files]
    page.locator(".attached input[type=file]").set_input_files(payloads)


def read(page: Any, count: int = 1) -> None:
    until(page, f"document.querySelectorAll('.attachments li:not([aria-busy])').length === {count}")


def sent(page: Any, turn: int = -1) -> str:
    return page.evaluate("calls.bodies.at(-1).messages")[turn]["content"]


def test_small_files_go_whole_with_their_question(open_page):
    page = open_page()
    load(page)
    html = b"<title>T</title><script>bad()</script><h2>Part</h2><p>Some <b>words</b></p><table><tr><td>1<td>2</table>"
    give(page, ("notes.txt", "text/plain", "Straße\r\n🦊".encode()), ("page.html", "text/html", html))
    read(page, 2)
    give(page, ("data.csv", "text/csv", b"name,size\nfox,3\n"))
    read(page, 3)
    ask(page, "What is in them?")
    finished(page)
    text = sent(page)
    assert '<document name="notes.txt">\nStraße\n🦊\n</document>' in text
    assert "## Part" in text and "Some words" in text and "1 | 2 |" in text and "bad()" not in text
    assert "name,size\nfox,3" in text and text.endswith("\n\nWhat is in them?")
    assert "Read whole: notes.txt, page.html, and data.csv" in page.locator("article.answer").inner_text()
    expect(page.locator(".attachments li")).to_have_count(0)
    question = page.locator("article.question")
    expect(question.locator("details.document")).to_have_count(3)
    question.locator("summary", has_text="notes.txt").click()
    assert "Straße" in question.locator("pre").first.inner_text()
    ask(page, "And again?")
    finished(page)
    assert "Straße" in sent(page, 0) and sent(page) == "And again?"  # the beginning stays: it need not be read again
    page.reload()
    page.locator("details.document").nth(2).wait_for()


def test_a_pdf_file_is_read_with_its_pages(open_page):
    page = open_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    load(page)
    assert not [name for name in asked if name.startswith("pdf")]
    give(page, ("report.pdf", "application/pdf", pdf("The first page\nhas two lines.", "A word is hyphen-\nated here.")))
    read(page)
    assert "2 pages" in page.locator(".attachments").inner_text()
    ask(page, "Read it.")
    finished(page)
    assert "The first page\nhas two lines.\n\nA word is hyphenated here." in sent(page)


def test_of_long_files_the_passages_that_matter_are_read(open_page):
    page = open_page()
    load(page)
    give(page, ("long.txt", "text/plain", LONG.encode()))
    read(page)
    ask(page, "When does the museum open?")
    finished(page)
    text = sent(page)
    assert "It opens at nine." in text and len(text) < len(LONG)
    assert re.search(r"\[\d\] long\.txt, line 13", text)
    sources = page.locator(".sources")
    assert "of long.txt" in sources.locator("summary").inner_text()
    sources.locator("summary").click()
    assert "words of the question alone" in sources.inner_text() and "It opens at nine." in sources.inner_text()
    ask(page, "And what about the bees?")
    finished(page)
    assert "About bees" in sent(page) and "museum" not in sent(page, 0).replace("When does the museum open?", "")
    page.reload()
    page.locator(".sources").nth(1).wait_for()


EMBEDDER = {
    "name": "bge-small-en-v1.5-Q8_0.gguf",
    "url": "https://x/bge.gguf",
    "complete": True,
    "storedBytes": 9,
    "sizeBytes": 9,
}


def test_an_embedding_model_finds_what_words_do_not(open_page):
    vectors = [["museum|exhibition", [1, 0, 0]]]
    page = open_page({"models": [{**EMBEDDER, "savedAt": "2026-01-01"}], "vectors": vectors})
    load(page)
    give(page, ("long.txt", "text/plain", LONG.encode()))
    read(page)
    ask(page, "When might an exhibition welcome visitors?")
    finished(page)
    assert "It opens at nine." in sent(page)
    page.locator(".sources summary").click()
    assert "with bge-small-en-v1.5-Q8_0.gguf" in page.locator(".sources").inner_text()
    assert page.evaluate("calls.loads.at(-1).model") == {"opfs": "https://x/bge.gguf"}
    first = page.evaluate("calls.embedded.length")
    assert page.evaluate("calls.embedded[0]").startswith("Represent this sentence for searching relevant passages: When might")
    ask(page, "When might an exhibition close for the day?")
    finished(page)
    assert page.evaluate("calls.embedded.length") == first + 1  # the passages' vectors are kept
    settings = page.get_by_role("button", name="Settings")
    settings.click()
    page.get_by_role("combobox", name="Embedding model").select_option("None: by words alone")
    page.keyboard.press("Escape")
    ask(page, "When might an exhibition burn?")
    finished(page)
    assert page.evaluate("calls.embedded.length") == first + 1


def test_an_embedding_model_is_chosen_of_the_catalogue_or_the_hub(open_page):
    page = open_page({"vectors": [["museum|exhibition", [1, 0, 0]]]})
    load(page)
    give(page, ("long.txt", "text/plain", LONG.encode()))
    read(page)
    choices = page.get_by_role("combobox", name="Embedding model")
    page.get_by_role("button", name="Settings").click()
    choices.select_option("BGE small v1.5")
    page.keyboard.press("Escape")
    ask(page, "When might an exhibition welcome visitors?")
    finished(page)
    assert "It opens at nine." in sent(page)
    assert page.evaluate("calls.loads.at(-1).model") == "hf:ggml-org/bge-small-en-v1.5-Q8_0-GGUF:Q8_0"
    assert page.evaluate("calls.embedded[0]").startswith("Represent this sentence")
    page.get_by_role("button", name="Settings").click()
    expect(choices.locator("option:checked")).to_have_text("BGE small v1.5")
    for text, address in (("all-minilm-l6-v2", "hf:second-state/"), ("me/nomic-embed:Q8_0", "hf:me/nomic-embed:Q8_0")):
        choices.select_option("Another one …")
        page.get_by_role("textbox", name="Its name or address").fill(text)
        page.get_by_role("button", name="Use it").click()
        until(page, f"JSON.parse(localStorage['fanlight-embedder']).address.startsWith('{address}')")
    page.keyboard.press("Escape")
    ask(page, "When might an exhibition welcome visitors?")
    finished(page)
    assert page.evaluate("calls.loads.at(-1).model") == "hf:me/nomic-embed:Q8_0"
    assert page.evaluate("calls.embedded.at(-1)").startswith("search_document: ")


def test_without_room_for_the_embedding_model_words_do(open_page):
    error = ["DoesNotFit", "needs 9000 MiB", {}]
    page = open_page({"models": [{**EMBEDDER, "savedAt": "2026-01-01"}], "embedderError": error})
    load(page)
    give(page, ("long.txt", "text/plain", LONG.encode()))
    read(page)
    ask(page, "When does the museum open?")
    finished(page)
    page.locator(".sources summary").click()
    assert "bge-small-en-v1.5-Q8_0.gguf could not be used (needs 9000 MiB)" in page.locator(".sources").inner_text()
    assert "It opens at nine." in sent(page)


REFUSED = {
    "photo.png": ("image/png", b"\x89PNG", "cannot see images"),
    "song.mp3": ("audio/mpeg", b"ID3", "cannot hear"),
    "letter.docx": ("application/octet-stream", b"PK", "Save it as PDF"),
    "m.gguf": ("application/octet-stream", b"GGUF", "looks like a model"),
    "empty.txt": ("text/plain", b"", "no text in it"),
    "program": ("application/octet-stream", b"\x7fELF\0\0", "not text"),
    "broken.pdf": ("application/pdf", b"%PDF-1.4 and nothing else", "cannot be read as a PDF"),
    "scan.pdf": ("application/pdf", pdf(""), "only images"),
}


def test_what_cannot_be_read_is_said_and_nothing_is_lost(open_page):
    page = open_page()
    load(page)
    page.get_by_role("textbox", name="Message").fill("My words")
    give(page, *((name, kind, data) for name, (kind, data, _) in REFUSED.items()), ("good.md", "", b"# Good"))
    read(page)
    until(page, f"document.querySelectorAll('.complaint[role=alert] span').length === {len(REFUSED)}")
    said = page.locator(".complaints .complaint").all_inner_texts()
    for name, (_, _, words) in REFUSED.items():
        assert any(text.startswith(name) and words in text for text in said), (name, said)
    assert page.get_by_role("textbox", name="Message").input_value() == "My words"
    assert page.locator(".attachments li").first.inner_text().startswith("good.md")
    page.get_by_role("button", name="Close this message").first.click()
    expect(page.locator(".complaints .complaint")).to_have_count(len(REFUSED) - 1)
    page.get_by_role("button", name="Remove good.md").click()
    expect(page.locator(".attachments li")).to_have_count(0)
    page.get_by_role("textbox", name="Message").press("Enter")
    finished(page)
    assert sent(page) == "My words"


DROP = """async ([kind, name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name, { type: "text/plain" }));
  const target = document.querySelector(".composer textarea");
  const options = { bubbles: true, cancelable: true, clipboardData: data, dataTransfer: data };
  if (kind === "paste") return target.dispatchEvent(new ClipboardEvent("paste", options));
  for (const type of ["dragover", "drop"]) target.dispatchEvent(new DragEvent(type, options));
}"""


def test_a_file_that_is_dropped_where_models_are_chosen_is_a_model(open_page):
    page = open_page()
    page.locator(".choose h1").wait_for()
    page.evaluate(DROP, ["drop", "m.gguf", "GGUF"])
    until(page, "calls.loads.length === 1")
    page.locator(".welcome").wait_for()
    assert page.locator(".complaints .complaint").count() == 0


def test_files_are_dropped_pasted_and_stay_with_their_conversation(open_page):
    page = open_page()
    load(page)
    page.evaluate(DROP, ["drop", "dropped.txt", "One"])
    page.evaluate(DROP, ["paste", "pasted.txt", "Two"])
    read(page, 2)
    ask(page, "First")  # sends both
    finished(page)
    assert "One" in sent(page) and "Two" in sent(page)
    page.evaluate(DROP, ["drop", "later.txt", "Three"])
    read(page)
    page.get_by_role("button", name="New chat").first.click()
    page.locator(".welcome").wait_for()
    expect(page.locator(".attachments li")).to_have_count(0)
    page.go_back()
    read(page)
    question = page.locator("article.question")
    question.hover()
    question.get_by_role("button", name="Edit").first.click()
    page.locator(".edit-form textarea").fill("First, otherwise")
    page.keyboard.press("Enter")
    until(page, "calls.bodies.length === 2")
    assert "One" in sent(page) and sent(page).endswith("First, otherwise")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_where_files_are(open_page, scheme, width):
    calls = [{"index": 0, "function": {"name": "look_up", "arguments": '{"a": 1}'}}]
    viewport = {"width": width, "height": 800}
    page = open_page({"toolCalls": calls}, color_scheme=scheme, bypass_csp=True, viewport=viewport, reduced_motion="reduce")
    load(page)
    give(page, ("long.txt", "text/plain", LONG.encode()), ("a very long name of a file " * 4 + ".png", "image/png", b"x"))
    read(page)
    findings = axe_findings(page)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    ask(page, "When does the museum open?")
    finished(page)
    page.locator(".sources summary").click()
    page.locator(".document summary").click()
    findings += axe_findings(page)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("combobox", name="Embedding model").select_option("Another one …")
    findings += axe_findings(page)
    assert not findings, "\n".join(findings)


def test_tool_calls_are_shown_as_they_come(open_page):
    pieces = [("get_weather", '{"place": "Be'), (None, 'rlin", "days"'), (None, ": [1, 2]}")]
    calls = [{"index": 0, "function": {"name": name, "arguments": text}} for name, text in pieces]
    calls += [{"index": 1, "function": {"name": "stop", "arguments": "not JSON"}}]
    page = open_page({"toolCalls": calls, "answer": ""})
    load(page)
    ask(page, "Weather?")
    page.locator("article.answer:not([aria-busy])").wait_for()
    assert page.locator(".call summary").all_inner_texts() == ["Calls get_weather", "Calls stop"]
    assert page.locator(".call pre").all_inner_texts() == [
        '{\n  "place": "Berlin",\n  "days": [\n    1,\n    2\n  ]\n}',
        "not JSON",
    ]
    assert "answered nothing" not in page.locator("article.answer").inner_text()


@pytest.mark.parametrize(
    "pieces", [["<think>", "It is ", "four.</think>\n\nFour."], ["<th", "ink>It is four.</th", "ink> Four."]]
)
def test_thoughts_in_the_text_are_folded_too(open_page, pieces):
    page = open_page({"pieces": pieces})
    load(page)
    ask(page, "2 + 2?")
    assert finished(page) == "Four."
    page.locator("details.thought summary").click()
    assert "It is four." in page.locator("details.thought").inner_text()


def test_how_long_it_thought_is_told(open_page):
    page = open_page({"pieces": ["<think>", *["well "] * 8, "</think>Four."], "pace": 300})
    load(page)
    ask(page, "2 + 2?")
    page.get_by_text(re.compile(r"Thinking for \d sec")).wait_for()
    finished(page)
    assert re.fullmatch(r"Thought for \d+ sec", page.locator("details.thought summary").inner_text())


def test_a_sound_goes_beside_the_text_where_the_model_hears(open_page):
    page = open_page({"info": {"hears": True}})
    load(page)
    give(page, ("song.wav", "audio/wav", b"RIFF and more"), ("notes.txt", "text/plain", b"Notes"))
    read(page, 2)
    ask(page, "What is sung?")
    finished(page)
    sound, text = sent(page)
    assert sound == {"type": "input_audio", "input_audio": {"data": "UklGRiBhbmQgbW9yZQ==", "format": "wav"}}
    assert "Notes" in text["text"] and text["text"].endswith("What is sung?")
    assert page.locator("audio.sound").get_attribute("aria-label") == "song.wav"
