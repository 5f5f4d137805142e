"""The page's client and worker, with a stub for the engine: bytes arrive on the GPU from everywhere, requests go and come,
errors keep their class."""

import gzip
import random
import struct
import subprocess
from pathlib import Path

import pytest

from tests.web.programs import hash_words
from tests.web.stub_engine import stubbed_sources

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
NUM_WORDS = 2_500_000  # 10 MB: several windows, several blocks of a URL


@pytest.fixture(scope="module")
def model() -> tuple[bytes, int]:
    """A file that the stub engine takes, and the hash of its weights."""
    data = random.Random(7).randbytes(4 * NUM_WORDS)
    return struct.pack("<4sIH", b"tiny", NUM_WORDS, 0) + data, hash_words(list(struct.unpack(f"<{NUM_WORDS}I", data)))


@pytest.fixture(scope="module")
def python_files(assets, tmp_path_factory):
    """The files that Python boots from, with the stub in place of the engine."""
    folder = tmp_path_factory.mktemp("stub")
    sources, snapshot = folder / "sources.gz", folder / "snapshot.gz"
    sources.write_bytes(stubbed_sources((assets / "fanlight" / "python-sources.json.gz").read_bytes()))
    subprocess.run(["node", "snapshot.mjs", str(sources), str(snapshot)], cwd=ROOT / "web", check=True, stdout=subprocess.PIPE)
    return {
        "/fanlight/python-sources.json.gz": sources.read_bytes(),
        "/fanlight/snapshot.bin.gz": snapshot.read_bytes(),
    }


@pytest.fixture
def stubbed(site, page, model, python_files):
    """`page`, where the engine is the stub's; at /m/model.gguf is its model."""
    site.served.files.update(python_files)
    site.served.files["/m/model.gguf"] = model[0]
    page.evaluate("async () => { globalThis.fanlight = await import('/fanlight/index.js'); }")
    return page


LOAD = """async ([model, options]) => {
  const progress = [];
  try {
    const engine = await fanlight.load(model, { ...options, onProgress: (p) => progress.push(p) });
    globalThis.engine = engine;
    return { info: engine.info, progress, stored: await fanlight.listModels() };
  } catch (error) {
    const { name, message, where, hint, param } = error;
    const isClass = fanlight[name] !== undefined && error instanceof fanlight[name];
    return { error: { name, message, where, hint, param, isClass }, progress };
  }
}"""


def load(page, model="/m/model.gguf", **options):
    return page.evaluate(LOAD, [model, options])


def model_requests(site):
    return [asked for path, asked in site.served.requests if path == "/m/model.gguf"]


def test_a_url_is_streamed_stored_and_reused_without_the_network(stubbed, site, model):
    done = load(stubbed, contextLength=16)
    assert done.get("info", done)["hash"] == model[1]
    assert done["info"]["ids"] == [1, 0]
    assert done["info"]["options"] == [16, 4]
    (stored,) = done["stored"]
    assert (stored["name"], stored["sizeBytes"], stored["complete"]) == ("model.gguf", len(model[0]), True)
    phases = [p["phase"] for p in done["progress"]]
    assert sorted(set(phases), key=phases.index) == ["runtime", "header", "compile", "weights", "ready"]
    weights = [p["loadedBytes"] for p in done["progress"] if p["phase"] == "weights"]
    assert weights == sorted(weights) and weights[-1] == 4 * NUM_WORDS
    site.served.requests.clear()
    del site.served.files["/m/model.gguf"]
    assert load(stubbed)["info"]["hash"] == model[1]
    assert load(stubbed, {"opfs": "model.gguf"})["info"]["hash"] == model[1]
    assert model_requests(site) == []
    assert stubbed.evaluate("([url]) => fanlight.deleteModel(url)", [stored["url"]]) is True
    assert stubbed.evaluate("() => fanlight.listModels()") == []
    gone = load(stubbed)["error"]
    assert (gone["name"], gone["isClass"]) == ("SourceError", True) and "404" in gone["message"]


