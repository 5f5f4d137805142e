"""The worker protocol of fanlight/webllm: either end may be @mlc-ai/web-llm's own, and nobody can tell.  No model is loaded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.browser import CHROMIUM_FLAGS, Served, serve
from tests.web.fixtures import CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
ORIGINAL = ROOT / "web" / "node_modules" / "@mlc-ai" / "web-llm" / "lib"
OURS, THEIRS = "/fanlight/webllm.js", "/original/index.js"
SERVICE_WORKER = b"""import { ServiceWorkerMLCEngineHandler } from "/fanlight/webllm.js";
new ServiceWorkerMLCEngineHandler();
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
"""


# As WebLLM Chat's: the handler is made late, and a message is the page's own.
CHAT_SERVICE_WORKER = b"""import { ServiceWorkerMLCEngineHandler } from "/fanlight/webllm.js";
let handler;
self.addEventListener("message", (event) => {
  handler ??= new ServiceWorkerMLCEngineHandler();
  const { kind, uuid } = event.data;
  if (kind !== "checkWebGPUAvilability") return;
  const asked = navigator.gpu?.requestAdapter() ?? Promise.resolve(null);
  asked.then((adapter) => event.source.postMessage({ kind: "return", uuid, content: Boolean(adapter) }));
});
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => {
  handler ??= new ServiceWorkerMLCEngineHandler();
  event.waitUntil(self.clients.claim());
});
"""


@pytest.fixture(scope="module")
def site(assets) -> Iterator[str]:
    if not ORIGINAL.is_dir():
        pytest.fail("web-llm is not installed. Try: npm ci, in web/")
    served = Served({"/pages/": Path(__file__).parent / "pages", "/original/": ORIGINAL, "/": assets})
    served.files |= {"/sw.js": SERVICE_WORKER, "/chat/sw.js": CHAT_SERVICE_WORKER}
    served.files["/chat/index.html"] = b"<!doctype html><title>Chat</title>"
    with serve(served) as url:
        yield url


@pytest.fixture(scope="module")
def context(site) -> Iterator[object]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser.new_context()
        browser.close()


@pytest.fixture
def page(context, site) -> Iterator[object]:
    opened = context.new_page()
    opened.goto(f"{site}/pages/blank.html")
    yield opened
    opened.close()


def call(page, name: str, given: object = None):
    return page.evaluate("async ([name, given]) => (await import('/pages/webllm_ends.js'))[name](given)", [name, given])


# --- a worker --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def original(context, site) -> dict[str, object]:
    """What both of WebLLM's own ends say."""
    page = context.new_page()
    page.goto(f"{site}/pages/blank.html")
    found = call(page, "talk", [THEIRS, THEIRS])
    page.close()
    return found


@pytest.mark.parametrize(
    ("client", "handler"), [(OURS, OURS), (OURS, THEIRS), (THEIRS, OURS)], ids=["both", "client", "handler"]
)
def test_either_end_may_be_the_original(client, handler, page, original) -> None:
    found = call(page, "talk", [client, handler])
    for name, expected in original.items():
        assert found[name] == expected, name
    assert found["streamed"] == ["a", "b", "c"] and ["ended", "chat.completion"] in found["calls"]


def test_what_is_exported(page) -> None:
    names = call(page, "whatIsExported")
    assert names[0] == names[1] and len(names[0]) == 35
    assert names[2] == names[3] and len(names[2]["prebuiltAppConfig"]["model_list"]) == 165


def test_integrity(page) -> None:
    """Verdicts are those of the original."""
    ours, theirs = call(page, "integrity")
    assert ours == theirs and ours[1] == "right" and ours[2][:2] == ["IntegrityError", True]


def test_checks_of_requests_are_the_originals(page) -> None:
    ours, theirs = call(page, "checks")
    assert [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]] == []
    assert len(set(ours)) > 12


# --- a service worker ------------------------------------------------------------------------------------------------


def test_pages_share_an_engine_through_a_service_worker(context, site) -> None:
    """It lives in one of them; when that is closed, in another one."""
    first, second = (context.new_page() for _ in range(2))
    for page in (first, second):
        page.goto(f"{site}/pages/blank.html")
        page.on("console", lambda message: print(message.text))
    assert call(first, "join") == call(second, "join") == ["google", "ModelNotFoundError", True, True]
    first.close()
    assert second.evaluate("engine.getGPUVendor()") == "google"
    second.close()


def test_webllm_chats_service_worker(page, site) -> None:
    page.goto(f"{site}/chat/index.html")
    assert call(page, "chatsServiceWorker") == [True, "google", "ModelNotFoundError", True, True]


def test_the_package_may_be_imported_where_nothing_is(page) -> None:
    """In a service worker (above), and without WebGPU."""
    found = call(page, "thePackageMayBeImportedWhereNothingIs")
    assert found == ["WebGPUNotAvailableError", "NonWorkerEnvironmentError"]


# --- an extension ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_service_worker", [False, True], ids=["background page", "service worker"])
def test_an_extensions_port(is_service_worker, page) -> None:
    assert call(page, "extension", is_service_worker) == ["google", "ModelNotFoundError", True]
