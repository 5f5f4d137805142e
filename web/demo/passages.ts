/** Documents cut into passages: at ends of paragraphs, lines, sentences or words, whichever comes first in that order. Knows no engine. */

import type { Document } from "./documents.js";

export interface Passage {
  readonly name: string; // of the document
  readonly text: string;
  /** Of a PDF file; of others, the line where it begins. */
  readonly page?: number;
  readonly line?: number;
}

const SIZE = 900; // characters: what small embedding models read whole
const LEAST = 0.5; // of the size: a shorter passage is not made for the sake of a better place to cut
const OVERLAP = 120; // characters that a passage shares with the one before it, so that a thought on the border is whole in one of them
const CUTS = [/\n\s*\n/g, /\n/g, /[.!?。！？…]["»”’)\]]*\s+|[。！？]/g, /\s+/g];
const PARAGRAPH_END = /\n\s$/;

export function passagesOf(document: Document, size = SIZE): Passage[] {
  const { name, kind, text, pages } = document;
  const head = kind === "table" ? `${text.split("\n", 1)[0] ?? ""}\n` : ""; // the names of the columns go with all rows
  const found: Passage[] = [];
  let line = 1;
  let counted = 0;
  for (const [start, end] of cuts(text, kind === "table" || kind === "code" ? 0 : OVERLAP, size)) {
    const part = text.slice(start, end);
    if (!part.trim()) continue;
    const first = start + (part.length - part.trimStart().length);
    line += count(text, counted, first);
    counted = first;
    const place = pages ? { page: pageAt(pages, first) } : { line };
    found.push({ name, text: (start > 0 ? head : "") + part.trim(), ...place });
  }
  return found;
}

/** Where each passage begins and ends. */
function* cuts(text: string, overlap: number, size: number): Generator<[number, number]> {
  let start = 0;
  while (start < text.length) {
    const end = text.length - start <= size ? text.length : start + cutIn(text.slice(start, start + size), size);
    yield [start, end];
    if (end >= text.length) return;
    const isWhole = overlap === 0 || PARAGRAPH_END.test(text.slice(end - 2, end)); // what follows is another thought
    start = isWhole ? end : Math.max(start + 1, wordStart(text, end - overlap, end));
  }
}

/** The last good place to cut it. */
function cutIn(part: string, size: number): number {
  for (const cut of CUTS) {
    const ends = [...part.matchAll(cut)].map((found) => found.index + found[0].length).filter((end) => end >= size * LEAST);
    const last = ends.at(-1);
    if (last !== undefined) return last;
  }
  return part.length;
}

/** The first word's beginning from `from` on, as far as `to`. */
function wordStart(text: string, from: number, to: number): number {
  const found = /\s\S/.exec(text.slice(Math.max(0, from), to));
  return found ? Math.max(0, from) + found.index + 1 : to;
}

/** Lines ended between. */
function count(text: string, from: number, to: number): number {
  let found = 0;
  const [low, high, sign] = from <= to ? [from, to, 1] : [to, from, -1];
  for (let at = text.indexOf("\n", low); at >= 0 && at < high; at = text.indexOf("\n", at + 1)) found++;
  return sign * found;
}

function pageAt(pages: readonly number[], place: number): number {
  const after = pages.findIndex((start) => start > place);
  return after < 0 ? pages.length : after;
}
