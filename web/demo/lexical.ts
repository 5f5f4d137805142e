/** Passages by the words of a question (BM25), in any script.  Fetched with the first document that is too long to be read whole. */

import MiniSearch from "minisearch";
import type { Passage } from "./passages.js";

const words = new Intl.Segmenter(undefined, { granularity: "word" });

function terms(text: string): string[] {
  const plain = text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return [...words.segment(plain)].filter(({ isWordLike }) => isWordLike).map(({ segment }) => segment);
}

type Index = MiniSearch<{ id: number; text: string }>;

let latest: { readonly key: string; readonly index: Promise<Index> } | null = null; // the next question is mostly of the same documents

/** Their indices, best first; only those that have any of the words. `key` names the passages. */
export async function rankByWords(key: string, passages: readonly Passage[], question: string): Promise<number[]> {
  if (latest?.key !== key) latest = { key, index: indexOf(passages) };
  const index = await latest.index;
  return index.search(question, { prefix: (term) => term.length > 3, weights: { prefix: 0.5, fuzzy: 0 } }).map(({ id }) => id as number);
}

/** Bit by bit: the page goes on meanwhile. */
async function indexOf(passages: readonly Passage[]): Promise<Index> {
  const index: Index = new MiniSearch({ fields: ["text"], tokenize: terms, processTerm: (term) => term });
  await index.addAllAsync(passages.map(({ text }, id) => ({ id, text })), { chunkSize: 50 });
  return index;
}
