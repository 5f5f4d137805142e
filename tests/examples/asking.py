"""What the tests of examples share: a server of any kind as a process, and a page of an example that is asked for an answer."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.npm import quiet

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUESTION, ANSWER = "What day is after Saturday", "The day after Saturday is Sunday."  # greedy: tests/builtin/greedy.json
PATIENCE_MS = 480_000  # a software adapter, on a machine that does other things
START_S = 120
URL = re.compile(r"http://[\w.]+:\d+")


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


@contextmanager
def served(*command: str | Path, folder: Path) -> Iterator[str]:
    """The address that the process prints when it listens, ending without a slash."""
    log = folder / "server.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            list(map(str, command)), cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=quiet(), start_new_session=True
        )
    try:
        yield _address(process, log)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        if (found := URL.search(log.read_text())) is not None:
            return found[0].replace("localhost", "127.0.0.1")
        time.sleep(0.05)
    pytest.fail(f"the server did not start:\n{log.read_text()[-4000:]}", pytrace=False)


def static(folder: Path) -> Any:
    """Python's own server: no ranges, no headers but the type's."""
    return served(sys.executable, "-u", "-m", "http.server", free_port(), "--bind", "127.0.0.1", folder=folder)


class Asked:
    """A page of an example, open."""

    def __init__(self, page: Any, url: str, answer: str = "output") -> None:
        self.page, self.selector = page, answer
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("console", self._said)
        page.on("requestfailed", self._failed)
        page.goto(url)
        page.wait_for_selector("form")

    def _said(self, message: Any) -> None:
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            self.problems.append(f"{message.text} {message.location['url']}")

    def _failed(self, request: Any) -> None:
        """What the page gave up itself is none: a file that comes without ranges is asked for twice."""
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"{request.url}: {request.failure}")

    def answer(self, **fields: str) -> str:
        """What stands there when it is done."""
        for name, text in fields.items():
            self.page.fill(f"[name={name}], [aria-label={name}]", text)
        self.page.click("form button")
        try:
            self.page.wait_for_function(
                "() => /^(?!runtime|header|compile|weights|ready)./.test(document.querySelector('#status').textContent)",
                timeout=PATIENCE_MS,
            )
        except Exception as error:
            pytest.fail(f"{self.status()}: {error}\n{self.problems}", pytrace=False)
        assert self.status() == "done", (self.status(), self.problems)
        return str(self.page.locator(self.selector).last.inner_text())

    def status(self) -> str:
        return str(self.page.locator("#status").inner_text())


@contextmanager
def opened(chromium: Any, url: str, answer: str = "output") -> Iterator[Asked]:
    """In a context of its own, so with nothing stored."""
    context = chromium.new_context()
    try:
        yield Asked(context.new_page(), url, answer)
    finally:
        context.close()
