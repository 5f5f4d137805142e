"""The engine in a Python that somebody else booted in a page: `import fanlight` from the wheel, its JavaScript with it.

Plain Pyodide; PyScript, JupyterLite and marimo are in test_notebook_hosts.py.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanlight
from fanlight.formats.catalogue import find
from tests.cli.tiny import write_model
from tests.models.test_encoders_gguf import with_text
from tests.web.browser import Served, serve
from tests.web.hosts import PYODIDE, ROOT, build_wheel, pure_wheel
from tests.web.hub import TOKEN, Hub, Repo, serve_hub, sha256

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

RECORD = json.loads((ROOT / "tests" / "builtin" / "greedy.json").read_text())
PROMPT = min(RECORD["prompts"], key=lambda prompt: len(prompt["ids"]) + len(prompt["prompt_ids"]))
TEXTS = ["Hello wörld", "the quick brown fox"]
OPEN = "script-src 'self' 'unsafe-eval' blob:"
WORKERS_ONLY = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:"
BLOBS_ONLY = "script-src 'self' 'wasm-unsafe-eval' blob:"
NOTHING = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'"


@pytest.fixture(scope="module")
def wheel(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The browser's."""
    return build_wheel(tmp_path_factory.mktemp("wheels"), "browser")


class Host:
    """Runs Python in a new page of one visitor's, or in a worker of one."""

    def __init__(self, context: Any, url: str, served: Served, wheels: list[str]) -> None:
        self.context, self.url, self.served, self.wheels = context, url, served, wheels

    def run(self, code: str, policy: str = OPEN, *, worker: bool = False, registered: str | None = None) -> Any:
        self.served.policies = {"/pages/": policy}
        page = self.context.new_page()
        try:
            page.goto(f"{self.url}/pages/blank.html")
            return page.evaluate(IN_WORKER if worker else IN_PAGE, [self.wheels, code, registered])
        finally:
            page.close()


IN_PAGE = """async ([wheels, code, registered]) => {
  const { boot, run } = await import("/pages/python_host.js");
  return run(await boot(wheels, registered), code);
}"""

IN_WORKER = """([wheels, code, registered]) => new Promise((resolve, reject) => {
  const worker = new Worker("/pages/python_host.js", { type: "module" });
  worker.onerror = (event) => reject(new Error(event.message));
  worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.result));
  worker.postMessage({ wheels, code, registered });
})"""