def test_the_end_of_a_large_file_is_read_before_all_of_it_came(stubbed, site, model):
    """More than is downloaded before it is known to fit."""
    site.served.files["/m/large.gguf"] = model[0] + bytes(260 << 20)
    assert load(stubbed, "/m/large.gguf")["info"]["hash"] == model[1]
    assert load(stubbed, "/m/large.gguf")["info"]["hash"] == model[1]


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


def test_browsers_that_do_not_share_handles(stubbed, site, model, assets):
    for name in ("worker.js", "files.js"):
        site.served.files[f"/fanlight/{name}"] = OLDER.encode() + (assets / "fanlight" / name).read_bytes()
    assert load(stubbed)["info"]["hash"] == model[1]
    site.served.requests.clear()
    assert load(stubbed)["info"]["hash"] == model[1] and model_requests(site) == []


def test_without_storing_and_from_a_file(stubbed, model):
    done = load(stubbed, store=False)
    assert done["info"]["hash"] == model[1] and done["stored"] == []
    code = LOAD.replace("[model, options]", "[path, options]").replace(
        "const progress", "const model = new File([await (await fetch(path)).blob()], 'chosen.gguf'); const progress"
    )
    done = stubbed.evaluate(code, ["/m/model.gguf", {}])
    assert done["info"]["hash"] == model[1] and done["info"]["model"] == "chosen.gguf"


def test_only_the_piece_that_broke_is_asked_for_again(stubbed, site, model):
    site.served.cut_after = 3_000_000
    done = load(stubbed)
    assert done.get("info", done)["hash"] == model[1]
    starts = [int(asked.removeprefix("bytes=").split("-")[0]) for asked in model_requests(site)]
    assert sorted(set(starts)) == [0, 4 << 20, 8 << 20] and len(starts) == 5, "the file's start, and one piece twice"


def test_an_aborted_load_keeps_what_arrived(stubbed, site, model):
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
    assert not done["stored"]["complete"] and 500_000 < done["stored"]["storedBytes"] < len(model[0])
    site.served.delay_s = 0
    site.served.requests.clear()
    assert load(stubbed)["info"]["hash"] == model[1]
    starts = [int(asked.removeprefix("bytes=").split("-")[0]) for asked in model_requests(site)]
    assert starts[-1] > 500_000


def test_a_changed_file_is_fetched_anew(stubbed, site, model):
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
    other = model[0][:10] + bytes(4 * NUM_WORDS)
    site.served.files["/m/model.gguf"] = other
    assert load(stubbed)["info"]["hash"] == 0


def test_errors_keep_their_class(stubbed, site):
    site.served.files["/m/other.gguf"] = b"nonsense" * 2
    wrong = load(stubbed, "/m/other.gguf")["error"]
    expected = {"name": "FormatError", "message": "is no tiny model", "where": "other.gguf", "hint": "Make one."}
    assert wrong == {**expected, "param": None, "isClass": True}
    refused = load(stubbed, "/m/none.gguf")["error"]
    assert refused["name"] == "SourceError" and refused["isClass"] and "404" in refused["message"]


def test_a_server_without_ranges_is_read_once(stubbed, site, model):
    served = site.served
    served.ranges = False

    def body(path):
        if path == "/m/model.gguf" and len(model_requests(site)) == 2:
            served.cut_after = 3_000_000
        return type(served).body(served, path)

    served.body = body
    assert load(stubbed)["info"]["hash"] == model[1]
    assert len(model_requests(site)) == 3  # to see what it is; broken off; whole
    served.requests.clear()
    assert load(stubbed)["info"]["hash"] == model[1] and model_requests(site) == []
    assert load(stubbed, store=False)["info"]["hash"] == model[1], "kept in memory, for this visit"


