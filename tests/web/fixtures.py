"""Fixtures for tests in a real browser: `assets` (built), `site` (a server and its files), `page` (Chromium on SwiftShader)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.browser import CHROMIUM_FLAGS, Served, serve

ROOT = Path(__file__).resolve().parent.parent.parent
ASSETS = ROOT / "fanlight" / "assets"
CHROMIUM = "/usr/bin/chromium"


class Site:
    """The test server: its address, without a slash at the end, and what it answers."""

    def __init__(self, url: str, served: Served) -> None:
        self.url, self.served = url, served


@pytest.fixture(scope="session")
def assets() -> Path:
    if not (ASSETS / "fanlight" / "index.js").is_file():
        pytest.fail("the web assets are not built. Try: python scripts/build_web.py")
    return ASSETS


@pytest.fixture
def site(assets: Path) -> Iterator[Site]:
    """Serves the assets at /, the test pages at /pages/; `site.served.files` adds more."""
    served = Served({"/pages/": Path(__file__).parent / "pages", "/": assets})
    with serve(served) as url:
        yield Site(url, served)


@pytest.fixture(scope="module")  # its event loop lives as long, and other tests want their own
def chromium() -> Iterator[object]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, site: Site) -> Iterator[object]:
    """A blank page of the site, in a context of its own, so with an empty OPFS. CSP violations and errors fail the test."""
    context = chromium.new_context()
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(f"page error: {error}"))
    opened.on("console", lambda m: problems.append(m.text) if "Content Security Policy" in m.text else None)
    opened.goto(f"{site.url}/pages/blank.html")
    yield opened
    context.close()
    assert not problems, problems
