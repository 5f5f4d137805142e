// The calls of tests/web/test_webllm_workers.py.

export const talk = async ([client, handler]) => {
  const webllm = await import(client);
  const worker = new Worker(`/pages/webllm_worker.js?from=${handler}`, { type: "module" });
  await new Promise((resolve) => worker.addEventListener("message", resolve, { once: true }));
  const reports = [], found = {};
  const engine = new webllm.WebWorkerMLCEngine(worker, { initProgressCallback: (r) => reports.push(r), logLevel: "ERROR", appConfig: { model_list: [] } });
  const failed = (promise) => promise.then((value) => JSON.stringify(value), (error) => String(error));
  const all = async (stream) => { const texts = []; for await (const chunk of stream) texts.push(chunk.choices[0].text); return texts; };
  found.early = (await failed(engine.chat.completions.create({ messages: [] }))).replace(/: \\w+ is/, ": ... is");
  found.missing = await failed(engine.reload("nobody"));
  await engine.reload(["a", "b"], [{ temperature: 1 }, {}]);
  found.unclear = (await failed(engine.chat.completions.create({ messages: [] }))).slice(0, 24);
  const messages = [{ role: "user", content: "Hi" }];
  found.chat = await engine.chat.completions.create({ messages, model: "a" });
  found.completion = await engine.completions.create({ prompt: "x", model: "b" });
  found.embedding = await engine.embeddings.create({ input: "x", model: "b" });
  found.streamed = await all(await engine.chat.completions.create({ messages, model: "a", stream: true }));
  found.written = await all(await engine.completions.create({ prompt: "x", model: "a", stream: true }));
  for await (const chunk of await engine.chat.completions.create({ messages, model: "a", stream: true })) break;
  found.broken = await failed(all(await engine.chat.completions.create({ messages, model: "a", stream: true, max_tokens: 1 })));
  engine.interruptGenerate();
  found.token = await engine.forwardTokensAndSample([1, 2], true, "a");
  found.stats = await engine.runtimeStatsText("a");
  found.device = [await engine.getGPUVendor(), await engine.getMaxStorageBufferBindingSize()];
  found.sessions = await engine.listResumableSessions();
  found.resumed = await engine.resumeChatCompletion("s");
  found.resumedStream = await all(await engine.resumeChatCompletion("s", { continueGeneration: true, stream: true }));
  await engine.deleteResumableSession("s");
  await engine.resetChat(true, "a");
  worker.postMessage({ kind: "hello", uuid: "not for this" });
  found.calls = JSON.parse(await engine.getMessage());
  await engine.unload();
  found.gone = (await failed(engine.completions.create({ prompt: "x" }))).slice(0, 30);
  found.reports = reports;
  worker.terminate();
  return found;
};

export const checks = async () => {
  const found = [];
  const user = [{ role: "user", content: "Hi" }];
  const tools = [{ type: "function", function: { name: "f" } }];
  const image = (url, detail) => [{ role: "user", content: [{ type: "image_url", image_url: { url, ...(detail && { detail }) } }] }];
  const texts = [{ role: "user", content: [{ type: "text", text: "a" }, { type: "text", text: "b" }] }];
  const chats = [
[{ messages: user }, "m", 0], [{ messages: user, tools }, "m", 0], [{ messages: user, tools }, "Hermes-3-Llama-3.1-8B-q4f16_1-MLC", 0],
[{ messages: user, tools, response_format: { type: "text" } }, "Hermes-3-Llama-3.1-8B-q4f16_1-MLC", 0],
[{ messages: [{ role: "system", content: "s" }, ...user], tools }, "Hermes-3-Llama-3.1-8B-q4f16_1-MLC", 0],
[{ messages: image("http://a/b.png") }, "m", 2], [{ messages: image("ftp://a") }, "m", 2], [{ messages: image("http://a", "low") }, "m", 2],
[{ messages: texts }, "m", 2], [{ messages: texts }, "m", 0], [{ messages: user, stream: true, n: 2 }, "m", 0],
[{ messages: user, seed: 0.5 }, "m", 0], [{ messages: user, response_format: { type: "json_object", schema: "{}" } }, "m", 0],
[{ messages: user, response_format: { type: "json_object", grammar: "x" } }, "m", 0],
[{ messages: user, response_format: { type: "text", structural_tag: "{}" } }, "m", 0],
  ];
  for (const from of ["/fanlight/webllm.js", "/original/index.js"]) {
const w = await import(from);
const tried = (check) => { try { check(); return "fine"; } catch (error) { return `${error.name}: ${error.message.slice(0, 30)}`; } };
found.push([
  ...chats.map((given) => tried(() => w.postInitAndCheckFieldsChatCompletion(...structuredClone(given)))),
  ...[{ prompt: "a", user: "u" }, { prompt: "a", n: 2, stream: true }, { prompt: "a", extra_body: { resumable: {} } }, { prompt: "a", stream_options: {} }]
    .map((request) => tried(() => w.postInitAndCheckFieldsCompletion(request, "m"))),
  ...[{ input: "" }, { input: [] }, { input: ["a", ""] }, { input: [1, 2] }, { input: "a", dimensions: 3 }, { input: "a", encoding_format: "base64" }]
    .map((request) => tried(() => w.postInitAndCheckFieldsEmbedding(request, "m"))),
]);
  }
  return found;
};