@pytest.mark.parametrize("what", ["etag", "modified"])
def test_a_file_that_is_replaced_meanwhile_is_no_mixture(stubbed, site, model, what):
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
            served.files[path] = bytes(len(model[0]))
        return type(served).body(served, asked_path)

    served.body = body
    error = load(stubbed)["error"]
    assert error["name"] == "SourceError" and "changed on the server" in error["message"]


@pytest.mark.minutes
def test_one_byte_now_and_then_is_not_waited_for(stubbed, site, model):
    site.served.drip_s = 1.0
    error = load(stubbed, store=False)["error"]
    assert error["name"] == "SourceError" and "stalled" in error["message"]


NO_ADAPTER = "Object.defineProperty(navigator.gpu, 'requestAdapter', { value: async () => null });\n"


def test_without_an_adapter_nothing_else_is_waited_for(stubbed, site, assets):
    site.served.files["/fanlight/worker.js"] = NO_ADAPTER.encode() + (assets / "fanlight" / "worker.js").read_bytes()
    found = load(stubbed)
    assert (found["error"]["name"], found["error"]["isClass"]) == ("NoAdapter", True) and found["error"]["hint"]
    assert [p["phase"] for p in found["progress"]] == ["runtime"]


REQUESTS = """async () => {
  const { chat, models } = engine;
  const say = (content, more) => chat.completions.create({ messages: [{ role: "user", content }], ...more });
  const caught = async (promise) => {
    try {
      return await promise;
    } catch (error) {
      return { name: error.name, message: error.message, hint: error.hint, param: error.param,
               same: error instanceof (fanlight[error.name] ?? DOMException) };
    }
  };
  const out = { models: await models.list(), plain: (await say("abc")).choices[0].message.content };
  out.streamed = [];
  for await (const chunk of await say("héllo", { stream: true })) out.streamed.push(chunk.choices[0].delta.content);
  out.overflow = await caught(say("overflow"));
  out.bug = await caught(say("bug"));
  for await (const chunk of await say("left early, and quite long", { stream: true })) break;
  const aborter = new AbortController();
  const stream = await chat.completions.create(
    { messages: [{ role: "user", content: "aborted, and quite long" }], stream: true }, { signal: aborter.signal });
  out.aborted = await caught((async () => { for await (const chunk of stream) aborter.abort(); })());
  await new Promise((resolve) => setTimeout(resolve, 100));
  out.afterwards = await say("aborted?");
  const both = await Promise.all([say("one"), say("two")]);
  out.both = both.map((answer) => answer.choices[0].message.content);
  const readAll = async (stream) => { for await (const chunk of await stream); };
  const open = caught(readAll(say("still open when the engine closes", { stream: true })));
  await engine.close();
  out.closedOpen = await open;
  out.closed = await caught(say("late"));
  return out;
}"""


def test_requests(stubbed):
    load(stubbed)
    out = stubbed.evaluate(REQUESTS)
    assert out["models"]["data"][0]["id"] == "model.gguf"
    assert out["plain"] == "cba"
    assert out["streamed"] == list("héllo")
    overflow = {"name": "ContextOverflow", "message": "too long", "hint": "Say less.", "param": "messages", "same": True}
    assert out["overflow"] == overflow
    assert out["bug"]["name"] == "FanlightError" and "ZeroDivisionError" in out["bug"]["message"]
    assert out["aborted"]["name"] == "AbortError"
    assert out["afterwards"]["choices"][0]["message"]["content"] == "2"
    assert out["both"] == ["eno", "owt"]
    assert out["closed"]["name"] == "EngineClosed" and out["closed"]["same"]
    assert out["closedOpen"]["name"] in ("EngineClosed", "AbortError")


