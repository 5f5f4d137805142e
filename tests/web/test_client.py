"""The page's client and worker, with a stub for the engine: requests go and come, models too, errors keep their class."""

import struct

import pytest

from tests.web.programs import hash_words
from tests.web.stubbed import NUM_WORDS, ROOT, load

pytestmark = pytest.mark.browser


def test_errors_keep_their_class(stubbed, site):
    site.served.files["/m/other.gguf"] = b"nonsense" * 2
    wrong = load(stubbed, "/m/other.gguf")["error"]
    expected = {"name": "FormatError", "message": "is no tiny model", "where": "other.gguf", "hint": "Make one."}
    assert wrong == {**expected, "param": None, "isClass": True}
    refused = load(stubbed, "/m/none.gguf")["error"]
    assert refused["name"] == "SourceError" and refused["isClass"] and "404" in refused["message"]


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


def test_an_engine_has_several_models(stubbed, site, stubbed_model):
    """In one worker. Each has its own name, weights, answers and end; one that is aborted or fails leaves the others be."""
    other = stubbed_model[0][:10] + stubbed_model[0][:5:-1]
    site.served.files["/m/other.gguf"] = other[: len(stubbed_model[0])]
    site.served.files["/m/slow.gguf"] = stubbed_model[0]
    site.served.slow_from, site.served.delay_s = 4 << 20, 0.02
    out = stubbed.evaluate(SEVERAL, ["/m/model.gguf", "/m/other.gguf", "/m/slow.gguf"])
    assert (out["names"], out["workers"]) == (["other.gguf", "again", "more"], 1)
    assert out["phases"] == ["runtime", "header", "compile", "weights", "ready"]
    assert (out["same"], out["aborted"], out["wrong"]) == ("RequestError", "AbortError", "SourceError")
    assert out["late"] == "AbortError"
    assert out["ids"] == ["model.gguf", "other.gguf", "again"]
    first, second = stubbed_model[1], hash_words(list(struct.unpack(f"<{NUM_WORDS}I", other[10 : len(stubbed_model[0])])))
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


def test_one_memory_for_all_models(stubbed, site, assets, stubbed_model):
    """What does not fit is refused, or takes the place of what was not used for longest; what was unloaded comes when it is
    asked for. What else a model has in the page goes with it."""
    watch(site, assets)
    out = stubbed.evaluate(BUDGET, ["/m/model.gguf", int(2.5 * 4 * NUM_WORDS)])
    assert out["strict"] == ["b", "DoesNotFit", "c", "DoesNotFit"]
    assert out["hashes"] == [str(stubbed_model[1])] * 6 and out["busy"] is None
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


def test_a_lost_gpu_is_opened_anew_for_the_next_model(stubbed, site, assets, stubbed_model):
    watch(site, assets)
    out = stubbed.evaluate(LOSE, "/m/model.gguf")
    assert out == {"lost": "DeviceLost", "found": [str(stubbed_model[1])] * 3}


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
