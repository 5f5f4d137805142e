"""Conversations on the chat page: nothing that was said is lost, whatever its visitor does; branches, presets, files.

Judges: the browser itself (its history, its storage, several tabs), axe-core, and json."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.page.test_page import ask, axe_findings, finished, load, settings, stands, until

pytestmark = pytest.mark.browser

DROP = """([name, text]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text], name));
  for (const type of ["dragover", "drop"]) dispatchEvent(new DragEvent(type, { dataTransfer, cancelable: true }));
}"""
MODEL = {"name": "m.gguf", "url": "https://x/m.gguf", "complete": True, "storedBytes": 1, "sizeBytes": 1}
# All that is kept, in an order of its own.
KEPT = """async () => {
  const db = await new Promise((resolve, reject) => {
    const opening = indexedDB.open("fanlight-chats");
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  const all = (name) => new Promise((resolve) => {
    const asked = db.transaction(name).objectStore(name).getAll();
    asked.onsuccess = () => resolve(asked.result);
  });
  const [heads, messages, presets] = await Promise.all(["heads", "messages", "presets"].map(all));
  db.close();
  return { heads, messages, presets };
}"""


SAID = "article :is(p[dir], .answer-body > .markdown)"


def said(page: Any) -> list[str]:
    """The messages that are shown, as they read."""
    return [text.strip() for text in page.locator(SAID).all_inner_texts()]


def reads(page: Any, *texts: str) -> None:
    """These messages are shown, and no others."""
    stands(page.locator(SAID), [*texts])


def talk(page: Any, question: str, answer: str) -> None:
    page.evaluate("(answer) => { plan.answer = answer }", answer)
    ask(page, question)
    page.get_by_role("log").get_by_text(answer, exact=True).wait_for()
    finished(page)


def chosen(page: Any, question: str) -> None:
    """Opens the conversation that is called so."""
    page.get_by_role("navigation").get_by_role("link", name=question).click()
    page.get_by_role("log").get_by_text(question, exact=True).wait_for()


def is_listed(page: Any, *titles: str) -> None:
    """The conversations in their list, which is told of them once they are kept."""
    stands(page.locator(".chat-list a > span"), [*titles])


def another_tab(page: Any, address: str | None = None) -> Any:
    tab = page.context.new_page()
    tab.set_default_timeout(10_000)
    tab.goto(address or page.url)
    return tab


def test_reload_back_and_new_chat_lose_nothing(open_page):
    page = open_page()
    load(page)
    talk(page, "One?", "First.")
    first = page.url
    page.get_by_role("button", name="New chat").click()
    talk(page, "Two?", "Second.")
    is_listed(page, "Two?", "One?")
    page.go_back()
    page.locator(".welcome").wait_for(state="detached")
    page.get_by_role("log").get_by_text("First.").wait_for()
    reads(page, "One?", "First.")
    page.go_forward()
    page.get_by_role("log").get_by_text("Second.").wait_for()
    chosen(page, "One?")
    assert page.url == first
    page.reload()
    page.get_by_role("log").get_by_text("First.").wait_for()
    reads(page, "One?", "First.")
    page.get_by_role("button", name="Load Built-in model").click()
    page.get_by_role("button", name="Built-in model: choose another").wait_for()
    talk(page, "More?", "Third.")
    sent = page.evaluate("calls.bodies.at(-1).messages.map((message) => message.content)")
    assert sent == ["One?", "First.", "More?"]


def test_what_is_written_and_not_sent_is_there_after_a_reload(open_page):
    page = open_page()
    load(page)
    talk(page, "One?", "First.")
    page.get_by_role("textbox", name="Message").fill("half a thou")
    page.reload()
    page.get_by_role("log").get_by_text("First.").wait_for()
    expect(page.get_by_role("textbox", name="Message")).to_have_value("half a thou")


def test_a_tab_closed_in_mid_answer_keeps_what_has_come_and_it_goes_on(open_page):
    page = open_page({"pace": 20, "answer": "word " * 400})
    load(page)
    ask(page, "Go on")
    page.get_by_text("word word word").wait_for()
    page.wait_for_timeout(500)
    address = page.url
    tab = another_tab(page, "about:blank")
    page.close()
    tab.add_init_script("globalThis.plan = { answer: 'and the end.' };")
    tab.goto(address)
    tab.get_by_text("was cut off").wait_for()
    count = said(tab)[1].count("word")
    assert 10 < count < 400
    tab.get_by_role("button", name="Load Built-in model").click()
    tab.get_by_role("button", name="Continue").click()
    tab.get_by_role("log").get_by_text("and the end.").wait_for()
    finished(tab)
    body = tab.evaluate("calls.bodies[0]")
    assert body["continue_final_message"] is True
    assert body["messages"][-1] == {"role": "assistant", "content": ("word " * count).strip()}
    tab.reload()
    tab.get_by_role("log").get_by_text("and the end.").wait_for()
    assert said(tab)[1].startswith("word word")
    expect(tab.get_by_text("was cut off")).to_have_count(0)


def test_an_answer_goes_on_while_another_conversation_is_open(open_page):
    page = open_page({"pace": 20, "answer": "long " * 60 + "done."})
    load(page)
    ask(page, "Slow")
    page.get_by_text("long long").wait_for()
    page.get_by_role("button", name="New chat").click()
    page.evaluate("plan.answer = 'Quick.'; plan.pace = 1")
    ask(page, "Fast")
    assert finished(page) == "Quick."
    chosen(page, "Slow")
    page.get_by_role("log").get_by_text("long done.").wait_for()
    finished(page)  # and kept
    assert len(page.evaluate("calls.bodies[1].messages")) == 1
    kept = page.evaluate(KEPT)["messages"]
    assert sorted(m["ending"] for m in kept if m["role"] == "assistant") == ["stop", "stop"]


def test_a_failed_load_and_a_wrong_file_lose_nothing(open_page):
    page = open_page({"models": [MODEL]})
    load(page)
    talk(page, "One?", "First.")
    page.get_by_role("button", name="choose another model").click()
    page.evaluate("plan.loadError = ['FormatError', 'no GGUF magic', { where: 'holiday.jpg' }]")
    page.evaluate(DROP, ["holiday.jpg", "no model"])
    alert = page.get_by_role("alert").filter(has=page.get_by_role("heading"))
    alert.wait_for()
    page.go_back()
    page.get_by_role("log").get_by_text("First.").wait_for()
    reads(page, "One?", "First.")
    page.go_forward()
    page.evaluate("plan.loadError = ['SourceError', 'the server answered 404', {}]")
    page.get_by_role("button", name="Load m.gguf").click()
    alert.get_by_role("button", name="instead").click()  # what was loaded before
    page.get_by_role("button", name="Built-in model: choose another").wait_for()
    reads(page, "One?", "First.")


def test_back_leaves_a_load_and_the_page_goes_on(open_page):
    page = open_page({"pace": 60})
    load(page)
    page.evaluate("plan.pace = 1")
    talk(page, "One?", "First.")
    page.evaluate("plan.pace = 100")
    page.get_by_role("button", name="choose another model").click()
    page.get_by_role("button", name="Start the built-in model").click()
    page.get_by_role("progressbar").wait_for()
    page.go_back()
    page.get_by_role("log").get_by_text("First.").wait_for()
    page.evaluate("plan.pace = 1")
    page.get_by_role("button", name="Load Built-in model").click()
    talk(page, "Two?", "Second.")
    reads(page, "One?", "First.", "Two?", "Second.")


# What a tab tells the others comes late, as from one that is busy.
LATE = """const post = BroadcastChannel.prototype.postMessage;
BroadcastChannel.prototype.postMessage = function (data) { setTimeout(() => post.call(this, data), plan.newsMs ?? 0); };"""


def test_two_tabs_write_over_nothing(open_page):
    page = open_page(init=LATE)
    load(page)
    talk(page, "One?", "First.")
    other = another_tab(page)
    other.get_by_role("button", name="Load Built-in model").click()
    other.get_by_role("log").get_by_text("First.").wait_for()
    other.get_by_role("button", name="Built-in model: choose another").wait_for()
    # At the same time, in the same place: two branches.
    page.evaluate("plan.newsMs = 3000")
    for tab, word in ((page, "left"), (other, "right")):
        tab.evaluate("(word) => { plan.pace = 40; plan.answer = word + ' ' + word + ' ' + word }", word)
        ask(tab, f"Ask {word}")
    for tab in (page, other):
        until(tab, "document.querySelectorAll('article:not([aria-busy])').length === 4")
    page.evaluate("plan.newsMs = 0")
    # Whoever comes while an answer is written sees it grow, and is not told that it was cut off.
    page.evaluate("plan.pace = 30; plan.answer = 'on '.repeat(150)")
    ask(page, "Last")
    page.get_by_text("on on on").wait_for()
    fourth = another_tab(page)
    fourth.get_by_text("Another tab is writing this answer.").wait_for()
    page.get_by_role("button", name="Stop").click()
    fourth.get_by_text("Stopped.", exact=True).wait_for()
    fourth.close()
    third = another_tab(page)
    third.get_by_role("log").get_by_text("First.").wait_for()
    third.get_by_text(" / 2").wait_for()
    later = said(third)[2:4]
    third.locator(".branches button:enabled").click()
    found = sorted([later, said(third)[2:4]])
    assert found == [["Ask left", "left left left"], ["Ask right", "right right right"]]
    # A conversation that one tab deletes leaves the other.
    third.get_by_role("button", name="Options for").click()
    third.get_by_role("button", name="Delete").click()
    until(page, "document.querySelectorAll('.chat-list a').length === 0")
    page.locator(".welcome").wait_for()


def test_questions_and_answers_have_branches(open_page):
    page = open_page()
    load(page)
    talk(page, "One?", "First.")
    talk(page, "Two?", "Second.")
    page.evaluate("plan.answer = 'Another.'")
    page.get_by_role("button", name="Answer again").last.click()
    page.get_by_role("log").get_by_text("Another.").wait_for()
    assert page.evaluate("calls.bodies.at(-1).messages.map((m) => m.content)") == ["One?", "First.", "Two?"]
    page.evaluate("plan.answer = 'Anew.'")
    page.get_by_role("button", name="Edit the message").first.click()
    page.get_by_role("textbox", name="The message, edited").fill("Eins?")
    page.keyboard.press("Enter")
    page.get_by_role("log").get_by_text("Anew.").wait_for()
    finished(page)
    reads(page, "Eins?", "Anew.")
    assert page.evaluate("calls.bodies.at(-1).messages.map((m) => m.content)") == ["Eins?"]
    page.get_by_role("button", name="Previous branch").click()
    reads(page, "One?", "First.", "Two?", "Another.")
    page.get_by_role("button", name="Previous branch").last.click()
    reads(page, "One?", "First.", "Two?", "Second.")
    until(
        page,
        f"({KEPT})().then(({{ heads, messages }}) => messages.find(({{ id }}) => id === heads[0].leaf).content === 'Second.')",
    )
    page.reload()
    page.get_by_role("log").get_by_text("Second.").wait_for()
    reads(page, "One?", "First.", "Two?", "Second.")
    # An answer that a person edits is what the model is shown.
    page.get_by_role("button", name="Edit the answer").last.click()
    page.get_by_role("textbox", name="The answer, edited").fill("Mended.")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("log").get_by_text("Edited by hand.").wait_for()
    page.get_by_role("button", name="Load Built-in model").click()
    talk(page, "Three?", "Third.")
    assert page.evaluate("calls.bodies.at(-1).messages.map((m) => m.content)") == [
        "One?",
        "First.",
        "Two?",
        "Mended.",
        "Three?",
    ]


def test_an_answer_that_fails_leaves_the_one_before(open_page):
    page = open_page()
    load(page)
    talk(page, "One?", "First.")
    page.evaluate("plan.chatError = ['DeviceError', 'The adapter reports an error.', {}]")
    page.get_by_role("button", name="Answer again").click()
    page.get_by_role("alert").filter(has=page.get_by_role("heading")).wait_for()
    reads(page, "One?", "First.")
    page.evaluate("plan.chatError = ['DeviceError', 'The adapter reports an error.', {}]")
    ask(page, "Two?")
    page.get_by_role("button", name="Answer this").wait_for()
    page.reload()
    page.get_by_role("log").get_by_text("Two?").wait_for()
    reads(page, "One?", "First.", "Two?")


def test_a_stopped_answer_goes_on_where_it_was(open_page):
    page = open_page({"pace": 20, "reasoning": "So.", "answer": "word " * 400})
    load(page)
    ask(page, "Go on")
    page.get_by_text("word word").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("log").get_by_text("Stopped.", exact=True).wait_for()
    before = said(page)[1]
    page.evaluate("plan.answer = ' It is over.'; plan.reasoning = ''")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("log").get_by_text("It is over.").wait_for()
    assert finished(page) == f"{before.rstrip()} It is over."
    body = page.evaluate("calls.bodies[1]")
    assert body["messages"][-1] == {"role": "assistant", "content": before.rstrip(), "reasoning_content": "So."}
    expect(page.get_by_role("button", name="Continue")).to_have_count(0)


def test_settings_are_the_conversations_own(open_page):
    page = open_page({"sampling": {"temperature": 0.6, "top_p": 0.95}})
    page.get_by_role("textbox", name="Or load one").fill("example.org/m.gguf")
    page.keyboard.press("Enter")
    page.locator(".welcome").wait_for()
    settings(page)
    field = page.get_by_role("spinbutton", name="Top p")
    assert (field.input_value(), field.get_attribute("placeholder")) == ("", "0.95")
    wanted = {"top_k": 40, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.1, "frequency_penalty": 0.2}
    wanted |= {"presence_penalty": -0.5, "max_tokens": 7, "seed": 42}
    names = dict(
        zip(wanted, ["Top k", "Top p", "Min p", "Repetition", "Frequency", "Presence", "Longest", "Seed"], strict=True)
    )
    for key, value in wanted.items():
        page.get_by_role("spinbutton", name=names[key]).fill(str(value))
    page.get_by_role("textbox", name="Stop at").fill("END\n\\nUser:")
    page.get_by_role("combobox", name="When the context is full").select_option("drop_oldest")
    page.get_by_role("spinbutton", name="Temperature").fill("3")
    page.get_by_text("This must be a number from 0 to 2.").wait_for()
    page.get_by_role("spinbutton", name="Temperature").fill("")
    page.keyboard.press("Escape")
    talk(page, "One?", "First.")
    body = page.evaluate("calls.bodies[0]")
    assert {key: body.get(key) for key in wanted} == wanted
    assert body["stop"] == ["END", "\nUser:"] and body["context_overflow"] == "drop_oldest"
    assert "temperature" not in body  # the model's makers know better
    page.get_by_role("button", name="New chat").click()
    settings(page)
    page.get_by_role("button", name="Leave all of these to the model").click()
    page.get_by_role("textbox", name="System prompt").fill("Be brief.")
    page.keyboard.press("Escape")
    talk(page, "Two?", "Second.")
    assert "top_k" not in page.evaluate("calls.bodies[1]")
    page.reload()
    chosen(page, "One?")
    settings(page)
    expect(page.get_by_role("spinbutton", name="Top k")).to_have_value("40")
    expect(page.get_by_role("textbox", name="System prompt")).to_have_value("")


def test_a_longer_context_is_loaded_for_a_conversation(open_page):
    page = open_page()
    load(page)
    talk(page, "One?", "First.")
    settings(page)
    page.get_by_role("spinbutton", name="Context length").last.fill("8192")
    page.get_by_role("button", name="Load the model again with it").click()
    page.get_by_role("button", name="Built-in model: choose another").wait_for()
    assert [made.get("contextLength") for made in page.evaluate("calls.loads")] == [None, 8192]
    reads(page, "One?", "First.")


def test_presets_are_kept_chosen_changed_and_deleted(open_page):
    page = open_page()
    load(page)
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("textbox", name="System prompt").fill("Be a pirate.")
    page.get_by_role("button", name="Save as a preset").click()
    page.get_by_role("textbox", name="Name of the preset").fill("Pirate")
    page.keyboard.press("Enter")
    preset = page.get_by_role("combobox", name="Preset")
    until(page, "document.querySelector('.sheet select').selectedOptions[0].text === 'Pirate'")
    preset.select_option("none")
    page.get_by_role("textbox", name="System prompt").fill("")
    preset.select_option("Pirate")
    expect(page.get_by_role("textbox", name="System prompt")).to_have_value("Be a pirate.")
    page.get_by_role("textbox", name="System prompt").fill("Be a polite pirate.")
    page.get_by_role("button", name="Save the changes").click()
    expect(page.get_by_role("button", name="Save the changes")).to_be_hidden()  # they are kept
    page.reload()
    load(page)
    page.get_by_text("Be a polite pirate.").wait_for()  # the next chat begins with it, and says so
    talk(page, "One?", "Arr.")
    assert page.evaluate("calls.bodies[0].messages[0]") == {"role": "system", "content": "Be a polite pirate."}
    page.get_by_role("button", name="Settings").click()
    until(page, "document.querySelector('.sheet select').selectedOptions[0].text === 'Pirate'")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    until(page, "document.querySelectorAll('.sheet select')[0].options.length === 1")
    expect(page.get_by_role("textbox", name="System prompt")).to_have_value("Be a polite pirate.")


def test_conversations_are_found_renamed_deleted_and_brought_back(open_page):
    page = open_page()
    load(page)
    for question, answer in (("Where is it?", "In the Café at noon."), ("Who is it?", "A gardener.")):
        page.get_by_role("button", name="New chat").click()
        talk(page, question, answer)
    search = page.get_by_role("searchbox", name="Search conversations")
    search.fill("cafe NOON")
    until(page, "document.querySelectorAll('.chat-list a').length === 1")
    is_listed(page, "Where is it?")
    expect(page.locator(".chat-list small")).to_contain_text("Café")
    search.fill("unicorn")
    page.get_by_text("Nothing was found.").wait_for()
    search.press("Escape")
    until(page, "document.querySelectorAll('.chat-list a').length === 2")
    page.get_by_role("button", name="Options for Who is it?").click()
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("textbox", name="New name").fill("The gardener")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="The gardener").wait_for()
    until(page, "document.title.startsWith('The gardener')")
    talk(page, "And now?", "Still he.")
    is_listed(page, "The gardener", "Where is it?")  # a person's name stays
    before = page.evaluate(KEPT)
    page.get_by_role("button", name="Options for The gardener").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("“The gardener” was deleted.").wait_for()
    assert [head["title"] for head in page.evaluate(KEPT)["heads"]] == ["Where is it?"]
    page.locator(".welcome").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("log").get_by_text("Still he.").wait_for()
    assert page.evaluate(KEPT) == before


def saved(page: Any, press: Any) -> Path:
    with page.expect_download() as download:
        press()
    return Path(download.value.path())


def test_export_and_import_lose_nothing(open_page, tmp_path):
    page = open_page({"reasoning": "Hm.\nWell."})
    load(page)
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("textbox", name="System prompt").fill("Be brief.")
    page.keyboard.press("Escape")
    talk(page, "One ✂ 🙂?", "First: *so*.".replace("*", ""))
    page.get_by_role("button", name="Answer again").click()
    finished(page)
    page.get_by_role("button", name="New chat").click()
    talk(page, "Two?", "Second.")
    before = page.evaluate(KEPT)

    def choose(name: str) -> None:
        page.get_by_role("button", name="All conversations").click()
        page.get_by_role("button", name=name).click()

    everything = saved(page, lambda: choose("Export everything"))
    text = json.loads(everything.read_text(encoding="utf-8"))
    assert len(text["conversations"]) == 2 and len(text["conversations"][1]["messages"]) == 3

    def bring(*files: Path) -> str:
        page.locator("input[type=file][accept*=json]").set_input_files(list(files))
        shown = page.locator(".toast span")
        shown.wait_for()
        told = shown.inner_text()
        page.get_by_role("button", name="Close", exact=True).click()
        return told

    assert bring(everything) == "0 conversations were imported. 2 were here already."
    assert page.evaluate(KEPT) == before
    for name in ("Two?", "One ✂ 🙂?"):
        page.get_by_role("button", name=f"Options for {name}").click()
        page.get_by_role("button", name="Delete").click()
        page.get_by_text(f"“{name}” was deleted").wait_for()
    page.get_by_role("button", name="Close", exact=True).click()
    assert page.evaluate(KEPT)["messages"] == []
    assert bring(everything) == "2 conversations were imported."
    assert page.evaluate(KEPT) == before
    # What is here and is not the same stays beside it.
    text["conversations"][0]["title"] = "Another"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(text), encoding="utf-8")
    bring(other)
    titles = page.locator(".chat-list a > span")
    expect(titles).to_have_count(3)
    assert sorted(titles.all_inner_texts()) == ["Another", "One ✂ 🙂?", "Two?"]
    # Files that are none of these say so, and change nothing.
    kept = page.evaluate(KEPT)
    broken = json.loads(json.dumps(text))
    broken["conversations"][0]["messages"][1]["thought"] = {"a": 1}
    text["conversations"][0]["messages"][0]["parent"] = "nobody"
    for name, content in (
        ("holiday.json", "JPEG"),
        ("other.json", '{"a": 1}'),
        ("tree.json", json.dumps(text)),
        ("thought.json", json.dumps(broken)),
        ("newer.json", json.dumps({**text, "version": 99})),
    ):
        wrong = tmp_path / name
        wrong.write_text(content, encoding="utf-8")
        assert bring(wrong).startswith(f"{name} was not imported.")
    assert page.evaluate(KEPT) == kept
    chosen(page, "One ✂ 🙂?")
    page.get_by_role("button", name="Options for One").click()
    markdown = saved(page, lambda: page.get_by_role("button", name="Export as Markdown").click()).read_text(encoding="utf-8")
    assert markdown.startswith("# One ✂ 🙂?\n") and "> Be brief." in markdown
    assert "## You\n\nOne ✂ 🙂?\n\n## Built-in model\n\n> Hm.\n> Well.\n\nFirst: so." in markdown
    assert markdown.count("First: so.") == 1  # the branch that is shown


def test_another_model_goes_on_and_says_so(open_page):
    page = open_page({"models": [MODEL]})
    page.get_by_role("button", name="Load m.gguf").click()
    page.locator(".welcome").wait_for()
    talk(page, "One?", "First.")
    page.get_by_role("button", name="choose another model").click()
    load(page)
    page.get_by_text("So far this was answered by Llama").wait_for()
    talk(page, "Two?", "Second.")
    page.get_by_text("So far this was answered").wait_for(state="detached")
    assert page.locator("article.answer .stats").first.inner_text().startswith("Llama-3.2-1B")
    page.get_by_role("button", name="New chat").click()
    page.reload()
    chosen(page, "One?")
    page.get_by_role("button", name="Load Built-in model").wait_for()
    page.go_back()


def test_without_storage_the_page_chats_and_says_that_it_keeps_nothing(open_page):
    page = open_page(init="IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError') }")
    load(page)
    talk(page, "One?", "First.")
    talk(page, "Two?", "Second.")
    reads(page, "One?", "First.", "Two?", "Second.")
    page.get_by_text("This window keeps no conversations").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_among_conversations(open_page, scheme):
    page = open_page(color_scheme=scheme, bypass_csp=True, reduced_motion="reduce", viewport={"width": 1200, "height": 800})
    load(page)
    talk(page, "One?", "First.")
    page.get_by_role("button", name="Answer again").click()
    page.get_by_text("2 / 2").wait_for()
    page.get_by_role("button", name="Edit the message").click()
    page.get_by_role("button", name="Options for").click()
    findings = axe_findings(page)
    page.get_by_role("button", name="Rename").click()
    findings += axe_findings(page)
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("button", name="Save as a preset").click()
    findings += axe_findings(page)
    page.reload()
    page.get_by_role("button", name="Load Built-in model").wait_for()
    findings += axe_findings(page)
    page.get_by_role("button", name="Options for").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").wait_for()
    findings += axe_findings(page)
    assert not findings, "\n".join(findings)


def test_on_a_phone_by_touch_and_by_keyboard(open_page):
    page = open_page(viewport={"width": 390, "height": 780}, has_touch=True)
    load(page)
    page.get_by_role("button", name="Built-in model: choose another").wait_for()
    talk(page, "One?", "First.")
    page.get_by_role("button", name="Answer again").click()
    page.get_by_text("2 / 2").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.get_by_role("button", name="New chat").click()
    page.locator(".welcome").wait_for()
    page.get_by_role("button", name="Show conversations").click()
    page.get_by_role("link", name="One?").click()
    page.get_by_role("log").get_by_text("First.").wait_for()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("Control+k")
    until(page, "document.activeElement.type === 'search'")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("Control+Shift+O")
    page.locator(".welcome").wait_for()
    page.get_by_role("button", name="Settings").click()
    assert page.evaluate("(d => d.scrollWidth - d.clientWidth)(document.querySelector('.sheet'))") <= 0


def test_by_keyboard_through_a_conversation(open_page):
    page = open_page(viewport={"width": 1200, "height": 800})
    load(page)
    talk(page, "One?", "First.")
    page.keyboard.press("ArrowUp")
    until(page, "document.activeElement.getAttribute('aria-label') === 'The message, edited'")
    page.keyboard.press("Escape")
    until(page, "document.activeElement.getAttribute('aria-label') === 'Edit the message'")
    page.keyboard.press("Control+Shift+S")
    expect(page.get_by_role("navigation")).to_be_hidden()
    page.keyboard.press("Control+k")  # the list is there again, for the search
    until(page, "document.activeElement.type === 'search'")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    until(page, "document.activeElement.textContent === 'Export as Markdown'")
    page.keyboard.press("Escape")
    until(page, "document.activeElement.getAttribute('aria-label') === 'Options for One?'")