export const join = async () => {
  globalThis.webllm = await import("/fanlight/webllm.js");
  await navigator.serviceWorker.register("/sw.js", { type: "module", scope: "/" });
  await navigator.serviceWorker.ready;
  globalThis.engine = new webllm.ServiceWorkerMLCEngine({ logLevel: "INFO" }, 200);
  const vendor = await engine.getGPUVendor();
  const missing = await engine.reload("nobody").catch((error) => error.name);
  await new Promise((resolve) => setTimeout(resolve, 700));
  return [vendor, missing, engine.missedHeartbeat < 3, engine.missedHeatbeat === engine.missedHeartbeat];
};

/** The page's own question to it, before and while there is an engine, and an engine that the class alone makes. */
export const chatsServiceWorker = async () => {
  const webllm = await import("/fanlight/webllm.js");
  await navigator.serviceWorker.register("/chat/sw.js", { type: "module", scope: "/chat/" });
  while (!navigator.serviceWorker.controller?.scriptURL.endsWith("/chat/sw.js")) await new Promise((resolve) => setTimeout(resolve, 20));
  const canRun = (uuid) => new Promise((resolve) => {
    navigator.serviceWorker.addEventListener("message", ({ data }) => data.uuid === uuid && resolve(data.content));
    navigator.serviceWorker.startMessages();
    navigator.serviceWorker.controller.postMessage({ kind: "checkWebGPUAvilability", uuid });
  });
  const before = await canRun("q1");
  const engine = new webllm.ServiceWorkerMLCEngine({ appConfig: { ...webllm.prebuiltAppConfig, useIndexedDBCache: false }, logLevel: "WARN" }, 200);
  engine.setLogLevel("ERROR");
  const vendor = await engine.getGPUVendor();
  const wrong = await engine.reload("nobody", { model: "nobody", cache: "cache", stream: true }).catch((error) => error.name);
  await new Promise((resolve) => setTimeout(resolve, 500));
  return [before, vendor, wrong, await canRun("q2"), engine.missedHeatbeat < 3];
};

export const extension = async (isServiceWorker) => {
  const webllm = await import("/fanlight/webllm.js");
  const ports = () => {
    const made = [0, 1].map(() => { const heard = [], gone = []; return { heard, gone, onMessage: { addListener: (f) => heard.push(f) }, onDisconnect: { addListener: (f) => gone.push(f) } }; });
    made.forEach((port, i) => (port.postMessage = (message) => queueMicrotask(() => made[1 - i].heard.forEach((f) => f(JSON.parse(JSON.stringify(message)))))));
    return made;
  };
  const [there, here] = ports();
  const { Worker } = globalThis;
  if (isServiceWorker) delete globalThis.Worker;
  const handler = new webllm.ExtensionServiceWorkerMLCEngineHandler(there);
  globalThis.Worker = Worker;
  there.onMessage.addListener(handler.onmessage.bind(handler));
  globalThis.chrome = { runtime: { connect: ({ name }) => (name === "web_llm_service_worker" ? here : null) } };
  let isGone = false;
  const engine = new webllm.ExtensionServiceWorkerMLCEngine({ onDisconnect: () => (isGone = true) }, 100);
  const found = [await engine.getGPUVendor(), await engine.reload("nobody").catch((error) => error.name)];
  here.gone.forEach((f) => f(here));
  return [...found, isGone];
};

export const whatIsExported = async () => {
  const [ours, theirs] = await Promise.all([import("/fanlight/webllm.js"), import("/original/index.js")]);
  const facts = ({ modelVersion, modelLibURLPrefix, functionCallingModelIds, prebuiltAppConfig, ModelType, ARTIFACT_SCHEMA_VERSION }) =>
    ({ modelVersion, modelLibURLPrefix, functionCallingModelIds, prebuiltAppConfig, ModelType, ARTIFACT_SCHEMA_VERSION });
  return [Object.keys(ours).sort(), Object.keys(theirs).sort(), facts(ours), facts(theirs)];
};

export const integrity = async () => {
  const found = [];
  for (const from of ["/fanlight/webllm.js", "/original/index.js"]) {
    const { isValidSRI, verifyIntegrity, IntegrityError } = await import(from);
    const data = new TextEncoder().encode("hello").buffer;
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    const right = "sha256-" + btoa(String.fromCharCode(...hash)), wrong = "sha256-" + btoa(String.fromCharCode(...hash.map((b) => b ^ 1)));
    const verdict = (sri, way) => verifyIntegrity(data, sri, "http://x/y", way).then(() => "right", (e) => [e.name, e instanceof IntegrityError, e.url, e.actual]);
    const valid = [right, "sha256-", "sha512-" + right.slice(7), "md5-AAAA", "sha256-####", right + "=", right.slice(0, -1)].map((sri) => isValidSRI(sri));
    found.push([valid, await verdict(right), await verdict(wrong), await verdict(wrong, "warn"), await verdict("nonsense")]);
  }
  return found;
};

export const thePackageMayBeImportedWhereNothingIs = async () => {
  Object.defineProperty(Navigator.prototype, "gpu", { get: () => undefined });
  const webllm = await import("/fanlight/webllm.js?again");
  const why = await new webllm.MLCEngine().getGPUVendor().catch((error) => error.name);
  const handler = (() => { try { new webllm.ServiceWorkerMLCEngineHandler(); } catch (error) { return error.name; } })();
  return [why, handler];
};
