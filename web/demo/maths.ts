/**
 * Mathematics in Markdown: what stands between $, $$, \( \) or \[ \].  KaTeX writes it as MathML, which browsers draw without fonts or styles
 * of ours, and screen readers read; it is fetched with the first formula.  Until then, or where it does not understand it, TeX is shown.
 */

import DOMPurify from "dompurify";
import type { TokenizerAndRendererExtension } from "marked";
import { h } from "./dom.js";
import * as strings from "./strings.js";

type Katex = typeof import("katex").default;

const BLOCK = /^ {0,3}(?:\$\$([^]+?)\$\$|\\\[([^]+?)\\\])[ \t]*(?:\n+|$)/;
const ENVIRONMENT = /^ {0,3}(\\begin\{((?:equation|align|alignat|gather|multline|cases|[pbvBV]?matrix)\*?)\}[^]+?\\end\{\2\})[ \t]*(?:\n+|$)/;
const BLOCK_START = /(?:^|\n) {0,3}(?:\$\$|\\\[|\\begin\{)/;
const INLINE = /^(?:\$\$([^$]+?)\$\$|\\\[([^]+?)\\\]|\\\(([^]+?)\\\)|\$(?!\s)((?:\\[^\n]|[^$\\\n])*?[^\s\\$]|[^\s\\$])\$(?![\p{L}\d]))/u;
const INLINE_START = /\\[([]|(?<![\p{L}\d\\])\$/u; // not that of US$5

const escape = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** A formula on a line of its own. */
export function mathsBlock(tex: string): string {
  return `<p><span data-tex="block">${escape(tex.trim())}</span></p>`;
}

export const MATHS: TokenizerAndRendererExtension[] = [
  {
    name: "mathsBlock",
    level: "block",
    start: (source) => {
      const found = BLOCK_START.exec(source);
      return found ? found.index + (found[0].startsWith("\n") ? 1 : 0) : undefined;
    },
    tokenizer: (source) => {
      const found = BLOCK.exec(source) ?? ENVIRONMENT.exec(source);
      return found ? { type: "mathsBlock", raw: found[0], tex: found[1] ?? found[2] ?? "" } : undefined;
    },
    renderer: (token) => mathsBlock(token["tex"] as string),
  },
  {
    name: "maths",
    level: "inline",
    start: (source) => INLINE_START.exec(source)?.index,
    tokenizer: (source) => {
      const found = INLINE.exec(source);
      if (!found) return undefined;
      const [raw, display, bracketed, ...inline] = found;
      const isBlock = (display ?? bracketed) !== undefined;
      return { type: "maths", raw, tex: display ?? bracketed ?? inline[0] ?? inline[1] ?? "", isBlock };
    },
    renderer: (token) => `<span data-tex="${token["isBlock"] ? "block" : "inline"}">${escape((token["tex"] as string).trim())}</span>`,
  },
];

let katex: Katex | null = null;
let arriving: Promise<void> | null = null;

function fetchKatex(): Promise<void> {
  arriving ??= import("katex").then(
    (found) => void (katex = found.default),
    (error: unknown) => {
      console.info("fanlight: formulas stay TeX:", error);
      arriving = null;
    },
  );
  return arriving;
}

/** An element whose text is TeX becomes the formula. */
export function showMaths(place: HTMLElement): void {
  const tex = place.textContent;
  const isBlock = place.dataset["tex"] === "block";
  if (isBlock) {
    for (const [name, value] of Object.entries({ tabindex: "0", role: "group", "aria-label": strings.answers.formula })) place.setAttribute(name, value);
  }
  const draw = (): void => {
    const drawn = mathml(tex, isBlock);
    if (drawn) place.replaceChildren(drawn);
  };
  if (katex) draw();
  else void fetchKatex().then(draw);
}

function mathml(tex: string, displayMode: boolean): DocumentFragment | null {
  try {
    const limits = { trust: false, strict: false, maxSize: 20, maxExpand: 500, errorColor: "currentcolor" };
    const html = katex?.renderToString(tex, { displayMode, output: "mathml", ...limits });
    if (html === undefined) return null;
    const allowed = { USE_PROFILES: { mathMl: true }, ADD_TAGS: ["semantics", "annotation"], ADD_ATTR: ["encoding"], FORBID_ATTR: ["style"] };
    return DOMPurify.sanitize(html, { ...allowed, RETURN_DOM_FRAGMENT: true });
  } catch {
    return null; // while it grows, or for good: its TeX stays
  }
}

/** Text as it reads, formulas as TeX. */
export function spokenText(node: HTMLElement): string {
  if (!node.querySelector("math")) return node.textContent;
  const copy = node.cloneNode(true) as HTMLElement;
  for (const formula of copy.querySelectorAll("math")) formula.replaceWith(h("span", {}, formula.querySelector("annotation")?.textContent));
  return copy.textContent;
}
