"""The browser extension, loaded unpacked: its popup, opened as a page, asks what the offscreen document answers."""

import pytest

from tests.examples.asking import ANSWER, EXAMPLES, QUESTION, Asked
from tests.web.browser import CHROMIUM_FLAGS
from tests.web.fixtures import CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.minutes, pytest.mark.timeout(900)]


def test_the_popup_is_answered_by_the_offscreen_document(project, tmp_path):
    folder = project(EXAMPLES / "extension")
    playwright = pytest.importorskip("playwright.sync_api")
    loading = [f"--disable-extensions-except={folder}", f"--load-extension={folder}"]
    with playwright.sync_playwright() as running:
        context = running.chromium.launch_persistent_context(
            str(tmp_path / "profile"), executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, *loading], channel="chromium"
        )
        try:
            (worker,) = context.service_workers or [context.wait_for_event("serviceworker")]
            extension = worker.url.removesuffix("/background.js")
            page = Asked(context.new_page(), f"{extension}/popup.html")
            assert page.answer(question=QUESTION) == ANSWER
            assert page.problems == []
        finally:
            context.close()