SEVERAL = """async ([one, two, slow]) => {
  const name = (promise) => promise.then(() => null, ({ name }) => name);
  const workers = [];
  const Plain = Worker;
  globalThis.Worker = class extends Plain {
    constructor(...args) { super(...args); workers.push(this); }
  };
  const engine = await fanlight.load(one);
  const body = (model, content) => ({ model, messages: [{ role: "user", content }] });
  const ask = (model, content, more) => engine.chat.completions.create({ ...body(model, content), ...more });
  const say = async (model, content) => (await ask(model, content)).choices[0].message.content;
  const ids = async () => (await engine.models.list()).data.map(({ id }) => id);
  const phases = [];
  const names = [await engine.load(two, { onProgress: ({ phase }) => phases.push(phase) })];
  const loading = ["again", "more"].map((name) => engine.load(one, { name }));
  names.push(...(await Promise.all(loading)));
  await engine.unload("more");
  const out = { names, workers: workers.length, phases: [...new Set(phases)] };
  out.same = await name(engine.load(two));
  const aborter = new AbortController();
  const onProgress = (p) => { if (p.loadedBytes > 500_000) aborter.abort(); };
  out.aborted = await name(engine.load(slow, { signal: aborter.signal, onProgress, store: false }));
  out.wrong = await name(engine.load("/m/none.gguf"));
  const late = new AbortController();
  const onLast = ({ loadedBytes, totalBytes }) => { // meanwhile it is loaded, and says so
    for (const until = performance.now() + 1500; loadedBytes && loadedBytes === totalBytes && performance.now() < until; );
    if (loadedBytes && loadedBytes === totalBytes) late.abort();
  };
  out.late = await name(engine.load(one, { name: "late", signal: late.signal, onProgress: onLast }));
  out.ids = await ids();
  out.hashes = await Promise.all([...out.ids, undefined].map((model) => say(model, "hash")));
  const [, second, again] = out.ids;
  out.lost = name((async () => {
    for await (const chunk of await ask(again, "open while its model is unloaded, and long", { stream: true }));
  })());
  const open = (async () => {
    let text = "";
    for await (const { choices } of await ask(second, "open while another", { stream: true })) text += choices[0].delta.content;
    return text;
  })();
  await new Promise((resolve) => setTimeout(resolve, 100));
  await engine.unload(again);
  out.open = await open;
  out.left = [await ids(), await say(second, "abc"), await name(say(again, "abc")), await name(engine.unload(again))];
  out.back = await engine.load(one, { name: again });
  out.hashes.push(await say(again, "hash"));
  await engine.close();
  out.closed = [await name(say(second, "abc")), await name(engine.load(one)), await name(engine.unload(second))];
  return out;
}"""


def test_an_engine_has_several_models(stubbed, site, model):
    """In one worker. Each has its own name, weights, answers and end; one that is aborted or fails leaves the others be."""
    other = model[0][:10] + model[0][:5:-1]
    site.served.files["/m/other.gguf"] = other[: len(model[0])]
    site.served.files["/m/slow.gguf"] = model[0]
    site.served.slow_from, site.served.delay_s = 4 << 20, 0.02
    out = stubbed.evaluate(SEVERAL, ["/m/model.gguf", "/m/other.gguf", "/m/slow.gguf"])
    assert (out["names"], out["workers"]) == (["other.gguf", "again", "more"], 1)
    assert out["phases"] == ["runtime", "header", "compile", "weights", "ready"]
    assert (out["same"], out["aborted"], out["wrong"]) == ("RequestError", "AbortError", "SourceError")
    assert out["late"] == "AbortError"
    assert out["ids"] == ["model.gguf", "other.gguf", "again"]
    first, second = model[1], hash_words(list(struct.unpack(f"<{NUM_WORDS}I", other[10 : len(model[0])])))
    assert out["hashes"] == [str(found) for found in (first, second, first, first, first)]
    assert out["open"] == "open while another"
    assert out["left"] == [["model.gguf", "other.gguf"], "cba", "RequestError", "RequestError"]
    assert out["back"] == "again"
    assert out["closed"] == ["EngineClosed"] * 3


