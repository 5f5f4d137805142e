"""The built-in model in marimo's notebook in a page, exported as its users do it, with Pyodide and all wheels beside the page
in place of the servers that marimo asks; a machine without marimo, uv or a package index skips it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.web.browser import Served, serve
from tests.web.hosts import build_wheel, pyodide_with, wheel_of
from tests.web.test_python_hosts import PROMPT

PATIENCE_MS = 1_500_000
NOTEBOOK = """# /// script
# dependencies = ["fanlight"]
# ///
import marimo

app = marimo.App()


@app.cell
async def _():
    import fanlight

    engine = await fanlight.aload("built-in", context_length=256)
    ask = dict(messages=MESSAGES, temperature=0, max_tokens=32, stream=True)
    pieces = []
    async for chunk in await engine.chat.completions.create(**ask):
        if chunk.choices:
            pieces.append(chunk.choices[0].delta.content or "")
    await engine.close()
    "done: " + "".join(pieces)
    return


if __name__ == "__main__":
    app.run()
"""
# Of marimo in a page: from Pyodide's own list, and not.
NEEDS = ["micropip", "packaging", "narwhals", "jedi", "docutils", "pygments", "pyodide-http", "pyyaml", "jinja2"]
MORE = ("markdown", "pymdown-extensions", "tomlkit", "python-multipart", "itsdangerous")
PLACES = 'data-pyodide-index-url="./pyodide/" data-pyodide-lockfile-url="./pyodide/pyodide-lock.json"'


@pytest.mark.minutes
@pytest.mark.browser
@pytest.mark.timeout(1800)
def test_marimo(chromium: Any, assets: Path, tmp_path: Path) -> None:
    marimo = pytest.importorskip("marimo", reason="pip install marimo uv")
    if shutil.which("uv") is None:
        pytest.skip("marimo's export wants uv: pip install uv")
    (tmp_path / "cells.py").write_text(NOTEBOOK.replace("MESSAGES", repr(PROMPT["messages"])))
    export = [sys.executable, "-m", "marimo", "export", "html-wasm", "cells.py", "-o", "site", "--mode", "run"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(export, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    wheels = [wheel_of(name) for name in (*MORE, f"marimo-base=={marimo.__version__}")]
    wheels += [wheel_of("msgspec", for_pyodide=True), build_wheel(tmp_path / "wheel", "browser")]
    pyodide_with(tmp_path / "site", NEEDS, wheels)
    page_file = tmp_path / "site" / "index.html"
    text = page_file.read_text()
    assert '<marimo-wasm hidden=""' in text
    page_file.write_text(text.replace('<marimo-wasm hidden=""', f'<marimo-wasm hidden="" {PLACES}'))
    served = Served({"/": tmp_path / "site"})
    served.policies["/"] = "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:"
    with serve(served) as url:
        page = chromium.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{url}/index.html")
        try:
            page.wait_for_function("() => document.body.innerText.includes('done: ')", timeout=PATIENCE_MS)
        except Exception:
            pytest.fail(page.inner_text("body")[:2000] + "\n".join(said)[-4000:])
        assert f"done: {PROMPT['answer']}" in page.inner_text("body")
        page.close()
