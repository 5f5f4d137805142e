/* Transformers.js (ONNX Runtime's WebGPU backend) as its users have it: 4-bit weights, half precision, the browser's cache. */
import { AutoModelForCausalLM, AutoTokenizer, BaseStreamer, env } from "/peers/transformers/transformers.min.js";
import { digits } from "/bench/text.js";

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = "/models/";
env.useBrowserCache = true;
const runtime = (ending) => new URL(`/peers/transformers/ort-wasm-simd-threaded.asyncify.${ending}`, location.href).href;
env.backends.onnx.wasm.wasmPaths = { mjs: runtime("mjs"), wasm: runtime("wasm") };

/* Notes when each token came; the first call brings the prompt. */
class Clock extends BaseStreamer {
  times = null;
  put() {
    if (this.times) this.times.push(performance.now());
    else this.times = [];
  }
  end() {}
}

export async function open(config) {
  const name = config.model.replace("/models/", "");
  const tokenizer = await AutoTokenizer.from_pretrained(name);
  const model = await AutoModelForCausalLM.from_pretrained(name, { dtype: "q4f16", device: "webgpu" });

  async function generate(length, count) {
    const streamer = new Clock();
    const start = performance.now();
    const inputs = await tokenizer(digits(length - 1)); // and the token that begins every text
    await model.generate({ ...inputs, max_new_tokens: count, min_new_tokens: count, do_sample: false, streamer });
    const { times } = streamer;
    const ttftMs = times[0] - start;
    const numPrompt = inputs.input_ids.dims.at(-1);
    if (numPrompt !== length) throw new Error(`the prompt has ${numPrompt} tokens, expected ${length}`);
    const decodeTps = ((times.length - 1) / (times.at(-1) - times[0])) * 1000;
    return { ttftMs, prefillTps: (length / ttftMs) * 1000, decodeTps, tokens: times.length };
  }

  const about = { version: env.version, runtime: env.backends.onnx.versions?.web };
  return { facts: { about }, generate, close: () => model.dispose() };
}
