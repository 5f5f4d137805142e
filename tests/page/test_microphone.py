"""The microphone: there where a model to hear it was chosen; what is said becomes text in the field, and is not sent.

Judges: the calls that the stand-in engine got, the browser, axe-core. The recorder is a stand-in too."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.page.test_page import axe_findings, load, settings, until

pytestmark = pytest.mark.browser

RECORDER = """
globalThis.tracks = [];
Object.defineProperty(navigator, "mediaDevices", { value: {
  async getUserMedia() {
    if (globalThis.plan.noMicrophone) throw new DOMException("no", "NotAllowedError");
    const track = { isStopped: false, stop() { this.isStopped = true; } };
    globalThis.tracks.push(track);
    return { getTracks: () => [track] };
  },
} });
globalThis.MediaRecorder = class extends EventTarget {
  mimeType = "audio/webm";
  start() {}
  stop() {
    this.dispatchEvent(Object.assign(new Event("dataavailable"), { data: new Blob(["12345"]) }));
    this.dispatchEvent(new Event("stop"));
  }
};
"""


def choose(page: Any, name: str) -> None:
    settings(page)
    field = page.get_by_label("Speech model for the microphone")
    field.fill(name)
    field.press("Tab")
    page.keyboard.press("Escape")


def test_what_is_said_stands_in_the_field(open_page: Any) -> None:
    page = open_page({"said": "  and good night. "}, init=RECORDER, bypass_csp=True)
    load(page)
    speak = page.get_by_role("button", name="Speak")
    expect(speak).to_be_hidden()  # no model was chosen
    choose(page, "openai/whisper-tiny")
    page.get_by_role("textbox", name="Message").fill("Good day")
    speak.click()
    page.get_by_role("button", name="Stop recording").click()
    until(page, "document.querySelector('.composer textarea').value === 'Good day and good night.'")
    assert page.evaluate("calls.heard") == {"size": 5, "model": page.evaluate("calls.heard.model")}
    assert "openai/whisper-tiny" in page.evaluate("JSON.stringify(calls.loads.at(-1))")
    assert page.evaluate("calls.bodies") == [] and page.evaluate("tracks.every((track) => track.isStopped)")
    assert axe_findings(page) == []
    loads = page.evaluate("calls.loads.length")
    speak.click()
    page.get_by_role("button", name="Stop recording").click()
    speak.wait_for()
    assert page.evaluate("calls.loads.length") == loads  # once
    choose(page, "")
    expect(speak).to_be_hidden()


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"noMicrophone": True}, "The microphone could not be used."),
        ({"said": ""}, "Nothing was heard."),
        ({"hearError": ["DoesNotFit", "no room", {}]}, "What was said could not be written down: no room"),
    ],
)
def test_what_goes_wrong_is_told(plan: dict[str, Any], words: str, open_page: Any) -> None:
    page = open_page(plan, init=RECORDER, bypass_csp=True)
    load(page)
    choose(page, "openai/whisper-tiny")
    page.get_by_role("button", name="Speak").click()
    if "noMicrophone" not in plan:
        page.get_by_role("button", name="Stop recording").click()
    until(page, f"[...document.querySelectorAll('[aria-live=polite]')].some((node) => node.textContent === {words!r})")
    assert page.get_by_role("textbox", name="Message").input_value() == ""
