"""The first view with a stand-in for the package: what is offered on which device, the list, the hub, one's own list of models.

The devices are made up; what fits them is Python's word (fanlight/formats/footprint.py)."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from fanlight.formats.catalogue import catalogue
from tests.formats.test_catalogue import ENTRY, NUMBERS, text_of
from tests.page.conftest import Open
from tests.page.test_documents import LONG, give, read, sent
from tests.page.test_page import ask, axe_findings, finished, load, stands, until
from tests.web.hub import TOKEN, Hub, Repo, serve_hub

pytestmark = pytest.mark.browser

DEVICE = """([vendor, architecture, gigabytes]) => {
  Object.defineProperty(navigator, "deviceMemory", { get: () => gigabytes });
  const adapter = { info: { vendor, architecture }, limits: { maxBufferSize: 4e9 } };
  Object.defineProperty(navigator, "gpu", { value: { requestAdapter: async () => adapter }, configurable: true });
  navigator.storage.estimate = async () => ({ quota: 20e9, usage: 0 });
}"""
LAPTOP = ("apple", "metal-3", 8)
BY_TITLE = {model.title: model for model in catalogue()}


@pytest.fixture
def on(open_page: Open) -> Any:
    """The first view on a device."""

    def open_it(
        device: tuple[str, str, float] = LAPTOP, plan: dict[str, Any] | None = None, query: str = "", **options: Any
    ) -> Any:
        page = open_page(plan, **options)
        page.add_init_script(f"({DEVICE})({json.dumps(device)})")
        page.goto(page.url + query)
        page.get_by_role("button", name="Start the built-in model").wait_for()
        return page

    return open_it


def first(page: Any) -> str:
    page.locator(".featured .badge").first.wait_for()
    return page.locator(".featured h2").inner_text()


def titles(page: Any, count: int) -> list[str]:
    """Of the models that are shown, once they are so many: the list comes after the page."""
    shown = page.locator(".catalogue > .entries h3")
    expect(shown).to_have_count(count, timeout=10_000)
    return shown.all_inner_texts()


def is_listed(page: Any, *names: str) -> None:
    stands(page.locator(".catalogue > .entries h3"), [*names])


def loaded(page: Any) -> Any:
    page.locator(".welcome").wait_for()
    return page.evaluate("calls.loads[0].model")


def needs(page: Any) -> dict[str, tuple[str, str]]:
    """Of each model shown its verdict and what it needs."""
    found = {}
    entries = page.locator(".catalogue > .entries > .entry")
    entries.locator(".badge").first.wait_for()
    for entry in entries.all():
        badge = entry.locator(".badge").first
        found[entry.locator("h3").inner_text()] = (badge.get_attribute("class").split()[-1], badge.inner_text())
    return found


def said(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def test_the_best_that_fits_is_offered_and_started(on):
    page = on()
    assert first(page) == "Qwen3 4B Instruct 2507"
    page.get_by_role("button", name="Start Qwen3 4B Instruct 2507 (2.5 GB)").click()
    assert loaded(page) == "unsloth/Qwen3-4B-Instruct-2507-GGUF:Q4_K_M"


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (("nvidia", "ampere", 32), "Llama 3.1 8B Instruct"),
        (("intel", "gen-12lp", 8), "Qwen2.5 1.5B Instruct"),
        (("qualcomm", "adreno-6xx", 2), "SmolLM2 360M Instruct"),
        (("google", "swiftshader", 4), "SmolLM2 135M Instruct"),
    ],
)
def test_another_device_is_offered_another_model(on, device, expected):
    assert first(on(device)) == expected


def test_what_fits_is_what_python_says(on):
    page = on(("nvidia", "ampere", 8))
    page.get_by_role("button", name="Show all").click()
    found = needs(page)
    assert set(found) == set(BY_TITLE)
    for title, (verdict, text) in found.items():
        total = BY_TITLE[title].footprint().total
        assert said(total) in text.replace("\u00a0", " "), (title, total, text)
        assert verdict == ("large" if total > 1.05 * 6e9 else "tight" if total > 0.8 * 6e9 else "fits"), title


def test_a_person_knows_better_how_much_memory_there_is(on):
    page = on()
    page.get_by_text("Options").click()
    memory = page.get_by_role("combobox", name="Memory of the graphics card")
    expect(memory.locator("option").first).to_contain_text("4.4 GB by our guess")
    memory.select_option("1\u00a0GB") if memory.locator("option", has_text="1\u00a0GB").count() else memory.select_option(
        "1000000000"
    )
    page.locator(".featured h2", has_text="SmolLM2 360M").wait_for()
    page.reload()
    assert first(page).startswith("SmolLM2 360M")  # it is remembered


def test_a_longer_context_needs_more(on):
    page = on()
    page.get_by_role("searchbox", name="Search models").fill("llama 3.2 3b instruct")
    page.get_by_role("heading", name="Llama 3.2 3B Instruct").wait_for()
    before = needs(page)["Llama 3.2 3B Instruct"]
    page.get_by_text("Options").click()
    page.get_by_role("spinbutton", name="Context length").fill("32768")
    page.keyboard.press("Tab")
    page.locator(".entry .badge.large").first.wait_for()
    assert before[0] == "fits" and said(BY_TITLE["Llama 3.2 3B Instruct"].footprint(32768).total) in needs(page)[
        "Llama 3.2 3B Instruct"
    ][1].replace("\u00a0", " ")


def test_an_embedding_model_of_the_list_is_used_for_documents(on):
    page = on(plan={"vectors": [["museum|exhibition", [1, 0, 0]]]}, bypass_csp=True)
    page.get_by_role("combobox", name="Kind").select_option("embeddings")
    use = {
        name: page.get_by_role("button", name=f"Use for documents: {name}") for name in ("BGE small v1.5", "all-MiniLM-L6-v2")
    }
    bge, minilm = use.values()
    for pressed in (minilm, bge):
        pressed.click()
        for one in (bge, minilm):
            expect(one).to_have_attribute("aria-pressed", str(one is pressed).lower())
    expect(page.locator(".catalogue")).to_contain_text("BGE small v1.5 finds the passages of long documents")
    assert not axe_findings(page)
    bge.click()  # once more: not any longer
    expect(bge).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("localStorage.getItem('fanlight-embedder')") is None
    bge.click()
    load(page)
    give(page, ("long.txt", "text/plain", LONG.encode()))
    read(page)
    ask(page, "When might an exhibition welcome visitors?")
    finished(page)
    assert "It opens at nine." in sent(page)
    assert page.evaluate("calls.loads.at(-1).model") == f"hf:{BY_TITLE['BGE small v1.5'].model}"
    assert page.evaluate("calls.embedded[0]").startswith("Represent this sentence for searching relevant passages: When might")
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_role("combobox", name="Embedding model").locator("option:checked")).to_have_text("BGE small v1.5")


def test_the_list_is_searched_narrowed_and_sorted(on):
    page = on()
    page.get_by_role("combobox", name="Kind").select_option("embeddings")
    embedders = {model.title for model in catalogue() if "embeddings" in model.capabilities}
    assert set(titles(page, len(embedders))) == embedders
    assert page.locator(".catalogue > .entries").get_by_role("button", name="Load").count() == 0  # not for chats
    page.get_by_role("combobox", name="Kind").select_option("all")
    page.get_by_role("combobox", name="Order").select_option("small")
    sizes = [BY_TITLE[title].footprint().file for title in titles(page, len(BY_TITLE))]
    assert sizes == sorted(sizes)
    page.get_by_role("searchbox", name="Search models").fill("ibm GRANITE 2b")
    is_listed(page, "Granite 3.3 2B Instruct")
    page.get_by_role("searchbox", name="Search models").fill("no such thing")
    page.get_by_text("No model of the list has these words").wait_for()


def measured(**changes: Any) -> str:
    kept = {
        "vendor": "nvidia",
        "architecture": "hopper",
        "stream": 3000,
        "tokensPerSecond": 5000,
        "weightBytes": 14e6,
        "layers": None,
    }
    return f"localStorage.setItem('fanlight-measure', JSON.stringify({json.dumps(kept | changes)}))"


def speed(page: Any, title: str) -> tuple[float, bool]:
    page.get_by_role("searchbox", name="Search models").fill(title)
    text = (
        page.locator(".entry", has=page.get_by_role("heading", name=title, exact=True))
        .locator(".badge", has_text="tokens/s")
        .inner_text()
    )
    return float(re.search(r"[\d.,]+", text)[0].replace(",", "")), "by your measurement" in text


def test_speeds_are_those_that_were_measured_on_such_a_card(on):
    """README: 1 414, 649 and 388 tokens/s of Llama's shapes with 4 bits, on a card that streams 3.0 TB/s."""
    page = on(("nvidia", "hopper", 32))
    page.evaluate(measured())
    page.reload()
    first(page)
    for title, known in (("Llama 3.2 1B Instruct", 1414), ("Llama 3.2 3B Instruct", 649), ("Llama 3.1 8B Instruct", 388)):
        found, is_measured = speed(page, title)
        assert is_measured and found == pytest.approx(known, rel=0.15), title


