/* Transformers.js (ONNX Runtime's WebGPU backend) as its users have embeddings: a pipeline that pools and normalises; half
   precision where the adapter has it. */
import { env, pipeline } from "/peers/transformers/transformers.min.js";

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = "/models/";
env.useBrowserCache = true;
const runtime = (ending) => new URL(`/peers/transformers/ort-wasm-simd-threaded.asyncify.${ending}`, location.href).href;
env.backends.onnx.wasm.wasmPaths = { mjs: runtime("mjs"), wasm: runtime("wasm") };

export async function open(config) {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  const dtype = adapter.features.has("shader-f16") ? "fp16" : "fp32";
  const extract = await pipeline("feature-extraction", config.model.replace("/models/", ""), { dtype, device: "webgpu" });

  async function embed(texts) {
    const vectors = (await extract(texts, { pooling: "mean", normalize: true })).tolist();
    if (vectors.length !== texts.length) throw new Error(`${vectors.length} vectors of ${texts.length} texts`);
    return extract.tokenizer(texts, { padding: true }).input_ids.size;
  }

  const about = { version: env.version, dtype, runtime: env.backends.onnx.versions?.web };
  return { facts: { about }, embed, close: () => extract.dispose() };
}
