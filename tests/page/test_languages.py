"""The page's languages: chosen from the browser's, changed, kept, and English where one does not arrive."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

WEB = Path(__file__).parents[2] / "web"

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
    expect(page.locator(".stored")).to_contain_text("2,3 GB von 4,0 GB")
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
    expect(page.get_by_role("combobox", name="Sprache")).to_have_value("de")


def test_english_where_the_words_do_not_arrive(open_page):
    page = open_page(locale="de-DE")
    page.get_by_role("heading", name=GERMAN).wait_for()
    page.route("**/de-*.js", lambda route: route.abort())
    page.reload()
    page.get_by_role("heading", name=ENGLISH).wait_for()
    assert page.evaluate("document.documentElement.lang") == "en"


CODES = {"de": "de", "es": "es", "fr": "fr", "ja": "ja", "ko": "ko", "pt": "pt", "zh": "zh-Hans"}


@pytest.mark.parametrize("code", CODES)
def test_every_view_in_every_language_fits_a_phone(open_page, code):
    page = open_page({"answer": "a | b\n--|--\n1 | 2"}, locale=code, viewport={"width": 390, "height": 760})
    overflow = "document.documentElement.scrollWidth - innerWidth"
    page.locator(".choose h1").wait_for()
    assert page.locator(".choose h1").inner_text() != ENGLISH
    assert page.evaluate("document.documentElement.lang") == CODES[code]
    assert page.evaluate(overflow) <= 0
    page.locator(".featured .primary").first.click()
    page.locator(".welcome").wait_for()
    page.locator(".composer textarea").fill("?")
    page.keyboard.press("Enter")
    page.locator("article.answer:not([aria-busy]) .stats").wait_for()
    assert page.evaluate(overflow) <= 0
    assert page.locator("[aria-label=Table], [aria-label='Copy the answer']").count() == 0


LEAVES = """
import * as en from "./demo/strings.ts";
const leaves = (value, path = "") =>
  typeof value === "function" ? [[path, "()"]]
  : typeof value === "string" ? [[path, value]]
  : Array.isArray(value) ? [[path, `#${value.length} ${JSON.stringify(value)}`]]
  : Object.entries(value).flatMap(([name, part]) => leaves(part, path ? `${path}.${name}` : name));
const isSentences = ([, part]) => typeof part === "object";
console.log(JSON.stringify({
  en: leaves(Object.fromEntries(Object.entries(en).filter(isSentences))),
%s
}));
"""
# What is the same in one of the languages, too.
SAME = r"app\.name|memory\.parts\.arena|chat\.(log|suggestionsLabel|suggestionsBuiltIn)|settings\.numbers\..*"
SAME += r"|.*[pP]laceholder|.*\.(chat|heading|json|branches)"


def test_no_sentence_is_missing_or_left_in_english():
    imports = "".join(f'import {{ words as {code} }} from "./demo/words/{code}.ts";\n' for code in CODES)
    source = imports + LEAVES % "".join(f"  {code}: leaves({code}),\n" for code in CODES)
    bundler = ["node_modules/.bin/esbuild", "--bundle", "--format=esm", "--platform=node", "--loader=ts"]
    bundle = subprocess.run(bundler, cwd=WEB, input=source, text=True, capture_output=True, check=True).stdout
    run = subprocess.run(["node", "--input-type=module", "-"], input=bundle, text=True, capture_output=True, check=True)
    found = {code: dict(leaves) for code, leaves in json.loads(run.stdout).items()}
    english = found.pop("en")
    for code, words in found.items():
        assert set(words) == set(english), (code, set(words) ^ set(english))
        left = [key for key, text in words.items() if len(text) > 9 and text == english[key] and not re.fullmatch(SAME, key)]
        assert not left, (code, left)
        lists = [key for key, text in english.items() if text.startswith("#")]  # their lengths stand first
        assert [words[key].split()[0] for key in lists] == [english[key].split()[0] for key in lists], code