# In worker.js: counts the workers that it starts and ends, and loses its GPU devices when it is told to.
WATCHED = """
const said = new BroadcastChannel("watched");
globalThis.Worker = class extends Worker {
  constructor(url, options) { super(url, options); this.title = options.name; said.postMessage([this.title, 1]); }
  terminate() { super.terminate(); said.postMessage([this.title, -1]); }
};
const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (wanted) {
  const device = await requestDevice.call(this, wanted);
  new BroadcastChannel("lose").onmessage = () => device.destroy();
  return device;
};
"""

BUDGET = """async ([one, memoryBytes]) => {
  let tokenizers = 0;
  new BroadcastChannel("watched").onmessage = ({ data: [name, by] }) => {
    if (name === "fanlight tokenizer") tokenizers += by;
  };
  const settled = async (count) => {
    for (const until = performance.now() + 5000; tokenizers !== count && performance.now() < until; ) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return tokenizers;
  };
  const caught = (promise) => promise.then(() => null, ({ name }) => name);
  const say = async (engine, model, content) =>
    (await engine.chat.completions.create({ model, messages: [{ role: "user", content }] })).choices[0].message.content;
  const hash = (engine, model) => say(engine, model, "hash");
  const strict = await fanlight.load(one, { name: "a", memoryBytes });
  const out = { strict: [await strict.load(one, { name: "b" }), await caught(strict.load(one, { name: "c" }))] };
  await strict.unload("b");
  out.strict.push(await strict.load(one, { name: "c" }), await caught(strict.load(one, { name: "b" })));
  await strict.close();
  const roomy = await fanlight.load(one, { name: "a", memoryBytes, makesRoom: true });
  await roomy.load(one, { name: "b" });
  out.hashes = [await hash(roomy, "a"), await hash(roomy, "b")];
  await roomy.load(one, { name: "c", keepAlive: 0 }); // in place of a
  out.hashes.push(await hash(roomy, "c"), await hash(roomy, "a"), await hash(roomy, "b")); // c goes at once, so both have room
  const messages = [{ role: "user", content: "long enough" }];
  const answering = roomy.chat.completions.create({ model: "a", messages, stream: true });
  const reading = (async () => { for await (const chunk of await answering); })();
  out.hashes.push(await hash(roomy, "c")); // in place of b, for a answers
  out.busy = await caught(Promise.all([reading, hash(roomy, "c")]));
  out.ids = (await roomy.models.list()).data.map(({ id }) => id);
  out.tokenizers = [await settled(1)]; // of a: b made room, and c went at once
  await roomy.unload("c");
  await roomy.load(one, { name: "c", keepAlive: 0.05 });
  out.tokenizers.push(await settled(2));
  await hash(roomy, "c");
  out.tokenizers.push(await settled(1));
  await roomy.unload("b");
  await roomy.unload("a");
  out.tokenizers.push(await settled(0));
  await roomy.close();
  return out;
}"""


def watch(site, assets):
    site.served.files["/fanlight/worker.js"] = WATCHED.encode() + (assets / "fanlight" / "worker.js").read_bytes()


def test_one_memory_for_all_models(stubbed, site, assets, model):
    """What does not fit is refused, or takes the place of what was not used for longest; what was unloaded comes when it is
    asked for. What else a model has in the page goes with it."""
    watch(site, assets)
    out = stubbed.evaluate(BUDGET, ["/m/model.gguf", int(2.5 * 4 * NUM_WORDS)])
    assert out["strict"] == ["b", "DoesNotFit", "c", "DoesNotFit"]
    assert out["hashes"] == [str(model[1])] * 6 and out["busy"] is None
    assert out["ids"] == ["a", "b", "c"]
    assert out["tokenizers"] == [1, 2, 1, 0]


