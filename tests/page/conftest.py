"""The chat page, opened with a stand-in for the package."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
Open = Callable[..., Any]


@pytest.fixture
def open_page(chromium, site, assets) -> Iterator[Open]:
    """Opens the page with `plan` as stand_in.js has it, after `init`; other arguments are the browser context's."""
    site.served.files["/fanlight/index.js"] = (HERE / "stand_in.js").read_bytes()
    site.served.files["/fanlight/package.js"] = (assets / "fanlight" / "index.js").read_bytes()
    contexts, problems = [], []

    def open_it(plan: dict[str, Any] | None = None, init: str = "", **options: Any) -> Any:
        context = chromium.new_context(service_workers="block", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
        page.on("console", lambda m: problems.append(m.text) if "Content Security Policy" in m.text else None)
        page.add_init_script(f"globalThis.plan = {json.dumps(plan or {})}; {init}")
        page.goto(f"{site.url}/index.html")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not problems, problems
