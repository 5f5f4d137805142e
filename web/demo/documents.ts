/**
 * Files that are given to a message, as text: what kind each is, its text, and where its pages begin; or as pictures and sounds, where the
 * model takes them.  Whatever else is refused in words.  Knows no page and no engine.
 */

import { newKey } from "./conversation.js";
import * as strings from "./strings.js";

/** As a message keeps it. */
export interface Document {
  readonly id: string;
  readonly name: string;
  readonly kind: Kind;
  readonly text: string;
  /** Of a PDF file: where in the text each page begins. */
  readonly pages?: readonly number[];
  /** Of a picture, which has no text: the file as a data: URL. */
  readonly image?: string;
  /** Of a sound, likewise. */
  readonly sound?: string;
}

/** What a model takes beside text. */
export interface Senses {
  readonly sees: boolean;
  readonly hears: boolean;
}

export const KINDS = ["text", "markdown", "html", "table", "json", "code", "pdf", "image", "sound"] as const;
export type Kind = (typeof KINDS)[number];

/** Its message is words for the person who gave the file. */
export class DocumentError extends Error {}

export const MAX_FILE = 100e6;
export const MAX_MEDIA = 32e6; // of a picture or a sound: as the engine takes them
export const MAX_TEXT = 5e6; // characters: about ten thick books

const KIND_OF: Readonly<Record<string, Kind>> = {
  ...named("markdown", "md markdown mdx rst"),
  ...named("html", "html htm xhtml"),
  ...named("table", "csv tsv"),
  ...named("json", "json jsonl ndjson geojson ipynb"),
  ...named("pdf", "pdf"),
  ...named("code", "py js mjs cjs ts tsx jsx java c h cc cpp hpp cs go rs rb php swift kt kts scala sh bash zsh ps1 sql r jl lua pl css scss xml svg yaml yml toml ini wgsl glsl tex"),
};
const OFFICE = /\.(docx?|odt|rtf|pages|pptx?|odp|key|xlsx?|ods|numbers|epub|mobi)$/i;
const MODEL = /\.(gguf|safetensors|onnx|bin|pt|pth)$/i;
const PICTURE = /^image\/(png|jpeg|webp|gif|bmp)$/;
const MEDIA = /^(audio|video)\//;

function named(kind: Kind, endings: string): Record<string, Kind> {
  return Object.fromEntries(endings.split(" ").map((ending) => [ending, kind]));
}

/** Whether it has a text to be searched. */
export function isText({ kind }: Document): boolean {
  return kind !== "image" && kind !== "sound";
}

export function kindOf({ name, type }: { readonly name: string; readonly type: string }): Kind {
  const ending = /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  return KIND_OF[ending] ?? (type === "application/pdf" ? "pdf" : type === "text/html" ? "html" : "text");
}

export async function readDocument(file: File, signal: AbortSignal, { sees, hears }: Senses = { sees: false, hears: false }): Promise<Document> {
  if (sees && PICTURE.test(file.type)) return readMedia(file, "image", signal);
  if (hears && file.type.startsWith("audio/")) return readMedia(file, "sound", signal);
  refuseUnread(file);
  const kind = kindOf(file);
  const read = kind === "pdf" ? await readPdf(file, signal) : { text: clean(decode(file.name, new Uint8Array(await file.arrayBuffer())), kind) };
  signal.throwIfAborted();
  if (!read.text.trim()) throw new DocumentError(kind === "pdf" ? strings.documents.scanned(file.name) : strings.documents.empty(file.name));
  if (read.text.length > MAX_TEXT) throw new DocumentError(strings.documents.tooLong(file.name, MAX_TEXT));
  return { id: newKey(), name: file.name || strings.documents.pasted, kind, ...read };
}

async function readMedia(file: File, kind: "image" | "sound", signal: AbortSignal): Promise<Document> {
  if (file.size > MAX_MEDIA) throw new DocumentError(strings.documents.tooLarge(file.name, MAX_MEDIA));
  const url = await new Promise<string>((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error as Error);
    reader.readAsDataURL(file);
  });
  signal.throwIfAborted();
  return { id: newKey(), name: file.name || strings.documents.pasted, kind, text: "", [kind]: url };
}

/** What can be told before it is read. */
function refuseUnread({ name, type, size }: File): void {
  const words = strings.documents;
  if (type.startsWith("image/") && type !== "image/svg+xml") throw new DocumentError(words.image(name));
  if (MEDIA.test(type)) throw new DocumentError(words.media(name));
  if (MODEL.test(name)) throw new DocumentError(words.model(name));
  if (OFFICE.test(name)) throw new DocumentError(words.office(name));
  if (size > MAX_FILE) throw new DocumentError(words.tooLarge(name, MAX_FILE));
  if (size === 0) throw new DocumentError(words.empty(name));
}

async function readPdf(file: File, signal: AbortSignal): Promise<{ text: string; pages: number[] }> {
  const { readPages, isPasswordError } = await import("./pdf.js");
  try {
    const texts = await readPages(new Uint8Array(await file.arrayBuffer()), signal);
    const pages: number[] = [];
    let text = "";
    for (const page of texts) {
      pages.push(text.length);
      text += `${page.trim()}\n\n`;
    }
    return { text, pages };
  } catch (error) {
    signal.throwIfAborted();
    console.info("fanlight:", error);
    throw new DocumentError(isPasswordError(error) ? strings.documents.locked(file.name) : strings.documents.broken(file.name, String((error as Error).message)));
  }
}

/** Text in UTF-8, UTF-16 with its mark, or as old programs for Windows write it. */
function decode(name: string, bytes: Uint8Array): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  if (bytes.includes(0)) throw new DocumentError(strings.documents.binary(name));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

function clean(text: string, kind: Kind): string {
  const lines = text.replace(/\r\n?/g, "\n");
  if (kind === "html") return htmlText(lines);
  return kind === "json" ? spreadJson(lines) : lines;
}

/** A line of a million characters can neither be cut well nor be read. */
function spreadJson(text: string): string {
  if (text.length < 500 || text.split("\n", 5).length === 5) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 1);
  } catch {
    return text;
  }
}

const HIDDEN = "script, style, noscript, template, svg, iframe, object, nav, head > :not(title)";
const BLOCKS = "p div section article main header footer aside ul ol table blockquote pre figure figcaption dl dt dd form title tr li h1 h2 h3 h4 h5 h6 br hr".split(" ");

/** What a reader of the page would read; nothing of it is fetched or run. */
export function htmlText(html: string): string {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const element of page.querySelectorAll(HIDDEN)) element.remove();
  return written(page.documentElement).replace(/[ \t]*\n[ \t]*/g, "\n").replace(/\n{3,}/g, "\n\n").trim();
}

function written(node: Node): string {
  if (node.nodeType === Node.TEXT_NODE) return node.parentElement?.closest("pre") ? (node.nodeValue ?? "") : (node.nodeValue ?? "").replace(/\s+/g, " ");
  if (!(node instanceof Element)) return "";
  const name = node.localName;
  const inner = [...node.childNodes].map(written).join("");
  if (/^h[1-6]$/.test(name)) return `\n\n${"#".repeat(Number(name[1]))} ${inner.trim()}\n\n`;
  if (name === "li") return `\n- ${inner.trim()}\n`;
  if (name === "td" || name === "th") return `${inner.trim()} | `;
  if (name === "tr" || name === "br") return `${inner}\n`;
  return BLOCKS.includes(name) ? `\n\n${inner}\n\n` : inner;
}