def test_a_large_models_measurement_is_scaled_by_bytes_and_belongs_to_its_card(on):
    page = on(("nvidia", "hopper", 32))
    weights = BY_TITLE["Llama 3.1 8B Instruct"].footprint().weights
    page.evaluate(measured(weightBytes=weights, tokensPerSecond=100))
    page.reload()
    first(page)
    assert speed(page, "Llama 3.1 8B Instruct") == (100, True)
    half = 100 * weights / BY_TITLE["Llama 3.2 3B Instruct"].footprint().weights
    assert speed(page, "Llama 3.2 3B Instruct")[0] == pytest.approx(half, rel=0.05)
    page.evaluate(measured(architecture="ampere"))
    page.reload()
    first(page)
    assert speed(page, "Llama 3.1 8B Instruct")[1] is False


OWN = text_of({**ENTRY, "title": "Support bot", "config": NUMBERS, "recommended": True})


def test_a_list_of_ones_own_by_the_address(on, site):
    site.served.files["/mine.json"] = OWN.encode()
    page = on(query="?catalogue=mine.json")
    assert first(page) == "Support bot"
    is_listed(page, "Support bot")
    page.get_by_role("button", name="Start Support bot").click()
    assert loaded(page) == "me/mine-GGUF:Q4_K_M"


