/* wllama (llama.cpp's WebGPU backend) as its users have it: the model through its own download cache, answers streamed. */
import { Wllama } from "/peers/wllama/index.js";
import { digits } from "/bench/text.js";

const hook = await (await fetch("/bench/hook.js")).text();

/* Its engine runs in a worker made of a blob: the hook goes in front. */
const PageWorker = self.Worker;
self.Worker = class extends PageWorker {
  constructor(url, options) {
    super(String(url).startsWith("blob:") ? withHook(url) : url, options);
  }
};

function withHook(url) {
  const request = new XMLHttpRequest();
  request.open("GET", url, false);
  request.send();
  return URL.createObjectURL(new Blob([hook, "\n", request.responseText], { type: "text/javascript" }));
}

export async function open(config) {
  const lines = [];
  const log = (...values) => lines.push(values.map(String).join(" "));
  const wllama = new Wllama(
    { default: "/peers/wllama/wllama.wasm" },
    { parallelDownloads: 3, logger: { debug: log, log, warn: log, error: log } },
  );
  wllama.setCompat(null);
  const options = { useCache: true, n_ctx: config.context, n_gpu_layers: 99999, n_parallel: 1, seed: 1, log_level: 2 };
  await wllama.loadModelFromUrl(new URL(config.model, location.href).href, options);
  const text = lines.join("\n");
  const [, offloaded, layers] = text.match(/offloaded (\d+)\/(\d+) layers/) ?? [];
  const about = { threads: wllama.getNumThreads(), llama_cpp: Wllama.getLibllamaVersion(), offloaded: `${offloaded}/${layers}` };
  const buffers = lines.filter((line) => /(buffer size|webgpu)/i.test(line)).map((line) => line.trim().slice(0, 160));

  async function generate(length, count) {
    const start = performance.now();
    let [first, last, tokens, timings] = [0, 0, 0, null];
    const onData = ({ choices, timings: told }) => {
      timings = told ?? timings;
      if (!choices?.[0] || choices[0].finish_reason) return;
      last = performance.now();
      first ||= last;
      tokens++;
    };
    const prompt = digits(length - 1); // and the token that begins every text
    const sampling = { temperature: 0, top_k: 1, ignore_eos: true, cache_prompt: false };
    await wllama.createCompletion({ prompt, max_tokens: count, ...sampling, stream: true, timings_per_token: true, onData });
    const ttftMs = first - start;
    return { ttftMs, prefillTps: (length / ttftMs) * 1000, decodeTps: ((tokens - 1) / (last - first)) * 1000, tokens, engine: timings };
  }

  return { facts: { about: { ...about, buffers: buffers.slice(0, 12) } }, generate, close: () => wllama.exit() };
}
