/**
 * Words to tokens as Hugging Face `tokenizers` does it natively, where `@huggingface/tokenizers` does otherwise: WordLevel, WordPiece and
 * Unigram whole, of BPE only what unknown characters become. What neither knows is refused by name. encoder.ts uses it;
 * tests/text/test_page.py compares the two on many files and texts.
 */

import { charsmap } from "./charsmap.js";

export interface Spec {
  model: Model;
  pre_tokenizer: Part | null;
  added_tokens: { content: string; normalized: boolean }[];
  post_processor: unknown;
}
interface Model {
  type?: string;
  vocab: Record<string, number> | [string, number][];
  unk_token?: string | null;
  unk_id?: number | null;
  byte_fallback?: boolean;
  fuse_unk?: boolean;
  continuing_subword_prefix?: string | null;
  end_of_word_suffix?: string | null;
  max_input_chars_per_word?: number;
}
interface Part {
  type: string;
  [key: string]: unknown;
}
type Words = (words: string[]) => string[];

/** The model's own way, or null where the library's is the native one. `merged` is the library's, for a word. */
export function wordsToTokens(model: Model, merged: (word: string) => string[]): Words | null {
  if (model.type === "Unigram") return unigram(model);
  if (Array.isArray(model.vocab)) throw new Error(`a list of tokens belongs to a Unigram model, not to ${model.type}`);
  const vocab = new Map(Object.entries(model.vocab));
  const unknown = model.unk_token ?? null;
  if (model.type === "WordLevel") return (words) => words.flatMap((word) => (vocab.has(word) ? word : (unknown ?? [])));
  if (model.type === "WordPiece") return (words) => words.flatMap((word) => wordPieces(model, vocab, word));
  if (model.continuing_subword_prefix || model.end_of_word_suffix) {
    throw new Error("BPE with a prefix or suffix of words (continuing_subword_prefix, end_of_word_suffix) is not read in a page");
  }
  if (unknown === null && !model.byte_fallback) return withoutUnknown(vocab, merged);
  if (!model.fuse_unk || unknown === null) return null;
  return (words) => words.flatMap((word) => merged(word).filter((token, i, all) => token !== unknown || all[i - 1] !== unknown));
}

/** Characters that no token has are nothing natively, before their neighbours merge. */
function withoutUnknown(vocab: ReadonlyMap<string, number>, merged: (word: string) => string[]): Words | null {
  if (CHARACTER.every((character) => vocab.has(character))) return null;
  const known = (word: string): string => (vocab.has(word) ? word : [...word].filter((character) => vocab.has(character)).join(""));
  return (words) => words.map(known).flatMap((word) => (word ? merged(word) : []));
}

function wordPieces(model: Model, vocab: ReadonlyMap<string, number>, word: string): string[] {
  const characters = [...word];
  const unknown = model.unk_token ?? "[UNK]";
  if (characters.length > (model.max_input_chars_per_word ?? 100)) return [unknown];
  const pieces: string[] = [];
  for (let start = 0, end = 0; start < characters.length; start = end) {
    const prefix = start > 0 ? (model.continuing_subword_prefix ?? "##") : "";
    for (end = characters.length; end > start && !vocab.has(prefix + characters.slice(start, end).join("")); ) end--;
    if (end === start) return [unknown];
    pieces.push(prefix + characters.slice(start, end).join(""));
  }
  return pieces;
}

