/* Measures one model in this browser and posts the result: ?model=URL&prompt=512&decode=128&repeats=3&context=1024 */
import { load } from "/fanlight/index.js";

const query = new URLSearchParams(location.search);
const number = (name, otherwise) => Number(query.get(name) ?? otherwise);
const random = (count, below) => Array.from({ length: count }, () => 3 + Math.floor(Math.random() * (below - 3)));

async function measure() {
  const began = performance.now();
  const phases = {};
  const engine = await load(new URL(query.get("model"), location.href), {
    contextLength: number("context", 1024),
    onProgress: (p) => (phases[p.phase] ??= Math.round(performance.now() - began)),
  });
  const result = { load_ms: Math.round(performance.now() - began), phases, info: engine.info, runs: [] };
  for (let i = 0; i <= number("repeats", 3); i++) {
    const start = performance.now();
    const answer = await engine.completions.create({
      model: engine.info.model,
      prompt: random(number("prompt", 512), number("vocab", 1000)),
      max_tokens: number("decode", 128),
      temperature: 0,
      ignore_eos: true,
    });
    result.runs.push({ wall_ms: performance.now() - start, ...answer.timings, usage: answer.usage });
  }
  await engine.close();
  return result;
}

let found;
try {
  found = await measure();
} catch (error) {
  found = { error: String(error?.stack ?? error), hint: error?.hint };
}
document.querySelector("#out").textContent = JSON.stringify(found, null, 1);
await fetch("/result", { method: "POST", body: JSON.stringify(found) });
