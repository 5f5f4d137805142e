"""The built-in model in PyScript and JupyterLite, as their users set them up, from packages alone: what it answers is
what transformers recorded. Their Pythons take wheels from the package index; a machine without one skips them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import npm
from tests.test_docs import run_page
from tests.web.browser import Served, serve
from tests.web.hosts import ROOT, build_wheel, pyodide_with, wheel_of
from tests.web.test_python_hosts import PROMPT

NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
HOSTS = Path(__file__).parent / "host_packages"
PATIENCE_MS = 1_500_000
minutes = pytest.mark.minutes
ANY_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:"


def check_printed(lines: list[str]) -> None:
    """What the notebook's cells print."""
    model, answer, pieces, *_ = lines
    assert " on " in model and answer == PROMPT["answer"]
    assert pieces.startswith(f"|{PROMPT['answer'].split()[0]}|") and pieces.replace("|", "") == f"{PROMPT['answer']}Sunday"


@pytest.mark.slow
def test_the_notebook_runs_natively(capsys: pytest.CaptureFixture[str]) -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    run_page("".join(f"```python\n{cell}\n```\n" for cell in code), str(NOTEBOOK))
    check_printed(capsys.readouterr().out.splitlines())


@pytest.fixture(scope="module")
def wheel(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"), "browser")


@pytest.fixture(scope="module")
def pyodide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pyodide_with(tmp_path_factory.mktemp("host"), ["micropip", "packaging", "ipython", "jedi", "jinja2"])


@pytest.fixture
def site(wheel: Path, pyodide: Path) -> Iterator[tuple[str, Served]]:
    served = Served({"/pyodide/": pyodide, "/wheels/": wheel.parent})
    served.policies["/"] = ANY_POLICY
    with serve(served) as url:
        yield url, served


PYSCRIPT = """<!doctype html><meta charset="utf-8"><title>waiting</title>
<script type="module" src="/pyscript/core.js"></script>
<script type="py" {where} config='{config}'>
import json
import fanlight
from pyscript import document

engine = await fanlight.aload("built-in", context_length=256, on_progress=fanlight.Progress())
ask = dict(messages=json.loads('{messages}'), temperature=0, max_tokens=32, stream=True)
pieces = []
async for chunk in await engine.chat.completions.create(**ask):
    if chunk.choices:
        pieces.append(chunk.choices[0].delta.content or "")
await engine.close()
document.title = "done: " + "".join(pieces)
</script>"""


@minutes
@pytest.mark.browser
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("where", ["worker", ""])
def test_pyscript(where: str, site: tuple[str, Served], chromium: Any, wheel: Path) -> None:
    url, served = site
    served.folders["/pyscript/"] = npm.installed(HOSTS) / "@pyscript" / "core" / "dist"
    config = {"interpreter": "/pyodide/pyodide.mjs", "packages": [f"{url}/wheels/{wheel.name}"]}
    text = PYSCRIPT.format(where=where, config=json.dumps(config), messages=json.dumps(PROMPT["messages"]))
    served.files["/index.html"] = text.encode()
    page = chromium.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{url}/index.html")
    ended = "() => document.title !== 'waiting' || document.querySelector('.py-error')"
    page.wait_for_function(ended, timeout=PATIENCE_MS)
    assert page.title() == f"done: {PROMPT['answer']}", page.inner_text("body") + "\n".join(said)
    assert any("Loading the weights: 100 % of 15.1 MB" in line for line in said)
    page.close()


RUN_NOTEBOOK = """async () => {
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  while (!globalThis.jupyterapp) await wait(200);
  const app = globalThis.jupyterapp;
  await app.started;
  let panel;
  while (!(panel = app.shell.currentWidget)?.context) await wait(200);
  await panel.context.ready;
  await panel.sessionContext.ready;
  await app.commands.execute("notebook:run-all-cells");
  return panel.context.model.toJSON();
}"""


@minutes
@pytest.mark.browser
@pytest.mark.timeout(1800)
def test_the_notebook_runs_in_jupyterlite(
    site: tuple[str, Served], chromium: Any, wheel: Path, pyodide: Path, tmp_path: Path
) -> None:
    pytest.importorskip("jupyterlite_pyodide_kernel", reason="pip install jupyterlite-core jupyterlite-pyodide-kernel")
    (tmp_path / "static").mkdir()
    shutil.copytree(pyodide, tmp_path / "static" / "pyodide")
    kernel = {"@jupyterlite/pyodide-kernel-extension:kernel": {"disablePyPIFallback": True}}
    config = {"exposeAppInBrowser": True, "disablePyPIFallback": True, "litePluginSettings": kernel}
    (tmp_path / "jupyter-lite.json").write_text(json.dumps({"jupyter-lite-schema-version": 0, "jupyter-config-data": config}))
    lite = [
        str(Path(sys.executable).with_name("jupyter-lite")),
        "build",
        "--lite-dir",
        str(tmp_path),
        "--contents",
        str(NOTEBOOK),
    ]
    comm = wheel_of("comm")  # which the kernel wants, and Pyodide's list does not have
    lite += ["--piplite-wheels", str(wheel), "--piplite-wheels", str(comm)]
    made = [*lite, "--output-dir", str(tmp_path / "site"), "--no-sourcemaps"]
    done = subprocess.run(made, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    url, served = site
    served.folders, served.is_isolated = {"/": tmp_path / "site"}, False  # as folders of files are served everywhere
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{url}/notebooks/index.html?path=notebook.ipynb")
    outputs = [output for cell in page.evaluate(RUN_NOTEBOOK)["cells"] for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output["output_type"] == "error"], outputs
    check_printed("".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream").splitlines())
    shown = [output["data"]["text/plain"] for output in outputs if output["output_type"] == "display_data"]
    assert shown == ["The model is ready"], "progress is one line, the last one"
    page.close()
