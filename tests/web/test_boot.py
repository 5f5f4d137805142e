"""How Python boots in a page, from which files, and what is said where it does not; a stub stands for the engine."""

import gzip

import pytest

from tests.web.stubbed import load

pytestmark = pytest.mark.browser


NO_ADAPTER = "Object.defineProperty(navigator.gpu, 'requestAdapter', { value: async () => null });\n"


def test_without_an_adapter_nothing_else_is_waited_for(stubbed, site, assets):
    site.served.files["/fanlight/worker.js"] = NO_ADAPTER.encode() + (assets / "fanlight" / "worker.js").read_bytes()
    found = load(stubbed)
    assert (found["error"]["name"], found["error"]["isClass"]) == ("NoAdapter", True) and found["error"]["hint"]
    assert [p["phase"] for p in found["progress"]] == ["runtime"]


DEAD = """async () => {
  const { EngineClosed } = fanlight;
  const ask = (content, more) => engine.chat.completions.create({ messages: [{ role: "user", content }], ...more });
  const caught = (promise) => promise.then(() => null, (error) => [error instanceof EngineClosed, error.message, error.hint]);
  const stream = await ask("open while Python ends", { stream: true });
  const open = caught((async () => { for await (const chunk of stream); })());
  const out = [await caught(ask("too deep")), await open, await caught(ask("late"))];
  await engine.close();
  return out;
}"""


def test_who_asks_a_python_that_died_is_told(stubbed):
    """Of a full stack, in which nothing can be caught."""
    load(stubbed)
    for is_class, message, hint in stubbed.evaluate(DEAD):
        assert is_class and message.startswith("Python ended: ") and "template" in hint
    load(stubbed)
    assert stubbed.evaluate("async () => (await engine.completions.create({ prompt: 'abc' })).choices.length") == 1


def test_the_boot_is_from_the_snapshot(site, page, assets):
    """The package's own, which is larger than the memory that Pyodide begins with."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    site.served.files["/m/bad.gguf"] = bytes(64)  # refused by Python, so that nothing is left to wait for
    refused = page.evaluate(
        """async () => (await import('/fanlight/index.js')).load('/m/bad.gguf').catch((error) => error.name)"""
    )
    assert refused == "FormatError"
    assert not [text for text in said if "snapshot" in text]


def test_packed_files_that_the_server_calls_encoded(stubbed, site, stubbed_model):
    """Development servers do: the browser unpacks them then, and there is nothing left to unpack."""
    served = site.served
    for name in ("python-sources.json.gz", "snapshot.bin.gz", "pyodide.asm.wasm.gz", "python_stdlib.zip.gz"):
        served.files[f"/fanlight/{name}"] = gzip.decompress(served.body(f"/fanlight/{name}"))
    said: list[str] = []
    stubbed.on("console", lambda message: said.append(message.text))
    assert load(stubbed)["info"]["hash"] == stubbed_model[1]
    assert not said


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_server_without_the_interpreter(stubbed, site, is_cut):
    path = "/fanlight/pyodide.asm.wasm.gz"
    site.served.files[path] = site.served.body(path)[:2_000_000] if is_cut else b"<!doctype html><p>Not found, with status 200."
    error = load(stubbed)["error"]
    assert error["name"] == "SourceError" and path in error["where"]
    assert ("read" if is_cut else "WebAssembly") in error["message"]


@pytest.mark.parametrize("packed", [gzip.compress(bytes(4096)), b"does not arrive"], ids=["wrong", "broken"])
def test_without_a_usable_snapshot_the_boot_is_plain(stubbed, site, stubbed_model, packed):
    site.served.files["/fanlight/snapshot.bin.gz"] = packed
    said: list[str] = []
    stubbed.on("console", lambda message: said.append(message.text))
    assert load(stubbed)["info"]["hash"] == stubbed_model[1]
    assert any("snapshot" in text for text in said)
