"""`make demo`, as a newcomer sees it: the server that it starts, the real model in Chromium, and what transformers answers."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import golden

pytestmark = [pytest.mark.browser, pytest.mark.minutes, pytest.mark.timeout(900)]

PATIENCE_MS = 560_000
SURE = 1.0  # logits that each token leads by
WHOLE = [row for row in golden("greedy")["rows"] if row["text"].endswith("<|im_end|>")]
ROW: dict[str, Any] = next(row for row in WHOLE if min(row["margins"]) > SURE)


@pytest.fixture
def demo(smollm2: Path, assets: Path) -> Iterator[str]:
    """Its address."""
    command = [sys.executable, "-m", "scripts.demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://[\w.]+:\d+", line):
                yield found[0]
                break
        else:
            pytest.fail("".join(said))
        process.terminate()


def test_the_first_answer_is_the_models(demo: str, smollm2: Path, chromium: Any) -> None:
    (system, question), (answer, _, _) = ROW["messages"], ROW["text"].partition("<|im_end|>")
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    chosen = {"system": system["content"], "temperature": 0, "max_tokens": len(ROW["ids"]) + 4, "contextLength": 256}
    page.add_init_script(f"localStorage.setItem('fanlight-settings', {json.dumps(json.dumps(chosen))})")
    began = time.monotonic()
    page.goto(demo)
    page.get_by_role("button", name=f"Start {smollm2.stem}").click()
    page.locator(".welcome").wait_for()
    loaded = time.monotonic()
    page.get_by_role("textbox", name="Message").fill(question["content"])
    page.keyboard.press("Enter")
    page.locator("article.answer:not([aria-busy]) .stats").wait_for()
    done = time.monotonic()
    assert page.locator("article.answer .markdown").last.inner_text() == answer
    stats = page.locator("article.answer .stats").inner_text()
    print(f"loaded after {loaded - began:.1f} s, answered after {done - loaded:.1f} s more; {stats}")
    context.close()
