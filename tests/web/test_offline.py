"""The site of docs/service-worker.md answers without a network, by the code that stands there. The engine is the stub's."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

TEXT = (Path(__file__).parents[2] / "docs" / "service-worker.md").read_text()
SITE = {name: code for code, name in re.findall(r"^```js\n(// ([\w.]+).*?)^```", TEXT, re.S | re.M)}
START = b'<!doctype html><meta charset="utf-8"><title>A site</title><script type="module" src="app.js"></script>'
ASK = """async () => {
  while (!globalThis.engine) await new Promise((resolve) => setTimeout(resolve, 20));
  const { choices } = await engine.chat.completions.create({ messages: [{ role: "user", content: "olleH" }] });
  return choices[0].message.content;
}"""


def test_the_documented_site_answers_offline(chromium, site, assets, stubbed_model, python_files) -> None:
    files = {path.replace("/fanlight/", "/site/fanlight/"): data for path, data in python_files.items()}
    files |= {f"/site/{name}": SITE[name].encode() for name in ("sw.js", "app.js")}
    site.served.files.update(files | {"/site/": START, "/site/model.gguf": stubbed_model[0]})
    site.served.folders = {"/site/fanlight/": assets / "fanlight", **site.served.folders}
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/site/")
    assert page.evaluate(ASK) == "Hello"
    num_asked = len(site.served.requests)
    context.set_offline(True)
    page.reload()
    assert page.evaluate(ASK) == "Hello"
    assert {path for path, _ in site.served.requests[num_asked:]} <= {"/site/sw.js"}  # which a browser always asks for
    context.close()
