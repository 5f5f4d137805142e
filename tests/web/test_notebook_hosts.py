"""The built-in model in PyScript, JupyterLite and marimo, as their users set them up, from packages alone: what it answers is
what transformers recorded. Their Pythons take wheels from the package index; a machine without one skips them."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import npm
from tests.test_docs import run_page
from tests.web.browser import TYPES, Served, serve
from tests.web.hosts import ROOT, build_wheel, needs, pyodide_with, wheel_of
from tests.web.hub import Hub, Repo, serve_hub
from tests.web.test_python_hosts import PROMPT

NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
BUILT_IN = ROOT / "fanlight" / "builtin" / "model.gguf"
MARIMO_NOTEBOOK = ROOT / "examples" / "marimo_notebook.py"
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
import os
import fanlight
from pyscript import document

os.environ["HF_ENDPOINT"] = "{hub}"
engine = await fanlight.aload("{model}", context_length=256, on_progress=fanlight.Progress())
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
@pytest.mark.parametrize(("where", "model"), [("worker", "built-in"), ("", "built-in"), ("worker", "owner/chat:Q4_0")])
def test_pyscript(where: str, model: str, site: tuple[str, Served], chromium: Any, wheel: Path) -> None:
    url, served = site
    served.folders["/pyscript/"] = npm.installed(HOSTS) / "@pyscript" / "core" / "dist"
    config = {"interpreter": "/pyodide/pyodide.mjs", "packages": [f"{url}/wheels/{wheel.name}"]}
    words = {"where": where, "model": model, "config": json.dumps(config), "messages": json.dumps(PROMPT["messages"])}
    with serve_hub(Hub({"owner/chat": Repo({"chat-Q4_0.gguf": BUILT_IN.read_bytes()})})) as hub:
        served.policies["/"] = f"{ANY_POLICY} {hub.url} {hub.cdn}"
        served.files["/index.html"] = PYSCRIPT.format(hub=hub.url, **words).encode()
        said = answered(chromium, url)
        assert bool(hub.asked("cdn")) == (model != "built-in")
    assert any("Loading the weights: 100 % of 15.1 MB" in line for line in said)


def answered(chromium: Any, url: str) -> list[str]:
    """What the page says in its console, on the way to the recorded answer."""
    page = chromium.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{url}/index.html")
    ended = "() => document.title !== 'waiting' || document.querySelector('.py-error')"
    page.wait_for_function(ended, timeout=PATIENCE_MS)
    assert page.title() == f"done: {PROMPT['answer']}", page.inner_text("body") + "\n".join(said)
    page.close()
    return said


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


@minutes
def test_the_marimo_notebook_runs_natively() -> None:
    pytest.importorskip("marimo", reason="pip install marimo")
    code = f"import runpy; _, named = runpy.run_path({str(MARIMO_NOTEBOOK)!r})['app'].run(); print(''.join(named['pieces']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines() == [PROMPT["answer"]], done.stderr


def marimo_wheels(runtime: Path) -> list[Path]:
    """marimo's Python for a page, and those of its needs that this Pyodide's list lacks or has too old."""
    listed = json.loads((runtime / "pyodide-lock.json").read_text())["packages"]
    base = wheel_of(f"marimo-base=={importlib.metadata.version('marimo')}")
    lacking = [each for each in needs(base) if listed.get(each.name, {}).get("version", "0") not in each.specifier]
    return [base, *(wheel_of(f"{each.name}{each.specifier}") for each in lacking)]


INDEX, FILES = "https://pypi.org/simple/fanlight/", "https://files.pythonhosted.org/packages"


class Outside:
    """The servers of others that marimo's page asks, from packages alone: its maker's list of packages, a Pyodide, the package
    index, which has both our wheels. Whatever else is asked for is refused, and noted."""

    def __init__(self, pyodide: Path, ours: Path) -> None:
        self.asked, self.refused = list[str](), list[str]()
        everywhere = f"fanlight-{ours.name.split('-')[1]}-py3-none-any.whl"
        files = [{"filename": name, "url": f"{FILES}/{name}", "hashes": {}} for name in (everywhere, ours.name)]
        self.folders = {"https://cdn.jsdelivr.net/pyodide/v314.0.0/full": pyodide, FILES: ours.parent}
        self.bodies = {
            "https://wasm.marimo.app/pyodide-lock.json": (pyodide / "pyodide-lock.json").read_text(),
            INDEX: json.dumps({"meta": {"api-version": "1.0"}, "name": "fanlight", "files": files}),
        }

    def answer(self, route: Any) -> None:
        url = route.request.url.split("?")[0]
        folder, _, name = url.rpartition("/")
        self.asked.append(url)
        kind = "application/vnd.pypi.simple.v1+json" if url == INDEX else TYPES.get(Path(name).suffix, "application/zip")
        headers = {"Access-Control-Allow-Origin": "*", "Content-Type": kind}
        if url in self.bodies:
            route.fulfill(body=self.bodies[url], headers=headers)
        elif folder in self.folders and (self.folders[folder] / name).is_file():
            route.fulfill(path=self.folders[folder] / name, headers=headers)
        else:
            self.refused.append(url)
            route.abort()


ALL_SHOWN = """
globalThis.shown = new Set();
const look = () => document.body?.innerText.split("\\n").forEach((line) => globalThis.shown.add(line));
new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
"""


@minutes
@pytest.mark.browser
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dependency", ["fanlight", "fanlight @ ./{wheel}"])
def test_the_notebook_runs_in_marimo(dependency: str, wheel: Path, chromium: Any, tmp_path: Path) -> None:
    """As its users export it: with the wheel of the package index, or one that lies beside the notebook."""
    pytest.importorskip("marimo", reason="pip install marimo")
    pytest.importorskip("uv", reason="marimo's export asks uv what a notebook imports: pip install uv")
    runtime, site = npm.installed(HOSTS) / "pyodide", tmp_path / "site"
    pyodide = pyodide_with(tmp_path, ["micropip", "jinja2", "pyodide-http"], runtime, marimo_wheels(runtime))
    text, written = MARIMO_NOTEBOOK.read_text(), dependency.format(wheel=wheel.name)
    (tmp_path / "notebook.py").write_text(text.replace('dependencies = ["fanlight"]', f'dependencies = ["{written}"]'))
    shutil.copy2(wheel, tmp_path)
    tools = Path(sys.executable).parent
    made = [str(tools / "marimo"), "export", "html-wasm", "notebook.py", "-o", str(site), "--mode", "run"]
    path = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(made, cwd=tmp_path, env=os.environ | path, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    served, outside, context = Served({"/": site}), Outside(pyodide, wheel), chromium.new_context()
    served.policies["/"], served.is_isolated = "", False  # as folders of files are served everywhere
    with serve(served) as url:
        context.route(lambda asked: not asked.startswith(f"{url}/"), outside.answer)
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.add_init_script(ALL_SHOWN)
        page.goto(f"{url}/index.html")
        while PROMPT["answer"] not in page.inner_text("body"):
            assert not outside.refused and not any("exception_type" in line for line in said), "\n".join(said)
            page.wait_for_timeout(1000)
        model, answer, *_ = page.inner_text("body").splitlines()
        assert model.startswith("built-in on google") and answer == PROMPT["answer"]
        assert "Checking the kernels on this graphics adapter" in page.evaluate("() => [...globalThis.shown]")
        context.close()
    assert not outside.refused
    index = [url for url in outside.asked if url.startswith((INDEX, FILES))]
    assert index == ([INDEX, f"{FILES}/{wheel.name}"] if dependency == "fanlight" else []), "the smaller one"
