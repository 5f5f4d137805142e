/**
 * The catalogue: well-known models by short names, with what a person wants to know before a download, and other people's catalogues.
 * fanlight/formats/catalogue.json is the list; fanlight/formats/catalogue.py reads and checks it alike (docs/catalogue.md).  The list is
 * fetched when it is first asked for.
 */

import { FormatError, SourceError } from "./errors.js";
import { DEFAULT_CONTEXT, ENCODERS, type Footprint, footprintOf, type ModelNumbers, POOLED_CONTEXT, QUANTIZATIONS, SAME_FORMAT } from "./footprint.js";

export type Capability = "chat" | "vision" | "tools" | "thinking" | "code" | "embeddings";

/** One model, in one quantisation. Field names are the file's. */
export interface CatalogueModel {
  readonly id: string;
  readonly title: string;
  readonly maker: string;
  /** SPDX's name, or the licence's own. */
  readonly license: string;
  /** A file of fanlight/models. */
  readonly architecture: string;
  readonly quantization: string;
  /** Tokens that it was trained for. */
  readonly context_length: number;
  readonly capabilities: readonly Capability[];
  readonly languages: readonly string[];
  readonly good_at: string;
  /** On the hub; or `url`. */
  readonly repository?: string;
  /** In the repository, where the quantisation's name does not find it. */
  readonly file?: string;
  readonly url?: string;
  /** The hub wants its conditions accepted first. */
  readonly gated?: boolean;
  /** May be offered to who has not chosen. */
  readonly recommended?: boolean;
  readonly config?: ModelNumbers;
}

const VERSION = 1;
const ID = /^[a-z0-9][a-z0-9._-]*$/;
const REPOSITORY = /^[\w.-]+\/[\w.-]+$/;
const CAPABILITIES: readonly string[] = ["chat", "vision", "tools", "thinking", "code", "embeddings"];
export const ARCHITECTURES: readonly string[] =
  "afmoe apertus arcee bert bitnet bloom codegen cohere cohere2 deepseek_v2 deepseek_v3 ernie4_5 ernie4_5_moe exaone exaone4 falcon falcon_h1 falcon_mamba gemma gemma2 gemma3 gemma3n gemma4 glm4 glm4_moe glm4_moe_lite gpt2 gpt_bigcode gpt_neox gpt_oss gptj granite granitemoe granitemoehybrid hunyuan_v1_dense idefics3 internlm2 jamba lfm2 lfm2_moe lfm2_vl llama llava mamba mamba2 mellum minicpm minimax_m2 ministral3 mistral mixtral modernbert mpt nemotron nemotron_h nomic_bert olmo2 olmo3 olmoe opt phi phi3 qwen2 qwen2_5_vl qwen2_audio qwen2_moe qwen2_vl qwen3 qwen3_5 qwen3_5_moe qwen3_moe qwen3_next qwen3_vl roberta rwkv7 seed_oss smollm3 stablelm starcoder2 voxtral whisper youtu".split(" ");
const TEXTS = ["id", "title", "maker", "license", "architecture", "quantization", "good_at"];
const OPTIONAL_TEXTS = ["repository", "file", "url"];
const LISTS = ["capabilities", "languages"];
const FLAGS = ["gated", "recommended"];
const KNOWN = [...TEXTS, ...OPTIONAL_TEXTS, ...LISTS, ...FLAGS, "context_length", "config"];
const NUMBERS = ["num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size", "vocab_size"];
const VISION = ["num_hidden_layers", "hidden_size", "intermediate_size", "patches", "rows"];
const HINT = "docs/catalogue.md has the fields.";
const MOST_BYTES = 16 << 20;

let own: Promise<readonly CatalogueModel[]> | null = null;

/** Fanlight's own. `load` takes their ids. */
export function catalogue(): Promise<readonly CatalogueModel[]> {
  own ??= import("../../fanlight/formats/catalogue.json").then(({ default: list }) => parseCatalogue(list, "catalogue.json"));
  own.catch(() => (own = null)); // the network may come back
  return own;
}

/** Somebody's own, from its address. Throws SourceError, or FormatError that names what is wrong in it. */
export async function fetchCatalogue(url: string | URL, signal?: AbortSignal): Promise<readonly CatalogueModel[]> {
  const where = new URL(url, location.href).href;
  const response = await fetch(where, { signal: signal ?? null, cache: "no-cache" }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw new SourceError(`could not be fetched: ${String(error)}`, { where, hint: "Check the address, and that its server allows this page to read it (CORS)." });
  });
  if (!response.ok) throw new SourceError(`HTTP ${response.status}`, { where, hint: "Check the address." });
  const text = await response.text();
  if (text.length > MOST_BYTES) throw new FormatError(`is no catalogue: ${text.length} characters`, { where, hint: HINT });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`is no JSON: ${String(error)}`, { where, hint: HINT });
  }
  return parseCatalogue(value, where);
}

/** What `load` takes of it. */
export function modelOf({ url, repository, file, quantization }: CatalogueModel): string {
  return url ?? `${repository}:${file ?? quantization}`;
}

/** What it takes with a context of so many tokens; as long as is usual unless set. Null where its numbers are not known. */
export function footprint(model: CatalogueModel, contextLength?: number): Footprint | null {
  const { architecture, quantization, config, context_length: trained } = model;
  if (!config || !QUANTIZATIONS.has(quantization)) return null;
  const pooled = isPooled(model);
  return footprintOf(architecture, quantization, config, Math.min(contextLength ?? (pooled ? POOLED_CONTEXT : DEFAULT_CONTEXT), trained), pooled);
}

