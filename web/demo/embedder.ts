/**
 * The embedding model that finds passages by their meaning: which one (chosen by a person, else one that is stored here), loaded beside the
 * model that answers, and the vectors that it has made.  Everything stays on this device.
 */

import { catalogue, type CatalogueModel, type Engine, hubName, isPooled, listModels, modelOf, parseHubId, type Progress } from "fanlight";
import type { Document } from "./documents.js";
import { lastPart, storedAt, urlChoice } from "./choice.js";
import type { Passage } from "./passages.js";

/** Where an embedding model is: an address, or a name of the hub. */
export interface EmbedderRef {
  readonly name: string;
  readonly address: string;
}

export interface Embedder {
  readonly name: string;
  /** Vectors of length 1, in the texts' order. `done`: how many there are so far. */
  passages(document: Document, passages: readonly Passage[], signal: AbortSignal, done: (count: number) => void): Promise<Float32Array[]>;
  question(text: string, signal: AbortSignal): Promise<Float32Array>;
}

const KEPT = "fanlight-embedder";
const NONE = "none";
const BATCH = 16;
const LIKELY = /embed|minilm|\bbge\b|bge-|\be5-|\bgte\b|gte-|arctic-embed|nomic/i;

/** What makers ask to be put before a question, and before a passage. */
const PREFIXES: readonly (readonly [RegExp, string, string])[] = [
  [/nomic-embed/i, "search_query: ", "search_document: "],
  [/multilingual-e5.*instruct/i, "Instruct: Given a question, retrieve passages that answer it\nQuery: ", ""],
  [/\be5[-_]/i, "query: ", "passage: "],
  [/bge-.*-en|arctic-embed|mxbai-embed/i, "Represent this sentence for searching relevant passages: ", ""],
  [/qwen3-embedding/i, "Instruct: Given a question, retrieve passages that answer it\nQuery:", ""],
  [/embeddinggemma|embedding-gemma/i, "task: search result | query: ", "title: none | text: "],
];

/** Null: passages are to be found by words alone. Undefined: nobody has chosen. */
export function chosenEmbedder(): EmbedderRef | null | undefined {
  try {
    const kept = localStorage.getItem(KEPT);
    return kept === null ? undefined : kept === NONE ? null : (JSON.parse(kept) as EmbedderRef);
  } catch {
    return undefined;
  }
}

/** Undefined: as if nobody had chosen. */
export function chooseEmbedder(ref: EmbedderRef | null | undefined): void {
  if (ref === undefined) localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, ref === null ? NONE : JSON.stringify(ref));
  dispatchEvent(new Event(CHOSEN));
}

/** Of the window, after `chooseEmbedder`. */
export const CHOSEN = "fanlight-embedder-chosen";

/** Those that are stored here, as far as a name tells. */
export async function storedEmbedders(): Promise<EmbedderRef[]> {
  const models = await listModels().catch(() => []);
  return models
    .filter(({ complete, name, url }) => complete && (LIKELY.test(name) || LIKELY.test(lastPart(url))))
    .map(({ name, url }) => ({ name, address: url }));
}

/** Those of the catalogue. */
export async function knownEmbedders(): Promise<EmbedderRef[]> {
  const models = await catalogue().catch(() => []);
  return models.filter(isPooled).map(embedderOf);
}

/** By the address under which it is stored. */
export const embedderOf = (model: CatalogueModel): EmbedderRef => ({ name: model.title, address: ofHub(modelOf(model)) ?? modelOf(model) });

function ofHub(text: string): string | null {
  const id = parseHubId(text);
  return id && hubName(id);
}

/** What a person means: an id of the catalogue, a name of the hub (owner/repository), or an address. */
export async function namedEmbedder(text: string): Promise<EmbedderRef> {
  const known = (await catalogue().catch(() => [])).find(({ id }) => id === text);
  if (known) return embedderOf(known);
  const address = ofHub(text);
  if (address !== null) return { name: text, address };
  const { name, model } = urlChoice(text);
  return { name, address: String(model) };
}

/** The one to use; null where there is none. */
export async function embedderRef(): Promise<EmbedderRef | null> {
  const chosen = chosenEmbedder();
  return chosen === undefined ? ((await storedEmbedders())[0] ?? null) : chosen;
}

const opened = new WeakMap<Engine, Map<string, Promise<Embedder>>>();

/** Loads it beside the engine's models, once. Throws what the engine throws, as where it does not fit. */
export function openEmbedder(engine: Engine, ref: EmbedderRef, onProgress: (progress: Progress) => void): Promise<Embedder> {
  const ofEngine = opened.get(engine) ?? new Map<string, Promise<Embedder>>();
  opened.set(engine, ofEngine);
  const known = ofEngine.get(ref.address);
  if (known) return known;
  const opening = load(engine, ref, onProgress);
  ofEngine.set(ref.address, opening);
  opening.catch(() => ofEngine.delete(ref.address)); // another time it may fit
  return opening;
}

async function load(engine: Engine, ref: EmbedderRef, onProgress: (progress: Progress) => void): Promise<Embedder> {
  const stored = await storedAt(ref.address);
  const model = await engine.load(stored === null ? ref.address : { opfs: stored }, { onProgress });
  const [, forQuestions = "", forPassages = ""] = PREFIXES.find(([pattern]) => pattern.test(`${ref.name} ${ref.address} ${model}`)) ?? [];
  const vectors = new Map<string, Float32Array[]>(); // by document

  const embed = async (input: string[], signal: AbortSignal): Promise<Float32Array[]> => {
    const { data } = await engine.embeddings.create({ model, input, truncate_prompt_tokens: -1, encoding_format: "float" }, { signal });
    return data.map(({ embedding }) => normalized(embedding));
  };
  return {
    name: ref.name,
    async passages(document, passages, signal, done) {
      const made = vectors.get(document.id) ?? [];
      vectors.set(document.id, made);
      while (made.length < passages.length) {
        const texts = passages.slice(made.length, made.length + BATCH).map(({ text }) => forPassages + text);
        made.push(...(await embed(texts, signal)));
        done(made.length);
      }
      return made;
    },
    async question(text, signal) {
      const [vector] = await embed([forQuestions + text], signal);
      return vector ?? new Float32Array();
    },
  };
}

function normalized(values: readonly number[]): Float32Array {
  const length = Math.hypot(...values) || 1;
  return Float32Array.from(values, (value) => value / length);
}

export function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
