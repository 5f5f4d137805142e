"""Every byte of a download is checked: by the hub's digests, by a signature's, and by those of its blocks where it goes on
later.  The files' worker in Chromium; the hub is tests/web/hub.py."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.golden.record_signatures import FILES as SIGNED
from scripts.golden.record_signatures import FOLDER
from tests.formats.signing import MISSTATED, TAMPERED, make_key, public_pem, sign, statement
from tests.web.files_page import load, of_hub, of_url, stored
from tests.web.hub import TOKEN, Hub, Repo, git_oid, serve_hub, sha256

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BLOCK = 4 << 20
BIG = random.Random(1).randbytes(2 * BLOCK + 1000)
SMALL = b'{"model_type": "llama"}'
FOLDER_FILES = {"config.json": SMALL, "model.safetensors": BIG[:1000], "README.md": b"# A model"}
KEY = make_key()


@pytest.fixture
def hub() -> Iterator[Hub]:
    repos = {
        "owner/big": Repo({"big-Q4_0.gguf": BIG, "big-Q2_K.gguf": b"two"}),
        "owner/folder": Repo(FOLDER_FILES),
        "owner/gated": Repo({"m.gguf": b"gated"}, gated=True),
        "owner/parts": Repo({f"q/m-0000{i}-of-00002.gguf": b"part%d" % i for i in (1, 2)}),
        "owner/empty": Repo({"README.md": b""}),
    }
    with serve_hub(Hub(repos, page_size=2)) as hub:
        yield hub


def names(found: Any) -> list[tuple[str, str]]:
    return [(file["name"], file["sha256"]) for file in found]


def test_a_repository_is_loaded_kept_and_needs_no_hub_again(page: Any, hub: Hub) -> None:
    assert names(load(page, of_hub("owner/big", hub=hub.url))) == [("big-Q4_0.gguf", sha256(BIG))]
    asked = len(hub.requests)
    (model,) = stored(page)
    assert (model["url"], model["name"], model["complete"], model["sizeBytes"]) == ("hf:owner/big", "big", True, len(BIG))
    assert names(load(page, of_hub("owner/big"))) == [("big-Q4_0.gguf", sha256(BIG))]
    assert names(load(page, {"kind": "stored", "name": "hf:owner/big"})) == [("big-Q4_0.gguf", sha256(BIG))]
    assert len(hub.requests) == asked


def test_what_is_loaded(page: Any, hub: Hub) -> None:
    found = load(page, of_hub("owner/folder", hub=hub.url))
    assert names(found) == [("config.json", sha256(SMALL)), ("model.safetensors", sha256(BIG[:1000]))]
    parts = load(page, of_hub("https://huggingface.co/owner/parts/tree/main/q", hub=hub.url), store=False)
    assert names(parts) == [(f"m-0000{i}-of-00002.gguf", sha256(b"part%d" % i)) for i in (1, 2)]
    assert names(load(page, of_hub("owner/big:q2_k", hub=hub.url))) == [("big-Q2_K.gguf", sha256(b"two"))]
    error = load(page, of_hub("owner/empty", hub=hub.url))["error"]
    assert "no GGUF and no safetensors model in it, only: README.md" in error["message"] and error["where"] == "owner/empty"


def test_a_gated_model_and_its_token(page: Any, hub: Hub) -> None:
    """The token goes to the hub alone, not to the server that has the bytes; and it is stored nowhere."""
    for token, status in ((None, 401), ("hf_wrong", 403)):
        error = load(page, of_hub("owner/gated", hub=hub.url, **({"token": token} if token else {})))["error"]
        assert f"asks for consent first ({status}" in error["message"] and f"{hub.url}/owner/gated" in error["hint"]
    assert names(load(page, of_hub("owner/gated", hub=hub.url, token=TOKEN))) == [("m.gguf", sha256(b"gated"))]
    given = {server: {token for name, _, token in hub.requests if name == server} for server in ("hub", "cdn")}
    assert f"Bearer {TOKEN}" in given["hub"] and given["cdn"] == {None}
    texts = page.evaluate("""async () => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("fanlight");
      const texts = [];
      for await (const file of folder.values()) texts.push(await (await file.getFile()).text());
      return texts.join();
    }""")
    assert "owner/gated" in texts and TOKEN not in texts


@pytest.mark.parametrize("store", [True, False])
def test_other_bytes_than_the_hub_lists(page: Any, hub: Hub, store: bool) -> None:
    """An error that says what was expected; nothing of it stays, and the next load is whole."""
    wrong = bytearray(BIG)
    wrong[BLOCK + 5] ^= 1
    hub.given[sha256(BIG)] = bytes(wrong)
    error = load(page, of_hub("owner/big", hub=hub.url), store=store)["error"]
    assert error["name"] == "SourceError" and "big-Q4_0.gguf" in error["where"]
    assert f"its SHA-256 is {sha256(wrong)}, expected {sha256(BIG)}" in error["message"]
    if store:
        (model,) = stored(page)
        assert (model["storedBytes"], model["complete"]) == (0, False)
    hub.given[sha256(BIG)] = BIG[:-1]
    error = load(page, of_hub("owner/big", hub=hub.url), store=store)["error"]
    assert f"has {len(BIG) - 1} bytes, expected {len(BIG)}" in error["message"]
    del hub.given[sha256(BIG)]
    assert names(load(page, of_hub("owner/big", hub=hub.url), store=store)) == [("big-Q4_0.gguf", sha256(BIG))]


def test_other_bytes_of_a_small_file(page: Any, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What git itself holds is checked by git's id."""
    monkeypatch.setattr("tests.web.hub.git_oid", lambda data: git_oid(data.replace(b"llama", b"other")))
    error = load(page, of_hub("owner/folder", hub=hub.url))["error"]
    assert f"its git id is {git_oid(SMALL)}, expected {git_oid(SMALL.replace(b'llama', b'other'))}" in error["message"]