def test_a_list_of_ones_own_by_its_field_and_what_is_wrong_with_it(on, site):
    site.served.files["/mine.json"] = OWN.encode()
    site.served.files["/wrong.json"] = text_of({**ENTRY, "licence": "MIT"}).encode()
    page = on()
    page.get_by_text("Options").click()
    field = page.get_by_role("textbox", name="Another list of models")
    for name, words in (("wrong.json", "Unknown field 'licence'"), ("none.json", "HTTP 404")):
        field.fill(f"{site.url}/{name}")
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text(words).wait_for()
        page.locator(".catalogue > .entries h3").nth(1).wait_for()  # the other list stays
    field.fill(f"{site.url}/mine.json")
    page.keyboard.press("Enter")
    page.get_by_text("A list from 127.0.0.1").wait_for()
    is_listed(page, "Support bot")
    assert "catalogue=" in page.url
    page.get_by_role("button", name="Fanlight's own list").click()
    page.get_by_role("button", name="Show all").wait_for()
    assert "catalogue=" not in page.url


@pytest.fixture
def hub():
    files = {"config.json": b"{}", "m-Q4_K_M.gguf": b"x" * 4000, "m-Q8_0.gguf": b"x" * 8000}
    split = {"big-Q4_0-00001-of-00002.gguf": b"x" * 10, "big-Q4_0-00002-of-00002.gguf": b"x" * 20}
    repos = {
        "owner/tiny-model": Repo(files, downloads=5),
        "owner/tiny-gated": Repo(files, gated=True, downloads=9, tags=("gguf", "license:gemma")),
        "owner/tiny-private": Repo(files, private=True),
        "owner/seeing": Repo({"m-Q4_K_M.gguf": b"x" * 4000, "mmproj-F16.gguf": b"x" * 2000}),
        "owner/tiny-split": Repo(split, tags=("gguf",)),
    }
    with serve_hub(Hub(repos)) as running:
        yield running