LOSE = """async (one) => {
  const engine = await fanlight.load(one, { name: "a" });
  const messages = [{ role: "user", content: "hash" }];
  const hash = async (model) => (await engine.chat.completions.create({ model, messages })).choices[0].message.content;
  new BroadcastChannel("lose").postMessage("now");
  await new Promise((resolve) => setTimeout(resolve, 500));
  const lost = await hash("a").then(() => null, ({ name }) => name);
  await engine.load(one, { name: "b" });
  const found = [await hash("b")];
  await engine.unload("a");
  await engine.load(one, { name: "a" });
  found.push(await hash("a"), await hash("b"));
  await engine.close();
  return { lost, found };
}"""


def test_a_lost_gpu_is_opened_anew_for_the_next_model(stubbed, site, assets, model):
    watch(site, assets)
    out = stubbed.evaluate(LOSE, "/m/model.gguf")
    assert out == {"lost": "DeviceLost", "found": [str(model[1])] * 3}


UNKNOWN = """async () => {
  const caught = (promise) => promise.then(() => null, ({ name, message, param, hint }) => ({ name, message, param, hint }));
  let files = 0;
  new BroadcastChannel("watched").onmessage = ({ data: [name, by] }) => void (files += name === "fanlight files" ? by : 0);
  const engine = await fanlight.load("/m/model.gguf", { contextOverflow: "drop_oldest", contextLength: undefined });
  const out = [
    await caught(fanlight.load("/m/model.gguf", { contextSize: 1 })),
    await caught(engine.load("/m/model.gguf", { makesRoom: true })),
    await caught(engine.load("/m/model.gguf", { name: "b", contextOverflow: "forget" })),
    await caught(engine.load("/m/model.gguf", { name: "b", keepAlive: "1h" })),
  ];
  for (const until = performance.now() + 5000; files !== 1 && performance.now() < until; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  out.push(files);
  await engine.close();
  out.push(await caught(fanlight.load("/m/model.gguf", { memoryBytes: 1.5 })));
  return out;
}"""


def test_options_that_nobody_knows_are_refused(stubbed, site, assets):
    watch(site, assets)
    size, room, overflow, keep, files, memory = stubbed.evaluate(UNKNOWN)
    assert (size["name"], size["param"]) == ("RequestError", "contextSize")
    assert "contextLength" in size["hint"] and "makesRoom" in size["hint"] and "contextSize" in size["message"]
    assert (room["name"], room["param"]) == ("RequestError", "makesRoom") and "keepAlive" in room["hint"]
    assert "makesRoom" not in room["hint"], "it is of the engine's first model"
    assert (overflow["name"], overflow["param"]) == ("RequestError", "context_overflow") and "forget" in overflow["message"]
    assert (keep["name"], keep["param"]) == ("RequestError", "keep_alive")
    assert files == 1, "the first model's, which ends by itself: those of what was refused were ended"
    assert (memory["name"], memory["param"]) == ("RequestError", "memory_bytes")


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


def test_parts_of_a_split_file_and_a_folder(stubbed, site, model):
    """A name with -00001-of-0000N stands for all parts, a folder for Hugging Face's files; both work offline afterwards."""
    for part in range(1, 4):
        site.served.files[f"/m/s-{part:05}-of-00003.gguf"] = model[0]
    assert load(stubbed, "/m/s-00002-of-00003.gguf")["info"]["files"] == [f"s-{part:05}-of-00003.gguf" for part in (1, 2, 3)]
    folder = {
        "config.json": model[0],
        "tokenizer.json": b"{}",
        "model.safetensors.index.json": b'{"weight_map": {"a": "x.safetensors"}}',
    }
    for name, data in {**folder, "x.safetensors": model[0]}.items():
        site.served.files[f"/m/hf/{name}"] = data
    expected = ["config.json", "tokenizer.json", "model.safetensors.index.json", "x.safetensors"]
    assert load(stubbed, "/m/hf/")["info"]["files"] == expected
    for path in [path for path in site.served.files if path.startswith("/m/")]:
        del site.served.files[path]
    assert load(stubbed, "/m/hf/")["info"]["files"] == expected
    names = sorted((stored["name"], stored["complete"]) for stored in stubbed.evaluate("() => fanlight.listModels()"))
    assert names == [("hf", True), ("s-00002-of-00003.gguf", True)]


