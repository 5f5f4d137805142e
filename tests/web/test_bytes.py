"""What a visitor downloads of `fanlight serve`, as it is sent: before a model is chosen, for a first answer, and again."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fanlight.api.page import page as page_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BEFORE_A_MODEL = 300_000
FIRST_ANSWER = 28_000_000


class Counted:
    """An app, and the bytes of the bodies that it sends, by path."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.sent, self.times = app, Counter[str](), Counter[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def count(message: Message) -> None:
            if message["type"] == "http.response.body":
                self.sent[scope["path"]] += len(message.get("body", b""))
            await send(message)

        if scope["type"] == "http":
            self.times[scope["path"]] += 1
        await self.app(scope, receive, count)


def served(assets: Path) -> Starlette:
    return Starlette(routes=[Mount("/", page_of(assets))])


@contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def settled(counted: Counted) -> int:
    """All that was sent, once nothing was for a while: the service worker fetches after the page."""
    before = -1
    while (now := counted.sent.total()) != before:
        before = now
        time.sleep(2)
    return now


def ask(chromium: Any, url: str) -> str:
    """A visit in a private window: the page, the built-in model, one answer."""
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.goto(url)
        page.wait_for_load_state("networkidle")
        return page.evaluate(
            """async () => {
                const { load } = await import("/fanlight/index.js");
                const engine = await load("built-in");
                const messages = [{ role: "user", content: "What is 3 + 4?" }];
                const answer = await engine.chat.completions.create({ messages, temperature: 0, max_tokens: 8 });
                await engine.close();
                return answer.choices[0].message.content;
            }"""
        )
    finally:
        context.close()


def test_before_a_model_is_chosen_little_is_fetched(chromium, assets) -> None:
    counted = Counted(served(assets))
    with running(counted) as url:
        page = chromium.new_page()
        page.goto(url)
        page.wait_for_load_state("networkidle")
        sent = settled(counted)
        page.close()
    assert sent <= BEFORE_A_MODEL, counted.sent.most_common(8)


def test_a_first_answer_of_the_built_in_model_and_another_visit(chromium, assets) -> None:
    counted = Counted(served(assets))
    with running(counted) as url:
        assert "7" in ask(chromium, url)
        first = settled(counted)
        twice = [path for path, times in counted.times.items() if times > 1 and counted.sent[path] > 100_000]
        counted.sent.clear()
        assert "7" in ask(chromium, url)
        again = settled(counted)
    assert first <= FIRST_ANSWER, counted.sent.most_common(12)
    assert [path for path in twice if not path.endswith(".gguf")] == []  # the model comes in ranges
    assert again <= first