def test_the_hub_is_asked_only_when_told_and_its_files_can_be_loaded(on, hub):
    page = on(query=f"?hub={hub.url}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.startswith(hub.url) else None)
    page.get_by_role("searchbox", name="Search models").fill("tiny")
    page.wait_for_timeout(200)
    assert not asked
    page.get_by_role("button", name="Search Hugging Face").click()
    page.get_by_role("heading", name="3 models of Hugging Face for “tiny”").wait_for()
    facts = page.locator(".hub .entry").first.inner_text()
    assert "owner/tiny-gated" in facts and "gemma" in facts and "asks for consent" in facts
    until(page, "document.activeElement.textContent.startsWith('3 models')")
    page.get_by_role("button", name="Files of owner/tiny-model").click()
    page.get_by_role("heading", name="owner/tiny-model").wait_for()
    stands(page.locator(".hub .entry p:first-child"), ["m-Q4_K_M.gguf", "m-Q8_0.gguf"])
    expect(page.locator(".hub .entry").first).to_contain_text("4.0 kB")
    page.get_by_role("button", name="Load m-Q8_0.gguf").click()
    assert loaded(page) == "owner/tiny-model:m-Q8_0.gguf"


def test_a_repository_by_its_name_and_parts_of_one_model_count_as_one(on, hub):
    page = on(query=f"?hub={hub.url}")
    page.get_by_role("searchbox", name="Search models").fill("owner/tiny-split:Q4_0")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="owner/tiny-split").wait_for()
    stands(page.locator(".hub .entry p:first-child"), ["big-Q4_0-00001-of-00002.gguf"])
    assert "30 bytes" in page.locator(".hub .entry").inner_text()


def test_a_model_that_sees_comes_with_its_encoder(on, hub):
    page = on(query=f"?hub={hub.url}")
    page.get_by_role("searchbox", name="Search models").fill("owner/seeing")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="owner/seeing").wait_for()
    entry = page.locator(".hub .entry")
    assert entry.locator("p").first.inner_text() == "m-Q4_K_M.gguf + mmproj-F16.gguf"
    assert "6.0 kB" in entry.inner_text().replace("\u00a0", " ")
    entry.get_by_role("button").click()
    assert loaded(page) == "owner/seeing:m-Q4_K_M"


def test_a_private_repository_asks_for_a_token_which_is_kept_nowhere(on, hub):
    page = on(query=f"?hub={hub.url}")
    page.get_by_role("searchbox", name="Search models").fill("owner/tiny-private")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("no such repository").wait_for()
    page.get_by_label("Access token of Hugging Face").fill(TOKEN)
    page.get_by_role("button", name="Try with it").click()
    page.get_by_role("heading", name="owner/tiny-private").wait_for()
    assert TOKEN not in page.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage })")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_with_everything_open(on, hub, scheme, width):
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "bypass_csp": True}
    page = on(("nvidia", "ampere", 8), query=f"?hub={hub.url}", **options)
    page.get_by_role("button", name="Show all").click()
    page.get_by_text("Options").click()
    assert axe_findings(page) == []
    page.get_by_role("searchbox", name="Search models").fill("owner/tiny-gated")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="owner/tiny-gated").wait_for()
    assert axe_findings(page) == []
    page.get_by_role("searchbox", name="Search models").fill("owner/tiny-private")
    page.keyboard.press("Enter")
    page.get_by_label("Access token of Hugging Face").wait_for()
    assert axe_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
