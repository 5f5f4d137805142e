/**
 * What of a conversation's documents goes to the model with a question: all of them, where they fit; else the passages that answer it best,
 * found by an embedding model on this device and by words, or by words alone.  Knows no page.
 */

import type { Engine } from "fanlight";
import { type Document, isText } from "./documents.js";
import { cosine, type EmbedderRef, embedderRef, openEmbedder } from "./embedder.js";
import { isAbort } from "./failures.js";
import { type Passage, passagesOf } from "./passages.js";

/** Kept with the answer that was made from it. */
export interface Sources {
  readonly way: "whole" | "meaning" | "words";
  /** The embedding model, or the one that could not be used. */
  readonly model?: string;
  /** Why passages were found by words alone, though there is an embedding model. */
  readonly trouble?: string;
  /** In the documents' order. Of whole documents, only their names. */
  readonly passages: readonly Passage[];
}

export interface Asked {
  readonly question: string;
  /** Of all questions up to this one. */
  readonly documents: readonly Document[];
  /** Characters of all that goes to the model besides. */
  readonly others: number;
  /** The longest answer, in tokens. */
  readonly maxTokens: number | undefined;
}

/** What takes time, told as it goes on. */
export type Progress = (step: "loading" | "embedding", done: number, total: number) => void;

const USUAL_CONTEXT = 4096; // where a server does not tell
const USUAL_ANSWER = 1024;
const SAMPLE = 4000; // characters from which the tokens of all are estimated
const CHARACTERS = 3; // of a token, where nothing can count
const MAX_PASSAGES = 2048; // tokens: more costs time to read, and the best passages come first
const MAX_WHOLE = 12_000; // tokens
const MAX_EMBEDDED = 1500; // passages: of a longer text those are embedded that have a word of the question
const FUSION = 60; // reciprocal rank fusion's usual constant
const FEW_WORDS = 20; // characters: a shorter question leans on the one before it

export async function sourcesFor(engine: Engine, asked: Asked, signal: AbortSignal, progress: Progress): Promise<Sources> {
  const room = await roomFor(engine, asked, signal);
  const total = asked.documents.reduce((sum, { text }) => sum + text.length, 0);
  if (total <= room.whole) return { way: "whole", passages: asked.documents.map(({ name }) => ({ name, text: "" })) };
  const of = asked.documents.map((document) => ({ document, passages: passagesOf(document) }));
  const all = of.flatMap(({ passages }) => passages);
  const { rankByWords } = await import("./lexical.js");
  const byWords = await rankByWords(asked.documents.map(({ id }) => id).join(), all, asked.question);
  signal.throwIfAborted();
  const ref = typeof engine.load === "function" ? await embedderRef() : null; // a server runs no model for us
  if (!ref) return { way: "words", passages: best(all, byWords, room.passages) };
  try {
    const order = await byMeaning(engine, ref, asked.question, of, byWords, signal, progress);
    return { way: "meaning", model: ref.name, passages: best(all, order, room.passages) };
  } catch (error) {
    if (isAbort(error)) throw error;
    console.warn("fanlight: no passages by meaning:", error);
    return { way: "words", model: ref.name, trouble: String((error as Error).message), passages: best(all, byWords, room.passages) };
  }
}

/** In characters: for whole documents, and for passages. */
async function roomFor(engine: Engine, { documents, question, others, maxTokens }: Asked, signal: AbortSignal): Promise<{ whole: number; passages: number }> {
  const perToken = await charactersPerToken(engine, documents, signal);
  const context = engine.info.context_length || USUAL_CONTEXT;
  const answer = Math.min(maxTokens ?? USUAL_ANSWER, context / 4);
  const free = Math.max(0, context - answer - (question.length + others) / perToken - 100);
  return { whole: Math.min(0.8 * free, MAX_WHOLE) * perToken, passages: Math.min(0.7 * free, MAX_PASSAGES) * perToken };
}

async function charactersPerToken(engine: Engine, documents: readonly Document[], signal: AbortSignal): Promise<number> {
  const sample = documents.map(({ text }) => text.slice(0, SAMPLE / documents.length)).join("\n");
  try {
    const response = await engine.fetch("http://engine/tokenize", { method: "POST", body: JSON.stringify({ prompt: sample }), signal });
    const { count } = (await response.json()) as { count?: number };
    if (count) return sample.length / count;
  } catch (error) {
    if (isAbort(error)) throw error;
  }
  return CHARACTERS;
}

type Cut = { readonly document: Document; readonly passages: readonly Passage[] };