SPOIL = """async ([ending, at, size]) => {
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("fanlight");
  for await (const file of folder.values()) {
    if (!file.name.endsWith(ending)) continue;
    const bytes = new Uint8Array(await (await file.getFile()).arrayBuffer());
    const writable = await file.createWritable();
    if (at !== null) bytes[at] ^= 1;
    await writable.write(bytes.slice(0, size ?? bytes.length));
    await writable.close();
  }
}"""
SPOILED = {
    "nothing": None,
    "a block": (".bin", BLOCK + 7, None),
    "the first block": (".bin", 7, None),
    "a digest": (".blocks", 3, None),
    "the end of a block": (".bin", None, BLOCK + 99),
    "digests": (".blocks", None, 40),
    "all digests": (".blocks", None, 0),
    "the record": (".json", 3, None),
}


@pytest.mark.parametrize("what", SPOILED)
@pytest.mark.parametrize("kind", ["hub", "url"])
def test_a_download_that_goes_on_is_checked(page: Any, site: Any, hub: Hub, kind: str, what: str) -> None:
    """Stopped before its last block; then something of what was kept is changed. Whatever does not match is fetched again."""
    site.served.files["/big.gguf"] = BIG
    model = of_hub("owner/big", hub=hub.url) if kind == "hub" else of_url(f"{site.url}/big.gguf")
    page.evaluate(
        """async ([reference, size]) => {
          const worker = new Worker("/fanlight/files.js", { type: "module" });
          const answers = [];
          await new Promise((resolve, reject) => {
            worker.onmessage = ({ data }) => data.error ? reject(new Error(data.error.message)) : resolve();
            worker.postMessage({ id: 1, name: "open", values: [reference, true] });
          });
          await new Promise((resolve) => {
            worker.onmessage = ({ data }) => data.id === 2 && resolve();
            worker.postMessage({ id: 2, name: "arrived", values: [0, size] });
          });
          await new Promise((resolve) => setTimeout(resolve, 200));
          worker.terminate();
          const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("fanlight");
          for await (const file of folder.values()) {
            if (file.name.endsWith(".json") && !file.name.endsWith(".model.json")) {
              const record = JSON.parse(await (await file.getFile()).text());
              const writable = await file.createWritable();
              await writable.write(JSON.stringify({ ...record, complete: false }));
              await writable.close();
            }
          }
        }""",
        [model, len(BIG)],
    )
    page.evaluate(SPOIL, [".bin", None, 2 * BLOCK])
    if spoiled := SPOILED[what]:
        page.evaluate(SPOIL, list(spoiled))
    asked, requests = len(site.served.requests), len(hub.requests)
    assert [file["sha256"] for file in load(page, model)] == [sha256(BIG)]
    pieces = len(hub.requests[requests:]) if kind == "hub" else len(site.served.requests[asked:])
    assert pieces > 0
    (stays,) = [model["complete"] for model in stored(page)]
    assert stays


def signed_access(pem: str) -> dict[str, Any]:
    return {"access": {"signature": "model.sig", "publicKey": pem}}