@pytest.fixture(scope="module")
def host(chromium: Any, assets: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    names = [wheel.name]
    ours = assets / "fanlight"
    served = Served({"/pages/": Path(__file__).parent / "pages", "/pyodide/": PYODIDE, "/wheels/": folder, "/ours/": ours})
    served.files[f"/wheels/{names[0]}"] = wheel.read_bytes()
    names += [pure_wheel(name, folder).name for name in ("jinja2", "markupsafe")]
    served.files["/models/chat.gguf"] = write_model(folder / "chat.gguf").read_bytes()
    served.files["/models/vectors.gguf"] = with_text(folder, "bert-mean", "bert", "mean_tokens").read_bytes()
    with serve(served) as url:
        context = chromium.new_context()
        yield Host(context, url, served, names)
        context.close()


@pytest.mark.minutes
def test_what_the_wheels_carry(wheel: Path, tmp_path: Path) -> None:
    whole = build_wheel(tmp_path)
    everywhere, browser = (set(zipfile.ZipFile(path).namelist()) for path in (whole, wheel))
    assert browser < everywhere | {name for name in browser if ".dist-info/" in name}
    assert "fanlight/assets/fanlight/python-replay.js" in browser
    for names in (everywhere, browser):
        assert [name for name in names if name.endswith(".gguf")] == ["fanlight/builtin/model.gguf"]
        assert not [name for name in names if name.endswith((".map", ".d.ts"))]
    assert {"fanlight/assets/index.html", "fanlight/assets/fanlight/snapshot.bin.gz"} <= everywhere - browser
    assert wheel.stat().st_size < 16_500_000
    assert whole.stat().st_size < 50_000_000


# Counts what is on the GPU.
BUFFERS = """
from pyodide.code import run_js
live = run_js('''() => {
  const live = new Set();
  const { createBuffer } = GPUDevice.prototype, { destroy } = GPUBuffer.prototype;
  GPUDevice.prototype.createBuffer = function (options) {
    const made = createBuffer.call(this, options);
    live.add(made);
    return made;
  };
  GPUBuffer.prototype.destroy = function () { live.delete(this); return destroy.call(this); };
  return live;
}''')()
"""

ASK = """
import asyncio
import fanlight

seen = []
engine = await fanlight.aload("built-in", context_length=256, on_progress=lambda *seen_of: seen.append(seen_of))
ask = dict(messages=MESSAGES, temperature=0, max_tokens=32, return_token_ids=True)
pieces = []

async def streamed():
    async for chunk in await engine.chat.completions.create(**ask, stream=True):
        if chunk.choices:
            pieces.append(chunk.choices[0].delta.content or "")

whole, _ = await asyncio.gather(engine.chat.completions.create(**ask), streamed())  # their rows share steps
num_buffers = live.size
info = engine.info
await engine.close()
{"text": whole.choices[0].message.content, "ids": whole.choices[0].token_ids, "prompt_ids": whole.prompt_token_ids,
 "pieces": pieces, "buffers": [num_buffers, live.size], "phases": list(dict.fromkeys(each[0] for each in seen)),
 "model": info["model"], "wrong": info["kernels"]["wrong"], "last": seen[-2]}
"""


def test_the_built_in_model_answers_in_a_page_as_natively(host: Host) -> None:
    found = host.run(BUFFERS + f"MESSAGES = {PROMPT['messages']!r}\n" + ASK)
    assert found["text"] == PROMPT["answer"] == "".join(found["pieces"]) and len(found["pieces"]) > 3
    assert found["prompt_ids"] == PROMPT["prompt_ids"] and found["ids"][:-1] == PROMPT["ids"][:-1]
    assert found["buffers"][0] > 10 and found["buffers"][1] == 0
    assert (found["model"], found["wrong"]) == ("built-in", [])
    assert [found["phases"][0], *found["phases"][-2:]] == ["header", "weights", "ready"]
    assert found["last"][1] == found["last"][2] > 14e6


# Two models in one engine: a file's, and a URL's, which is loaded twice.
TWO = """
import fanlight
from pathlib import Path
from pyodide.code import run_js
from pyodide.ffi import create_proxy
from pyodide.http import pyfetch
from fanlight.runtime.javascript import open_javascript

data = await (await pyfetch("/models/chat.gguf")).bytes()
Path("chat.gguf").write_bytes(data)
engine = await fanlight.aload("chat.gguf", tune=False)
vectors = await engine.load(URL + "/models/vectors.gguf", tune=False)
asked = await engine.completions.create(**PROMPT)
both = await engine.embeddings.create(model=vectors, input=TEXTS)
await engine.unload(vectors)
await engine.load(URL + "/models/vectors.gguf", tune=False)
wrong = []
for model in ("nowhere.gguf", URL + "/models/none.gguf", 7):
    try:
        await engine.load(model)
    except fanlight.FanlightError as error:
        wrong.append(f"{type(error).__name__}: {error}")
await engine.close()
how = type(await open_javascript()).__name__
pieces, told = [], ""
if BLOCKING:
    devices = run_js(DEVICES)()
    with fanlight.load(data, tune=False) as engine:
        engine.completions.create(**PROMPT)
        devices.pop().destroy()  # what was lost is computed again, on another one
        for chunk in engine.completions.create(**PROMPT, stream=True):
            pieces += chunk.choices[0].token_ids or ()

    def not_here():
        try:
            fanlight.load(data)
        except fanlight.FanlightError as error:
            return f"{type(error).__name__}: {error}"

    told = run_js("(call) => call()")(create_proxy(not_here))
{"how": how, "pieces": pieces, "told": told, "ids": asked.choices[0].token_ids,
 "vectors": [item.embedding for item in both.data], "wrong": wrong}
"""
DEVICES = """() => {
  const devices = [];
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (options) {
    devices.push(await requestDevice.call(this, options));
    return devices.at(-1);
  };
  return devices;
}"""
TINY = {"prompt": [5, 6, 7], "max_tokens": 8, "temperature": 0, "ignore_eos": True, "return_token_ids": True, "logprobs": 1}


def two(host: Host, blocking: bool) -> str:
    return f"URL, PROMPT, TEXTS, DEVICES, BLOCKING = {host.url!r}, {TINY!r}, {TEXTS!r}, {DEVICES!r}, {blocking}\n{TWO}"


@pytest.fixture(scope="module")
def truth(host: Host, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("truth")
    for name in ("chat", "vectors"):
        (folder / f"{name}.gguf").write_bytes(host.served.files[f"/models/{name}.gguf"])
    with fanlight.load(folder / "chat.gguf", device="reference") as engine:
        name = engine.load(folder / "vectors.gguf")
        ids = engine.completions.create(**TINY).choices[0].token_ids
        vectors = engine.embeddings.create(model=name, input=TEXTS).data
    return {"ids": ids, "vectors": [item.embedding for item in vectors]}


WAYS = [
    (OPEN, True, None, "Javascript"),  # an eval
    (WORKERS_ONLY, True, None, "JavascriptInWorker"),  # no eval here
    (BLOBS_ONLY, False, None, "Javascript"),  # none either, but in the page's own thread a script does
    (NOTHING, True, "/ours/python-replay.js", "Javascript"),
]


@pytest.mark.minutes
@pytest.mark.timeout(1800)
def test_whatever_the_policy_allows(host: Host, truth: dict[str, Any]) -> None:
    for policy, worker, registered, how in WAYS:
        host.served.requests.clear()
        found = host.run(two(host, policy == OPEN), policy, worker=worker, registered=registered)
        assert found["how"] == how
        assert found["ids"] == truth["ids"]
        assert np.allclose(found["vectors"], truth["vectors"], atol=1e-4)
        no_file, no_url, no_model = found["wrong"]
        assert no_file.startswith("SourceError: nowhere.gguf: there is no such file")
        assert no_url.startswith("SourceError") and "404" in no_url
        assert no_model.startswith("RequestError: model must be a URL, a file")
        asked = [path for path, _ in host.served.requests if path == "/models/vectors.gguf"]
        assert len(asked) == (2 if policy == OPEN else 0), "to see what it is, and once whole; then it is kept"
        if policy == OPEN:  # where Python may wait
            assert found["pieces"] == truth["ids"]
            assert found["told"].startswith("RequestError") and "await fanlight.aload(" in found["told"]


OPENED = """
import os
from hashlib import sha256
from fanlight.api.browser import opened
from fanlight.errors import FanlightError

found = []
for name, token in NAMES:
    os.environ |= {"HF_ENDPOINT": HUB, "HF_TOKEN": token}
    try:
        async with opened(name) as sources:
            found.append([[source.name, sha256(await source.read(0, source.size)).hexdigest()] for source in sources])
    except FanlightError as error:
        found.append(f"{type(error).__name__}: {error}")
found
"""


@pytest.mark.parametrize("worker", [False, True])  # what the worker keeps, the page would find
def test_names_of_the_hub_and_the_catalogue(worker: bool, host: Host) -> None:
    """The bytes that the hub lists, once where they can be kept; which files those are is a table that the page is held to."""
    chat, listed = host.served.files["/models/chat.gguf"], find("smollm2-135m")
    assert listed is not None
    files = {"chat-Q8_0.gguf": chat, "chat-Q4_0.gguf": chat[:-1]}
    repos = {"owner/chat": Repo(files), "owner/gated": Repo({"only.gguf": chat[:-2]}, gated=True)}
    repos |= {listed.repository: Repo({f"it-{listed.quantization}.gguf": chat[:-3]})}
    with serve_hub(Hub(repos)) as hub:
        there = ["owner/chat:Q8_0", f"{hub.url}/owner/chat", "owner/gated", "smollm2-135m"]
        names = [
            *((name, TOKEN) for name in (*there, "owner/chat:Q2_K", "owner/none", "none")),
            *((name, "") for name in there),
        ]
        found = host.run(f"NAMES, HUB = {names!r}, {hub.url!r}\n{OPENED}", worker=worker)
        expected = [
            ("chat-Q8_0.gguf", chat),
            ("chat-Q4_0.gguf", chat[:-1]),
            ("only.gguf", chat[:-2]),
            ("it-Q4_K_M.gguf", chat[:-3]),
        ]
        assert found[:4] == [[[name, sha256(data)]] for name, data in expected]
        for text, *words in zip(
            found[4:7], ("Q2_K", "no such repository", "none: there is no such file or folder"), strict=True
        ):
            assert text.startswith("SourceError") and words[0] in text
        again, listings = found[7:], [path for path in hub.asked("hub") if path.startswith("/api/models/owner/chat/revision/")]
        if worker:
            assert again == found[:4] and len(listings) == 3, "what is kept needs no hub, nor a token"
        else:
            assert again[2].startswith("SourceError") and "consent" in again[2]
            assert [again[0], again[1], again[3]] == [found[0], found[1], found[3]] and len(listings) == 5
        assert all(token is None for server, _, token in hub.requests if server == "cdn")


REFUSED = """
from fanlight.errors import FanlightError
from fanlight.runtime.javascript import open_javascript
try:
    await open_javascript()
except FanlightError as error:
    text = f"{type(error).__name__}: {error}"
text
"""


@pytest.mark.parametrize("worker", [True, False])
def test_a_policy_that_forbids_all_is_told_what_it_lacks(worker: bool, host: Host) -> None:
    text = host.run(REFUSED, NOTHING, worker=worker)
    assert text.startswith("DeviceError: the page lets Python load no JavaScript: nothing is registered as fanlight_replay; ")
    first = "import() by an eval is refused by the page's script-src" if worker else "a script of a blob: URL is refused by"
    assert first in text and ("needs script-src 'unsafe-eval'" if worker else "needs script-src blob:") in text
    assert "a worker of a blob: URL is refused by the page's worker-src, and needs worker-src blob:" in text
    assert "Try: a Content-Security-Policy with" in text


def test_javascript_of_another_build_is_refused(host: Host) -> None:
    host.served.files["/ours/other.js"] = b"export const build = 'another';"
    text = host.run(REFUSED, NOTHING, worker=True, registered="/ours/other.js")
    assert text.startswith("DeviceError: the JavaScript that is registered as fanlight_replay is of build another, this")