def test_no_room_in_the_store(stubbed, site, model):
    session = stubbed.context.new_cdp_session(stubbed)
    session.send("Storage.overrideQuotaForOrigin", {"origin": site.url, "quotaSize": 5_000_000})
    error = load(stubbed)["error"]
    assert error["name"] == "SourceError" and "storage" in error["message"] and "store: false" in error["hint"]
    assert load(stubbed, store=False)["info"]["hash"] == model[1]


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


def test_packed_files_that_the_server_calls_encoded(stubbed, site, model):
    """Development servers do: the browser unpacks them then, and there is nothing left to unpack."""
    served = site.served
    for name in ("python-sources.json.gz", "snapshot.bin.gz", "pyodide.asm.wasm.gz", "python_stdlib.zip.gz"):
        served.files[f"/fanlight/{name}"] = gzip.decompress(served.body(f"/fanlight/{name}"))
    said: list[str] = []
    stubbed.on("console", lambda message: said.append(message.text))
    assert load(stubbed)["info"]["hash"] == model[1]
    assert not said


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_server_without_the_interpreter(stubbed, site, is_cut):
    path = "/fanlight/pyodide.asm.wasm.gz"
    site.served.files[path] = site.served.body(path)[:2_000_000] if is_cut else b"<!doctype html><p>Not found, with status 200."
    error = load(stubbed)["error"]
    assert error["name"] == "SourceError" and path in error["where"]
    assert ("read" if is_cut else "WebAssembly") in error["message"]


@pytest.mark.parametrize("packed", [gzip.compress(bytes(4096)), b"does not arrive"], ids=["wrong", "broken"])
def test_without_a_usable_snapshot_the_boot_is_plain(stubbed, site, model, packed):
    site.served.files["/fanlight/snapshot.bin.gz"] = packed
    said: list[str] = []
    stubbed.on("console", lambda message: said.append(message.text))
    assert load(stubbed)["info"]["hash"] == model[1]
    assert any("snapshot" in text for text in said)


OPENAI = """async () => {
  const { default: OpenAI } = await import("/openai/index.mjs");
  const client = new OpenAI({
    fetch: engine.fetch, apiKey: "-", baseURL: "http://fanlight.invalid/v1", dangerouslyAllowBrowser: true, maxRetries: 0,
  });
  const ask = (content, more) => client.chat.completions.create({ model: "m", messages: [{ role: "user", content }], ...more });
  const out = { plain: (await ask("abc")).choices[0].message.content, streamed: [] };
  for await (const chunk of await ask("héllo", { stream: true })) out.streamed.push(chunk.choices[0].delta.content);
  out.models = [];
  for await (const model of client.models.list()) out.models.push(model.id);
  try {
    await ask("overflow");
  } catch (error) {
    out.error = [error.status, error.param, error.code, error instanceof OpenAI.BadRequestError];
  }
  for await (const chunk of await ask("left early, and quite long", { stream: true })) break;
  await new Promise((resolve) => setTimeout(resolve, 200));
  out.aborted = (await ask("aborted?")).choices[0].message.content;
  return out;
}"""


def test_the_openai_client_works_unchanged(stubbed, site):
    site.served.folders = {"/openai/": ROOT / "web" / "node_modules" / "openai", **site.served.folders}
    load(stubbed)
    out = stubbed.evaluate(OPENAI)
    assert (out["plain"], out["streamed"], out["models"]) == ("cba", list("héllo"), ["model.gguf"])
    assert out["error"] == [400, "messages", "context_length_exceeded", True]
    assert out["aborted"] == "1"
