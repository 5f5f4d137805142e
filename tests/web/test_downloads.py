"""What is downloaded, with a stub for the engine: bytes arrive on the GPU from everywhere, whole, and are kept."""

import pytest

from tests.web.stubbed import LOAD, NUM_WORDS, load, model_requests

pytestmark = pytest.mark.browser


def test_a_url_is_streamed_stored_and_reused_without_the_network(stubbed, site, stubbed_model):
    done = load(stubbed, contextLength=16)
    assert done.get("info", done)["hash"] == stubbed_model[1]
    assert done["info"]["ids"] == [1, 0]
    assert done["info"]["options"] == [16, 4]
    (stored,) = done["stored"]
    assert (stored["name"], stored["sizeBytes"], stored["complete"]) == ("model.gguf", len(stubbed_model[0]), True)
    phases = [p["phase"] for p in done["progress"]]
    assert sorted(set(phases), key=phases.index) == ["runtime", "header", "compile", "weights", "ready"]
    weights = [p["loadedBytes"] for p in done["progress"] if p["phase"] == "weights"]
    assert weights == sorted(weights) and weights[-1] == 4 * NUM_WORDS
    site.served.requests.clear()
    del site.served.files["/m/model.gguf"]
    assert load(stubbed)["info"]["hash"] == stubbed_model[1]
    assert load(stubbed, {"opfs": "model.gguf"})["info"]["hash"] == stubbed_model[1]
    assert model_requests(site) == []
    assert stubbed.evaluate("([url]) => fanlight.deleteModel(url)", [stored["url"]]) is True
    assert stubbed.evaluate("() => fanlight.listModels()") == []
    gone = load(stubbed)["error"]
    assert (gone["name"], gone["isClass"]) == ("SourceError", True) and "404" in gone["message"]


def test_the_end_of_a_large_file_is_read_before_all_of_it_came(stubbed, site, stubbed_model):
    """More than is downloaded before it is known to fit."""
    site.served.files["/m/large.gguf"] = stubbed_model[0] + bytes(260 << 20)
    assert load(stubbed, "/m/large.gguf")["info"]["hash"] == stubbed_model[1]
    assert load(stubbed, "/m/large.gguf")["info"]["hash"] == stubbed_model[1]


# As in browsers whose access handles are exclusive, and whose streams do not fill memory that is there.
OLDER = """
const { createSyncAccessHandle } = FileSystemFileHandle.prototype;
FileSystemFileHandle.prototype.createSyncAccessHandle = function () { return createSyncAccessHandle.call(this); };
const { getReader } = ReadableStream.prototype;
ReadableStream.prototype.getReader = function (options) {
  if (options?.mode === "byob") throw new TypeError("no byte streams");
  return getReader.call(this, options);
};
"""


def test_browsers_that_do_not_share_handles(stubbed, site, stubbed_model, assets):
    for name in ("worker.js", "files.js"):
        site.served.files[f"/fanlight/{name}"] = OLDER.encode() + (assets / "fanlight" / name).read_bytes()
    assert load(stubbed)["info"]["hash"] == stubbed_model[1]
    site.served.requests.clear()
    assert load(stubbed)["info"]["hash"] == stubbed_model[1] and model_requests(site) == []


def test_without_storing_and_from_a_file(stubbed, stubbed_model):
    done = load(stubbed, store=False)
    assert done["info"]["hash"] == stubbed_model[1] and done["stored"] == []
    code = LOAD.replace("[model, options]", "[path, options]").replace(
        "const progress", "const model = new File([await (await fetch(path)).blob()], 'chosen.gguf'); const progress"
    )
    done = stubbed.evaluate(code, ["/m/model.gguf", {}])
    assert done["info"]["hash"] == stubbed_model[1] and done["info"]["model"] == "chosen.gguf"


def test_only_the_piece_that_broke_is_asked_for_again(stubbed, site, stubbed_model):
    site.served.cut_after = 3_000_000
    done = load(stubbed)
    assert done.get("info", done)["hash"] == stubbed_model[1]
    starts = [int(asked.removeprefix("bytes=").split("-")[0]) for asked in model_requests(site)]
    assert sorted(set(starts)) == [0, 1 << 20, 4 << 20, 8 << 20] and len(starts) == 5, "the start once, one piece twice"


def test_an_aborted_load_keeps_what_arrived(stubbed, site, stubbed_model):
    site.served.delay_s, site.served.slow_from = 0.5, 4 << 20  # the first piece comes at once
    code = """async () => {
      const aborter = new AbortController();
      const onProgress = (p) => { if (p.loadedBytes > 500_000) aborter.abort(); };
      try {
        await fanlight.load("/m/model.gguf", { onProgress, signal: aborter.signal });
      } catch (error) {
        const [stored] = await fanlight.listModels();
        return { name: error.name, stored };
      }
    }"""
    done = stubbed.evaluate(code)
    assert done["name"] == "AbortError"
    assert not done["stored"]["complete"] and 500_000 < done["stored"]["storedBytes"] < len(stubbed_model[0])
    site.served.delay_s = 0
    site.served.requests.clear()
    assert load(stubbed)["info"]["hash"] == stubbed_model[1]
    starts = [int(asked.removeprefix("bytes=").split("-")[0]) for asked in model_requests(site)]
    assert starts[-1] > 500_000


