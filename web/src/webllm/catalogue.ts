/** WebLLM's catalogue: the same 165 records under the same names.  Where their weights are read from is sources.ts's. */

import { TABLE } from "./catalogue-table.js";
import { type AppConfig, type ChatOptions, type ModelRecord, ModelType } from "./types.js";

export const modelVersion = "v0_2_86/base";
/** Of `model_lib`, which hand-made records name and Fanlight does not read. */
export const modelLibURLPrefix = "https://raw.githubusercontent.com/mlc-ai/binary-mlc-llm-libs/main/web-llm-models/";

/** Models whose tools WebLLM knows; here any model with a template for tools may be given some. */
export const functionCallingModelIds: string[] = [
  "Hermes-2-Pro-Llama-3-8B-q4f16_1-MLC",
  "Hermes-2-Pro-Llama-3-8B-q4f32_1-MLC",
  "Hermes-2-Pro-Mistral-7B-q4f16_1-MLC",
  "Hermes-3-Llama-3.1-8B-q4f32_1-MLC",
  "Hermes-3-Llama-3.1-8B-q4f16_1-MLC",
];

const HUB = "https://huggingface.co/mlc-ai/";
const LINE = /^(\S+?)(?: \((.*)\))?: (.*)$/;
const ENTRY = /^(q\df\d\d(?:_1)?)(-1k|-b\d+)? ([\d.]+)(\+?)(\*?)$/;

function recordsOf(line: string): ModelRecord[] {
  const [, name = "", options = "", entries = ""] = LINE.exec(line) ?? [];
  const given = new Map(options.split(" ").map((option): [string, string] => {
    const [key = "", value = ""] = option.split("=");
    return [key, value];
  }));
  return entries.split(", ").map((entry) => recordOf(name, given, entry));
}

function recordOf(name: string, given: ReadonlyMap<string, string>, entry: string): ModelRecord {
  const [, quantisation = "", suffix = "", megabytes, isSmall, needsF16] = ENTRY.exec(entry) ?? [];
  const repo = `${name}-${quantisation}-MLC`;
  const isEmbedding = given.has("embedding");
  const chunk = isEmbedding ? `ctx512_cs512_batch${suffix.slice(2)}` : ([...given.keys()].find((key) => key.startsWith("cs")) ?? "cs1k");
  const library = `${given.get("lib") ?? name}-${quantisation}${isEmbedding ? "-" : "_"}${chunk}-webgpu.wasm`;
  const number = (key: string): number | undefined => (given.has(key) ? Number(given.get(key)) : undefined);
  const overrides: ChatOptions = {
    context_window_size: suffix === "-1k" ? 1024 : (number("context") ?? 4096),
    ...(given.has("sliding") && { sliding_window_size: number("sliding") as number }),
    ...(given.has("history") && { max_history_size: number("history") as number }),
  };
  return {
    model: HUB + repo,
    model_id: repo + suffix,
    model_lib: `${modelLibURLPrefix}${modelVersion}/${library}`,
    ...(!isEmbedding && { overrides, low_resource_required: isSmall === "+" }),
    vram_required_MB: Number(megabytes),
    ...(given.has("buffer") && { buffer_size_required_bytes: number("buffer") as number }),
    ...(needsF16 === "*" && { required_features: ["shader-f16"] }),
    ...(isEmbedding && { model_type: ModelType.embedding }),
    ...(given.has("vision") && { model_type: ModelType.VLM }),
    ...(given.has("manifest") && { model_manifest: "mlc-model-manifest.json" }),
  };
}

export const prebuiltAppConfig: AppConfig = {
  cacheBackend: "cache",
  model_list: TABLE.trim().split("\n").flatMap(recordsOf),
};
