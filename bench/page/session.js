/* One engine, one model, one load: ?config=JSON with engine, model, prompts, decode, context, repeats, loadOnly. An engine is a
   module beside this one whose `open(config)` gives { generate(numPrompt, numNew), close(), facts }; generate gives
   { ttftMs, prefillTps, decodeTps, engine }. With `calls` in place of prompts it is embed(texts) that is measured, which gives
   the number of tokens. Peaks of memory are noted outside, at each mark. */

import { words } from "/bench/text.js";

const config = JSON.parse(new URLSearchParams(location.search).get("config"));
const post = (path, body) => fetch(path, { method: "POST", body });
const mark = (name) => post("/mark", name);
const lines = [];
for (const kind of ["log", "info", "warn", "error", "debug"]) {
  const original = console[kind];
  console[kind] = (...values) => {
    if (lines.length < 5000) lines.push(`${kind}: ${values.map(String).join(" ").slice(0, 500)}`);
    original.apply(console, values);
  };
}
addEventListener("error", (event) => lines.push(`error: ${event.message}`));
addEventListener("unhandledrejection", (event) => lines.push(`rejection: ${event.reason}`));

async function adapterFacts() {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("this browser gives no WebGPU adapter");
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  return { vendor, architecture, device, description, isFallbackAdapter, features: [...adapter.features].sort() };
}

async function counted(work) {
  const channel = new BroadcastChannel("bench-gpu");
  const counts = { dispatches: 0, submits: 0 };
  channel.onmessage = ({ data }) => {
    for (const name of Object.keys(counts)) counts[name] += data?.[name] ?? 0;
  };
  const settled = () => new Promise((resolve) => setTimeout(resolve, 150));
  channel.postMessage("start");
  await settled();
  await work();
  channel.postMessage("stop");
  await settled();
  channel.close();
  return counts;
}

/* What one more token costs: the difference of a long and a short answer to prompts of one length. */
async function perToken(model) {
  const [few, many, length] = [4, 20, Math.min(...config.prompts)];
  const short = await counted(() => model.generate(length, few));
  const long = await counted(() => model.generate(length, many));
  const each = (name) => (long[name] ? (long[name] - short[name]) / (many - few) : null);
  return { dispatches_per_token: each("dispatches"), submits_per_token: each("submits") };
}

/* Of each call with texts of random words, after two to warm up. */
async function embeddingMs(model, { length, batch }) {
  const found = [];
  for (let i = 0; i < config.repeats + 2; i++) {
    const texts = Array.from({ length: batch }, () => words(length - 2, config.words)); // and the tokens around them
    const start = performance.now();
    const tokens = await model.embed(texts);
    found.push(performance.now() - start);
    if (tokens !== length * batch) throw new Error(`the texts have ${tokens} tokens, expected ${length * batch}`);
  }
  return found.slice(2);
}

async function measure() {
  await mark("start");
  const result = { adapter: await adapterFacts(), runs: {} };
  const began = performance.now();
  const { open } = await import(`/bench/${config.engine}.js`);
  const model = await open(config);
  result.load_ms = performance.now() - began;
  await mark("load");
  if (config.calls) {
    for (const call of config.calls) call.ms = await embeddingMs(model, call);
    await model.close();
    return { ...result, ...model.facts, calls: config.calls };
  }
  const first = await model.generate(config.first, 2);
  result.first_ttft_ms = first.ttftMs;
  result.first_token_ms = result.load_ms + first.ttftMs;
  Object.assign(result, model.facts);
  await mark("first");
  if (!config.loadOnly) {
    for (const length of config.prompts) {
      await model.generate(length, config.decode);
      const runs = [];
      for (let i = 0; i < config.repeats; i++) runs.push(await model.generate(length, config.decode));
      result.runs[length] = runs;
      if (model.generateWhole) result.whole = { ...result.whole, [length]: [] };
      for (let i = 0; i < config.repeats && model.generateWhole; i++) {
        result.whole[length].push(await model.generateWhole(length, config.decode));
      }
      await mark(`prompt ${length}`);
    }
    Object.assign(result, await perToken(model));
  }
  await model.close();
  if (config.stream) result.stream_gbps = await (await import("/measure.js")).streamBandwidth();
  return result;
}

let found;
try {
  found = await measure();
} catch (error) {
  found = { error: String(error?.message ?? error), hint: error?.hint, stack: error?.stack, log: lines.slice(-40) };
}
document.querySelector("#out").textContent = JSON.stringify(found, null, 1);
await post("/result", JSON.stringify(found, (key, value) => (typeof value === "bigint" ? Number(value) : value)));
