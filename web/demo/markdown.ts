/**
 * Markdown that grows: each call shows the text so far, and blocks that did not change keep their elements, so that a selection in them
 * survives.  While it grows only its end is read again.  A model's text is untrusted: its HTML is shown as text, and there are no images
 * (fetching one would tell a server what was written here).
 */

import DOMPurify from "dompurify";
import { Lexer, Marked, type Links, type Token } from "marked";
import { codeView, type CodeView, type Copy } from "./code.js";
import { h } from "./dom.js";
import { MATHS, mathsBlock, showMaths, spokenText } from "./maths.js";
import * as strings from "./strings.js";

export interface MarkdownView {
  readonly node: HTMLElement;
  /** `isWhole`: nothing will follow. */
  update(text: string, isWhole?: boolean): void;
  /** As it reads, without the marks and without buttons. */
  spoken(): string;
}

interface Block {
  readonly key: string;
  readonly node: HTMLElement;
  readonly code?: CodeView;
}

/** The beginning of a growing text that will not change: what follows cannot reach back so far. */
interface Settled {
  readonly text: string;
  readonly numBlocks: number;
  readonly level: number;
  readonly links: Links;
}

const TAGS = "p h3 h4 h5 h6 ul ol li blockquote pre code em strong del a table thead tbody tr th td hr br span".split(" ");
const ATTRIBUTES = ["href", "title", "start", "align", "data-tex"];
const OPEN_BLOCKS = 2; // at the end: the last may be anything yet, and may become part of the one before it
const NOTHING: Settled = { text: "", numBlocks: 0, level: 2, links: {} };

const escape = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

const marked = new Marked({
  gfm: true,
  breaks: true,
  extensions: MATHS,
  renderer: {
    html: ({ text, block }) => (block ? `<p>${escape(text)}</p>` : escape(text)),
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

export function markdownView(copy: Copy): MarkdownView {
  const node = h("div", { class: "markdown", dir: "auto" });
  const blocks: Block[] = [];
  let settled = NOTHING;

  const show = (index: number, token: Token, key: string, isOpen: boolean): void => {
    const old = blocks[index];
    if (old?.code && isCode(token) && old.code.update(textOf(token), languageOf(token), isOpen)) {
      blocks[index] = { ...old, key };
    } else if (old?.key !== key) {
      const block = renderBlock(token, key, isOpen, copy);
      if (old) old.node.replaceWith(block.node);
      else node.append(block.node);
      blocks[index] = block;
    }
  };
  return {
    node,
    update(text, isWhole = true) {
      if (isWhole || !text.startsWith(settled.text)) settled = NOTHING;
      const { tokens, links } = read(text.slice(settled.text.length), settled.links);
      const shown = tokens.filter(isShown);
      levelHeadings(shown, settled.level);
      const known = JSON.stringify(links);
      for (const [i, token] of shown.entries()) {
        const key = token.raw.includes("[") ? token.raw + known : token.raw; // where it may point to a link that is given elsewhere
        show(settled.numBlocks + i, token, key, !isWhole && i === shown.length - 1);
      }
      for (const block of blocks.splice(settled.numBlocks + shown.length)) block.node.remove();
      if (!isWhole) settled = settle(settled, text, tokens, links);
    },
    spoken: () => blocks.map((block) => spokenText(block.node.querySelector("pre") ?? block.node).trim()).join("\n"),
  };
}

function read(text: string, links: Links): { tokens: Token[]; links: Links } {
  const lexer = new Lexer(marked.defaults);
  Object.assign(lexer.tokens.links, links);
  const tokens = lexer.lex(text);
  return { tokens, links: tokens.links };
}

function settle(settled: Settled, text: string, tokens: readonly Token[], links: Links): Settled {
  let { text: done, numBlocks, level } = settled;
  let end = done.length;
  let rest = tokens.filter(isShown).length - OPEN_BLOCKS;
  for (const token of tokens) {
    if (rest <= 0 || !text.startsWith(token.raw, end)) break; // line ends of another kind are read anew each time
    end += token.raw.length;
    if (!isShown(token)) continue;
    rest--;
    numBlocks++;
    if (token.type === "heading") level = token["depth"] as number;
  }
  done = text.slice(0, end);
  return { text: done, numBlocks, level, links };
}

const isShown = (token: Token): boolean => token.type !== "space" && token.type !== "def";
const isCode = (token: Token): boolean => token.type === "code" && languageOf(token) !== "math";
const textOf = (token: Token): string => (token as { text?: string }).text ?? "";
const languageOf = (token: Token): string => ((token as { lang?: string }).lang ?? "").trim().split(/[\s,{]/)[0] ?? "";

/** An answer's headings lie below the page's own two, and skip no level, whatever the model begins with. */
function levelHeadings(tokens: readonly Token[], above: number): void {
  let level = above;
  for (const token of tokens) {
    if (token.type === "heading") level = token.depth = Math.min(6, (token.depth as number) + 2, level + 1);
  }
}

/** One element per block, so that they can be counted. */
function renderBlock(token: Token, key: string, isOpen: boolean, copy: Copy): Block {
  if (isCode(token)) {
    const code = codeView(textOf(token), languageOf(token), isOpen, copy);
    return { key, node: code.node, code };
  }
  const html = token.type === "code" ? mathsBlock(textOf(token)) : marked.parser([token]);
  const fragment = DOMPurify.sanitize(html, { ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ATTRIBUTES, RETURN_DOM_FRAGMENT: true });
  for (const link of fragment.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const table of fragment.querySelectorAll("table")) {
    const scroller = h("div", { class: "scroller", role: "group", tabindex: 0, "aria-label": strings.chat.table });
    table.replaceWith(scroller);
    scroller.append(table);
  }
  for (const place of fragment.querySelectorAll<HTMLElement>("[data-tex]")) showMaths(place);
  return { key, node: h("div", { class: "block" }, fragment) };
}