/** Indices of passages, best first: the ranks by meaning and by words together, since each finds what the other misses. */
async function byMeaning(
  engine: Engine,
  ref: EmbedderRef,
  question: string,
  of: readonly Cut[],
  byWords: readonly number[],
  signal: AbortSignal,
  progress: Progress,
): Promise<number[]> {
  const opening = openEmbedder(engine, ref, ({ loadedBytes, totalBytes }) => progress("loading", loadedBytes, totalBytes));
  const embedder = await Promise.race([opening, aborted(signal)]); // it goes on loading, for the next question
  const kept = likely(of, byWords);
  const total = kept.reduce((sum, { passages }) => sum + passages.length, 0);
  const scores = new Map<number, number>();
  let [before, first] = [0, 0];
  const asked = await embedder.question(question, signal);
  for (const [i, { document, passages, indices }] of kept.entries()) {
    const vectors = await embedder.passages(document, passages, signal, (count) => progress("embedding", before + count, total));
    passages.forEach((_, j) => scores.set(first + (indices[j] ?? j), cosine(asked, vectors[j] ?? asked)));
    before += passages.length;
    first += of[i]?.passages.length ?? 0;
  }
  const byVectors = [...scores.keys()].sort((a, b) => (scores.get(b) ?? 0) - (scores.get(a) ?? 0));
  return fused([byVectors, byWords]);
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
}

/** All passages; of very many, those that words find. Such a document gets a name of its own for its vectors. */
function likely(of: readonly Cut[], byWords: readonly number[]): (Cut & { readonly indices: readonly number[] })[] {
  const total = of.reduce((sum, { passages }) => sum + passages.length, 0);
  const chosen = new Set(byWords.slice(0, MAX_EMBEDDED));
  let first = 0;
  return of.map(({ document, passages }) => {
    const start = first;
    first += passages.length;
    const all = passages.map((_, i) => i);
    if (total <= MAX_EMBEDDED) return { document, passages, indices: all };
    const indices = all.filter((i) => chosen.has(start + i));
    const id = `${document.id}:${indices.join()}`;
    return { document: { ...document, id }, passages: indices.map((i) => passages[i]).filter((passage) => passage !== undefined), indices };
  });
}

export function fused(rankings: readonly (readonly number[])[]): number[] {
  const scores = new Map<number, number>();
  for (const ranking of rankings) ranking.forEach((item, rank) => scores.set(item, (scores.get(item) ?? 0) + 1 / (FUSION + rank)));
  return [...scores.keys()].sort((a, b) => (scores.get(b) ?? 0) - (scores.get(a) ?? 0));
}

/** As many of the best as there is room for, in the order in which they stand in the documents. Where no word is found, the first ones. */
function best(all: readonly Passage[], order: readonly number[], room: number): Passage[] {
  const taken: number[] = [];
  let used = 0;
  for (const index of order.length ? order : all.keys()) {
    const size = all[index]?.text.length ?? 0;
    if (taken.length > 0 && used + size > room) break;
    taken.push(index);
    used += size;
  }
  return taken.sort((a, b) => a - b).map((index) => all[index]).filter((passage) => passage !== undefined);
}

/** What to look for: a short question ("And why?") leans on the one before it. */
export function searched(questions: readonly string[]): string {
  const [before = "", last = ""] = [questions.at(-2), questions.at(-1)];
  return last.length < FEW_WORDS ? `${before} ${last}`.trim() : last;
}

interface Turn {
  readonly role: "user" | "assistant";
  readonly content: string;
  readonly documents?: readonly Document[];
}

/** The turns' texts as the model reads them: whole documents with the question that they came with, passages with the last question. */
export function grounded(turns: readonly Turn[], sources: Sources | undefined): string[] {
  const last = turns.findLastIndex(({ role }) => role === "user");
  return turns.map(({ role, content, documents: all = [] }, i) => {
    if (role !== "user") return content;
    const documents = all.filter(isText); // pictures and sounds go beside the text
    if (sources?.way === "whole") return documents.length ? `${documents.map(wholeDocument).join("\n\n")}\n\n${content}`.trim() : content;
    const given = documents.length ? `(Given with this message: ${documents.map(({ name }) => name).join(", ")})\n\n${content}`.trim() : content;
    return i === last && sources ? `${cited(sources.passages)}\n\n${given}` : given;
  });
}

function wholeDocument({ name, text }: Document): string {
  return `<document name=${JSON.stringify(name)}>\n${text.trim()}\n</document>`;
}

function cited(passages: readonly Passage[]): string {
  const parts = passages.map((passage, i) => `[${i + 1}] ${placed(passage)}\n${passage.text}`);
  return `Passages of the given documents, to answer from where they help; name a passage by its number, as [1]:\n\n${parts.join("\n\n")}`;
}

const placed = ({ name, page, line }: Passage): string => (page ? `${name}, page ${page}` : line ? `${name}, line ${line}` : name);
