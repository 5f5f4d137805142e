"""The page's languages: chosen from the browser's, changed, kept, and English where one does not arrive."""

import pytest

pytestmark = pytest.mark.browser

ENGLISH = "A language model, on your own device"
GERMAN = "Ein Sprachmodell auf Ihrem eigenen Gerät"
MODELS = [
    {
        "name": "m.gguf",
        "url": "https://x/m.gguf",
        "complete": False,
        "storedBytes": 2_340_000_000,
        "sizeBytes": 4_000_000_000,
        "savedAt": "2026-01-01",
    }
]


def test_the_browsers_language_is_spoken_and_numbers_are_its(open_page):
    page = open_page({"models": MODELS}, locale="de-AT")
    page.get_by_role("heading", name=GERMAN).wait_for()
    assert page.evaluate("document.documentElement.lang") == "de"
    assert "2,3\u00a0GB von 4,0\u00a0GB" in page.locator(".stored").inner_text()
    page.get_by_role("button", name="Das eingebaute Modell starten").click()
    page.locator(".welcome").wait_for()
    page.goto(page.url.replace("index", "bench"))
    page.get_by_role("heading", name="Wie schnell ist ein Modell").wait_for()


def test_another_language_is_chosen_and_kept(open_page):
    page = open_page(locale="pl-PL")
    page.get_by_role("heading", name=ENGLISH).wait_for()
    assert page.evaluate("document.documentElement.lang") == "en"
    page.get_by_role("combobox", name="Language").select_option("Deutsch")
    page.get_by_role("heading", name=GERMAN).wait_for()
    page.reload()
    page.get_by_role("heading", name=GERMAN).wait_for()
    assert page.get_by_role("combobox", name="Sprache").input_value() == "de"


def test_english_where_the_words_do_not_arrive(open_page):
    page = open_page(locale="de-DE")
    page.get_by_role("heading", name=GERMAN).wait_for()
    page.route("**/de-*.js", lambda route: route.abort())
    page.reload()
    page.get_by_role("heading", name=ENGLISH).wait_for()
    assert page.evaluate("document.documentElement.lang") == "en"