/** The best path through a word; characters that no token has are one unknown token, or their bytes. */
function unigram(model: Model): Words {
  const vocab = model.vocab as [string, number][];
  const scores = new Map(vocab);
  const unknown = model.unk_id === null || model.unk_id === undefined ? undefined : vocab[model.unk_id]?.[0];
  const unknownScore = vocab.reduce((least, [, score]) => Math.min(least, score), Infinity) - 10;
  const longest = vocab.reduce((most, [token]) => Math.max(most, token.length), 0);
  const spelled = (part: string): string[] => {
    if (scores.has(part)) return [part];
    if (model.byte_fallback) {
      const bytes = [...new TextEncoder().encode(part)].map((b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
      if (bytes.every((byte) => scores.has(byte))) return bytes;
    }
    if (unknown === undefined) throw new Error("a character is unknown, and unk_id is missing");
    return [unknown];
  };
  return (words) => words.flatMap((word) => bestPath(word, scores, longest, unknown, unknownScore).flatMap(spelled));
}

function bestPath(word: string, scores: ReadonlyMap<string, number>, longest: number, unknown: string | undefined, unknownScore: number): string[] {
  const best = new Float64Array(word.length + 1).fill(-Infinity);
  const from = new Int32Array(word.length + 1).fill(-1);
  const isUnknown = new Uint8Array(word.length + 1);
  best[0] = 0;
  const reach = (start: number, end: number, score: number, unknownHere: boolean): void => {
    const total = (best[start] as number) + score;
    if (from[end] !== -1 && total <= (best[end] as number)) return;
    best[end] = total;
    from[end] = start;
    isUnknown[end] = Number(unknownHere);
  };
  for (let start = 0, width = 0; start < word.length; start += width) {
    width = (word.codePointAt(start) as number) > 0xffff ? 2 : 1;
    let hasCharacter = false;
    for (let end = start + width; end <= Math.min(word.length, start + longest); end++) {
      const part = word.slice(start, end);
      const score = scores.get(part);
      if (score === undefined) continue;
      reach(start, end, score, part === unknown);
      hasCharacter ||= end === start + width;
    }
    if (!hasCharacter) reach(start, start + width, unknownScore, true);
  }
  const parts: string[] = [];
  for (let end = word.length, fused = -1; end > 0; end = from[end] as number) {
    const start = from[end] as number;
    if (!isUnknown[end]) {
      parts.push(word.slice(start, end));
      continue;
    }
    if (fused < 0) fused = end;
    if (start > 0 && isUnknown[start]) continue;
    parts.push(word.slice(start, fused));
    fused = -1;
  }
  return parts.reverse();
}

// --- white space, and words ---------------------------------------------------------------------------------------------------------------
const SPACE = "\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"; // JavaScript's has U+FEFF, and no U+0085
const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d";
const PUNCTUATION = "[\\p{P}$+<=>^`|~]"; // ASCII's signs too
const regex = (source: string): RegExp => new RegExp(source, "gu");

type Change = (text: string) => string;
const HAN = /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

/** Makes the library's Strip, Precompiled and BertNormalizer, anywhere in a normalizer, do what they do natively. */
export function normalizeNatively(normalizer: unknown): void {
  const part = normalizer as { config?: Part; normalizers?: unknown[]; _call?: Change; tokenize_chinese_chars?: Change } | null;
  if (part?.normalizers) return part.normalizers.forEach(normalizeNatively);
  if (part?.tokenize_chinese_chars) part.tokenize_chinese_chars = (text) => text.replace(HAN, " $& "); // those of two UTF-16 units too
  if (part?.config?.type === "Precompiled") part._call = charsmap(part.config["precompiled_charsmap"] as string);
  if (part?.config?.type !== "Strip") return;
  const { strip_left: left, strip_right: right } = part.config;
  const ends = regex([...(left ? [`^[${SPACE}]+`] : []), ...(right ? [`[${SPACE}]+$`] : [])].join("|") || "(?!)");
  part._call = (text) => text.replace(ends, "");
}

type Splitter = (text: string, options: { section_index: number }) => string[];
type Behavior = "Removed" | "Isolated" | "Contiguous" | "MergedWithPrevious" | "MergedWithNext";

/** The pre-tokenizer, or null where the library's is the native one; `library` is the library's for a step of it. */
export function preTokenizer(part: Part | null, library: (part: Part) => Splitter): Splitter | null {
  const steps = part?.type === "Sequence" ? (part["pretokenizers"] as Part[]) : part ? [part] : [];
  if (steps.every(isNative)) return null;
  const splitters = steps.map((step) => (isNative(step) ? library(step) : ownSplitter(step)));
  return (text, options) => splitters.reduce((words, split) => words.flatMap((word, i) => split(word, at(options, i))), [text]);
}

/** Only the first word of the first section begins the text. */
const at = (options: { section_index: number }, word: number): { section_index: number } => ({ section_index: options.section_index + word });

const isNative = (part: Part): boolean =>
  part.type === "ByteLevel" ? part["use_regex"] === false : part.type === "Split" && part["behavior"] === "Isolated" && !part["invert"];

function ownSplitter(part: Part): Splitter {
  const by = (pattern: RegExp, behavior: Behavior, invert = false): Splitter => (text) => splitBy(text, pattern, behavior, invert);
  switch (part.type) {
    case "Whitespace":
      return by(regex(`[${WORD}]+|[^${WORD}${SPACE}]+`), "Removed", true);
    case "WhitespaceSplit":
      return by(regex(`[${SPACE}]`), "Removed");
    case "BertPreTokenizer":
      return (text) => splitBy(text, regex(`[${SPACE}]`), "Removed").flatMap((word) => splitBy(word, regex(PUNCTUATION), "Isolated"));
    case "Punctuation":
      return by(regex(PUNCTUATION), (part["behavior"] as Behavior | undefined) ?? "Isolated");
    case "Digits":
      return by(regex("\\p{N}"), part["individual_digits"] ? "Isolated" : "Contiguous");
    case "CharDelimiterSplit":
      return by(regex(literal(part["delimiter"] as string)), "Removed");
    case "FixedLength":
      return by(regex(`[^]{1,${part["length"] as number}}`), "Isolated");
    case "Metaspace":
      return metaspace(part);
    case "ByteLevel":
      return byteLevel(part);
    case "Split":
      return by(splitPattern(part["pattern"] as { String?: string; Regex?: string }), part["behavior"] as Behavior, part["invert"] === true);
    default:
      throw new Error(`the pre-tokenizer ${part.type} is not read in a page`);
  }
}

function splitBy(text: string, pattern: RegExp, behavior: Behavior, invert = false): string[] {
  const pieces: [string, boolean][] = [];
  let end = 0;
  for (const found of text.matchAll(pattern)) {
    if (found.index > end) pieces.push([text.slice(end, found.index), invert]);
    if (found[0]) pieces.push([found[0], !invert]);
    end = found.index + found[0].length;
  }
  if (end < text.length) pieces.push([text.slice(end), invert]);
  return joined(pieces, behavior);
}

/** As `tokenizers` puts matches and what lies between them together. */
function joined(pieces: [string, boolean][], behavior: Behavior): string[] {
  if (behavior === "Removed") return pieces.filter(([, matches]) => !matches).map(([text]) => text);
  if (behavior === "Isolated") return pieces.map(([text]) => text);
  const backwards = behavior === "MergedWithNext";
  const words: string[] = [];
  let last = behavior === "Contiguous" ? null : false;
  for (const [text, matches] of backwards ? pieces.reverse() : pieces) {
    const joins = words.length > 0 && (behavior === "Contiguous" ? matches === last : matches && !last);
    const word = joins ? (words.pop() as string) : "";
    words.push(backwards ? text + word : word + text);
    last = matches;
  }
  return backwards ? words.reverse() : words;
}

function metaspace(part: Part): Splitter {
  const sign = (part["replacement"] as string | undefined) ?? "\u2581";
  const scheme = (part["prepend_scheme"] as string | undefined) ?? (part["add_prefix_space"] === false ? "never" : "always");
  return (text, { section_index: section }) => {
    let spaced = text.replaceAll(" ", sign);
    if ((scheme === "always" || (scheme === "first" && section === 0)) && !spaced.startsWith(sign)) spaced = sign + spaced;
    return part["split"] === false ? [spaced] : splitBy(spaced, regex(literal(sign)), "MergedWithNext");
  };
}

const GPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|[${SPACE}]+(?![^${SPACE}])|[${SPACE}]+`;
const PLAIN = [...range(0x21, 0x7e), ...range(0xa1, 0xac), ...range(0xae, 0xff)];
const BYTES = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !PLAIN.includes(byte));
const CHARACTER = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(PLAIN.includes(byte) ? byte : 0x100 + BYTES.indexOf(byte)));

function byteLevel(part: Part): Splitter {
  const spelled = (word: string): string => Array.from(new TextEncoder().encode(word), (byte) => CHARACTER[byte]).join("");
  return (text) => {
    const spaced = part["add_prefix_space"] !== false && !text.startsWith(" ") ? ` ${text}` : text;
    return splitBy(spaced, regex(GPT2), "Isolated").map(spelled);
  };
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

function splitPattern(pattern: { String?: string; Regex?: string }): RegExp {
  if (pattern.String !== undefined) return regex(literal(pattern.String));
  const known = { "\\s": `[${SPACE}]`, "\\s+": `[${SPACE}]+`, "\\d": "\\p{Nd}", " ": " " }[pattern.Regex ?? ""];
  if (known === undefined) throw new Error(`Split by the pattern ${pattern.Regex} is only read in a page where it isolates what it finds`);
  return regex(known);
}