def test_a_changed_file_is_fetched_anew(stubbed, site, stubbed_model):
    site.served.etags["/m/model.gguf"] = '"old"'
    site.served.delay_s, site.served.slow_from = 0.5, 4 << 20
    code = """async () => {
      const aborter = new AbortController();
      const onProgress = (p) => { if (p.loadedBytes > 500_000) aborter.abort(); };
      await fanlight.load("/m/model.gguf", { onProgress, signal: aborter.signal }).catch(() => null);
    }"""
    stubbed.evaluate(code)
    site.served.etags["/m/model.gguf"] = '"new"'
    site.served.delay_s = 0
    other = stubbed_model[0][:10] + bytes(4 * NUM_WORDS)
    site.served.files["/m/model.gguf"] = other
    assert load(stubbed)["info"]["hash"] == 0


def test_a_server_without_ranges_is_read_once(stubbed, site, stubbed_model):
    served = site.served
    served.ranges = False

    def body(path):
        if path == "/m/model.gguf" and len(model_requests(site)) == 2:
            served.cut_after = 3_000_000
        return type(served).body(served, path)

    served.body = body
    assert load(stubbed)["info"]["hash"] == stubbed_model[1]
    assert len(model_requests(site)) == 3  # to see what it is; broken off; whole
    served.requests.clear()
    assert load(stubbed)["info"]["hash"] == stubbed_model[1] and model_requests(site) == []
    assert load(stubbed, store=False)["info"]["hash"] == stubbed_model[1], "kept in memory, for this visit"


@pytest.mark.parametrize("what", ["etag", "modified"])
def test_a_file_that_is_replaced_meanwhile_is_no_mixture(stubbed, site, stubbed_model, what):
    """By one of the same size, between two pieces."""
    path, served = "/m/model.gguf", site.served
    marks = served.etags if what == "etag" else served.modified
    served.etags[path] = '"1"' if what == "etag" else ""
    marks[path] = '"old"' if what == "etag" else "Sat, 01 Jan 2000 00:00:00 GMT"
    asked = 0

    def body(asked_path):
        nonlocal asked
        asked += asked_path == path
        if asked > 2:
            marks[path] = '"new"' if what == "etag" else "Sun, 02 Jan 2000 00:00:00 GMT"
            served.files[path] = bytes(len(stubbed_model[0]))
        return type(served).body(served, asked_path)

    served.body = body
    error = load(stubbed)["error"]
    assert error["name"] == "SourceError" and "changed on the server" in error["message"]


@pytest.mark.minutes
def test_one_byte_now_and_then_is_not_waited_for(stubbed, site, stubbed_model):
    site.served.drip_s = 1.0
    error = load(stubbed, store=False)["error"]
    assert error["name"] == "SourceError" and "stalled" in error["message"]


def test_parts_of_a_split_file_and_a_folder(stubbed, site, stubbed_model):
    """A name with -00001-of-0000N stands for all parts, a folder for Hugging Face's files; both work offline afterwards."""
    for part in range(1, 4):
        site.served.files[f"/m/s-{part:05}-of-00003.gguf"] = stubbed_model[0]
    assert load(stubbed, "/m/s-00002-of-00003.gguf")["info"]["files"] == [f"s-{part:05}-of-00003.gguf" for part in (1, 2, 3)]
    folder = {
        "config.json": stubbed_model[0],
        "tokenizer.json": b"{}",
        "model.safetensors.index.json": b'{"weight_map": {"a": "x.safetensors"}}',
    }
    for name, data in {**folder, "x.safetensors": stubbed_model[0]}.items():
        site.served.files[f"/m/hf/{name}"] = data
    expected = ["config.json", "tokenizer.json", "model.safetensors.index.json", "x.safetensors"]
    assert load(stubbed, "/m/hf/")["info"]["files"] == expected
    for path in [path for path in site.served.files if path.startswith("/m/")]:
        del site.served.files[path]
    assert load(stubbed, "/m/hf/")["info"]["files"] == expected
    names = sorted((stored["name"], stored["complete"]) for stored in stubbed.evaluate("() => fanlight.listModels()"))
    assert names == [("hf", True), ("s-00002-of-00003.gguf", True)]


def test_no_room_in_the_store(stubbed, site, stubbed_model):
    session = stubbed.context.new_cdp_session(stubbed)
    session.send("Storage.overrideQuotaForOrigin", {"origin": site.url, "quotaSize": 5_000_000})
    error = load(stubbed)["error"]
    assert error["name"] == "SourceError" and "storage" in error["message"] and "store: false" in error["hint"]
    assert load(stubbed, store=False)["info"]["hash"] == stubbed_model[1]