def test_signed_files_of_a_url(page: Any, site: Any) -> None:
    pem = public_pem(KEY)
    bundle = json.dumps(sign(KEY, statement({"big.gguf": BIG}))).encode()
    site.served.files |= {"/m/big.gguf": BIG, "/m/model.sig": bundle, "/m/other.gguf": BIG}
    assert names(load(page, of_url(f"{site.url}/m/big.gguf", publicKey=pem))) == [("big.gguf", sha256(BIG))]
    asked = len(site.served.requests)
    assert names(load(page, of_url(f"{site.url}/m/big.gguf", publicKey=pem))) == [("big.gguf", sha256(BIG))]
    new = [path for path, _ in site.served.requests[asked:] if path.startswith("/m/")]
    assert new == [], "the bundle was kept with the model"
    error = load(page, of_url(f"{site.url}/m/big.gguf", publicKey=public_pem(make_key())))["error"]
    assert "made with another key" in error["message"]
    error = load(page, of_url(f"{site.url}/m/other.gguf", publicKey=pem))["error"]
    assert "not among the 1 files that were signed" in error["message"]
    site.served.files["/m/big.gguf"] = BIG[:-1] + b"!"
    error = load(page, of_url(f"{site.url}/m/big.gguf", publicKey=pem), store=False)["error"]
    assert f"expected {sha256(BIG)}" in error["message"]
    error = load(page, of_url(f"{site.url}/m/big.gguf", signature="model.sig"))["error"]
    assert error["param"] == "publicKey"


def test_a_file_that_was_stored_before_its_signature_was_asked_for(page: Any, site: Any) -> None:
    pem = public_pem(KEY)
    site.served.files |= {
        "/m/big.gguf": BIG[:-1] + b"!",
        "/m/sub/x.sig": json.dumps(sign(KEY, statement({"m/big.gguf": BIG}))).encode(),
    }
    load(page, of_url(f"{site.url}/m/big.gguf"))
    site.served.files["/m/big.gguf"] = BIG
    access = {"publicKey": pem, "signature": "sub/x.sig"}
    assert names(load(page, of_url(f"{site.url}/m/big.gguf", **access))) == [("big.gguf", sha256(BIG))]


def test_a_signed_repository(page: Any, hub: Hub) -> None:
    pem = public_pem(KEY)
    bundle = json.dumps(sign(KEY, statement(FOLDER_FILES))).encode()
    hub.repos["owner/folder"].files["model.sig"] = bundle
    assert len(load(page, of_hub("owner/folder", hub=hub.url, publicKey=pem))) == 2
    other = {**FOLDER_FILES, "model.safetensors": b"other"}
    hub.repos["owner/other"] = Repo({**FOLDER_FILES, "model.sig": json.dumps(sign(KEY, statement(other))).encode()})
    error = load(page, of_hub("owner/other", hub=hub.url, publicKey=pem))["error"]
    assert f"was signed as sha256:{sha256(b'other')}, but the server has sha256:{sha256(BIG[:1000])}" in error["message"]


def of_files(page: Any, bundle: Any, pem: str, chosen: str = "m-Q4_0.gguf", **files: bytes) -> Any:
    text = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
    model = {"kind": "files", "files": [chosen], "access": {"signature": "model.sig", "publicKey": pem}}
    return load(page, model, files={**SIGNED, "model.sig": text, **files})


def test_the_table_of_signatures(page: Any) -> None:
    """What model-signing made holds; what tests/formats/test_signatures.py has Python refuse, a page refuses in its words."""
    for curve in ("secp256r1", "secp384r1", "secp521r1"):
        text, pem = (FOLDER / f"{curve}.sig").read_bytes(), (FOLDER / f"{curve}.pem").read_text()
        assert names(of_files(page, text, pem)) == [("m-Q4_0.gguf", sha256(b"four"))]
        for change, message in TAMPERED.values():
            change(bundle := json.loads(text))
            error = of_files(page, bundle, pem)["error"]
            assert error["name"] == "SourceError" and message in error["message"], (curve, message)
    assert "its SHA-256 is" in of_files(page, text, pem, **{"m-Q4_0.gguf": b"five"})["error"]["message"]
    assert "not among the 4 files" in of_files(page, text, pem, "x.gguf", **{"x.gguf": b"four"})["error"]["message"]
    for kind, message in (("shards", '"shards" with "sha256"'), ("blake2", '"files" with "blake2b"')):
        assert message in of_files(page, (FOLDER / f"{kind}.sig").read_bytes(), pem)["error"]["message"]
    for change, message in MISSTATED.values():
        change(said := copy.deepcopy(statement(SIGNED)))
        assert message in of_files(page, sign(KEY, said), public_pem(KEY))["error"]["message"]
    for wrong in ("", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"):
        assert "the public key" in of_files(page, text, wrong)["error"]["message"]