/** Whether it gives vectors, not text. */
export function isPooled({ architecture, capabilities }: CatalogueModel): boolean {
  return ENCODERS.includes(architecture) || capabilities.includes("embeddings");
}

/** The text, unless it is the id of a model in the catalogue: then what that stands for. No hub id is one, and no file's name. */
export async function resolveId(text: string): Promise<string> {
  if (text === "built-in" || !ID.test(text) || /\.(gguf|safetensors)$/.test(text)) return text;
  const found = (await catalogue()).find(({ id }) => id === text);
  return found ? modelOf(found) : text;
}

// --- reading ---------------------------------------------------------------------------------------------------------
/** `where`: its address, of which a model's may be relative. */
export function parseCatalogue(value: unknown, where: string): readonly CatalogueModel[] {
  const complain = (message: string): never => {
    throw new FormatError(message, { where, hint: HINT });
  };
  if (!isObject(value) || !Array.isArray(value["models"])) return complain('is no catalogue: expected {"version": 1, "models": [...]}');
  if (value["version"] !== VERSION) return complain(`version is ${shown(value["version"])}, expected ${VERSION}`);
  const unknown = Object.keys(value).find((name) => !["version", "title", "models"].includes(name));
  if (unknown !== undefined) return complain(`unknown field '${unknown}'`);
  const models = (value["models"] as readonly unknown[]).map((entry, i) => parseModel(entry, `${where}: models[${i}]`, where));
  const twice = models.find(({ id }, i) => models.findIndex((other) => other.id === id) !== i);
  return twice ? complain(`two models have the id '${twice.id}'`) : models;
}

function parseModel(entry: unknown, place: string, base: string): CatalogueModel {
  const where = isObject(entry) ? `${place} (${String(entry["id"] ?? "without an id")})` : place;
  const complain = (message: string): never => {
    throw new FormatError(message, { where, hint: HINT });
  };
  if (!isObject(entry)) return complain(`expected an object, got ${shown(entry)}`);
  const unknown = Object.keys(entry).find((name) => !KNOWN.includes(name));
  if (unknown !== undefined) complain(`unknown field '${unknown}'; known: ${KNOWN.join(", ")}`);
  const isText = (value: unknown): boolean => typeof value === "string" && value !== "";
  for (const name of [...TEXTS, ...OPTIONAL_TEXTS.filter((name) => name in entry)]) {
    if (!isText(entry[name])) complain(`${name} is ${shown(entry[name])}, expected a text`);
  }
  for (const name of LISTS) {
    const list = entry[name];
    if (!Array.isArray(list) || list.length === 0 || !list.every(isText)) complain(`${name} is ${shown(list)}, expected a list of texts`);
  }
  for (const name of FLAGS) if (name in entry && typeof entry[name] !== "boolean") complain(`${name} is ${shown(entry[name])}, expected true or false`);
  if (!isCount(entry["context_length"])) complain(`context_length is ${shown(entry["context_length"])}, expected a whole number above 0`);
  if ("config" in entry) checkNumbers(entry["config"], complain);
  const model = entry as unknown as CatalogueModel;
  const { id, repository, url, architecture, capabilities } = model;
  if (!ID.test(id)) complain(`id is '${id}', expected small letters, digits, '.', '_' and '-'`);
  if (Boolean(repository) === Boolean(url)) complain("expected a repository or a url, and not both");
  if (repository && !REPOSITORY.test(repository)) complain(`repository is '${repository}', expected owner/name`);
  if (!ARCHITECTURES.includes(architecture)) complain(`architecture is '${architecture}'; known: ${ARCHITECTURES.join(", ")}`);
  if (!capabilities.every((name) => CAPABILITIES.includes(name))) complain(`capabilities are ${capabilities.join(", ")}; known: ${CAPABILITIES.join(", ")}`);
  return url ? { ...model, url: absolute(url, base, complain) } : model;
}

type Complain = (message: string) => never;

function checkNumbers(config: unknown, complain: Complain): void {
  if (!isObject(config)) return complain(`config is ${shown(config)}, expected an object`);
  checkCounts(config, NUMBERS, ["tie_word_embeddings", "vision"], "config", complain);
  const tied = config["tie_word_embeddings"] ?? false;
  if (typeof tied !== "boolean") complain(`config.tie_word_embeddings is ${shown(tied)}, expected true or false`);
  if (!("vision" in config)) return;
  const vision = config["vision"];
  if (!isObject(vision)) return complain(`config.vision is ${shown(vision)}, expected an object`);
  checkCounts(vision, VISION, ["quantization"], "config.vision", complain);
  const kind = vision["quantization"];
  if (!SAME_FORMAT.includes(kind as string)) complain(`config.vision.quantization is ${shown(kind)}; known: ${SAME_FORMAT.join(", ")}`);
}

function checkCounts(value: Record<string, unknown>, counts: readonly string[], others: readonly string[], where: string, complain: Complain): void {
  const known = [...counts, ...others];
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) complain(`${where} has an unknown field '${unknown}'; known: ${known.join(", ")}`);
  for (const name of counts) if (!isCount(value[name])) complain(`${where}.${name} is ${shown(value[name])}, expected a whole number above 0`);
}

function absolute(url: string, base: string, complain: (message: string) => never): string {
  try {
    return new URL(url, /^https?:/.test(base) ? base : location.href).href;
  } catch {
    return complain(`url is '${url}', which is no address`);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 31;
const shown = (value: unknown): string => (JSON.stringify(value) ?? "missing").slice(0, 80);
