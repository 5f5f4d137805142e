/**
 * Markdown that grows: each call shows the text so far, and blocks that did not change keep their elements, so that a selection in them
 * survives.  A model's text is untrusted: its HTML is shown as text, and there are no images (fetching one would tell a server what was
 * written here).
 */

import DOMPurify from "dompurify";
import { Marked, type Token } from "marked";
import { h } from "./dom.js";
import * as strings from "./strings.js";

export interface MarkdownView {
  readonly node: HTMLElement;
  update(text: string): void;
  /** As it reads, without the marks and without buttons. */
  spoken(): string;
}

const TAGS = "p h3 h4 h5 h6 ul ol li blockquote pre code em strong del a table thead tbody tr th td hr br".split(" ");
const ATTRIBUTES = ["href", "title", "start", "align"];

const escape = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text, block }) => (block ? `<p>${escape(text)}</p>` : escape(text)),
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

export function markdownView(copy: (text: string) => Promise<void>): MarkdownView {
  const node = h("div", { class: "markdown", dir: "auto" });
  let shown: string[] = []; // the blocks' source
  return {
    node,
    update(text) {
      const tokens = marked.lexer(text).filter((token) => token.type !== "space" && token.type !== "def");
      levelHeadings(tokens);
      for (const [i, token] of tokens.entries()) {
        if (shown[i] === token.raw) continue;
        const block = renderBlock(token, copy);
        const old = node.children[i];
        if (old) old.replaceWith(block);
        else node.append(block);
      }
      while (node.children.length > tokens.length) node.lastElementChild?.remove();
      shown = tokens.map((token) => token.raw);
    },
    spoken: () => [...node.children].map((block) => (block.querySelector("pre") ?? block).textContent.trim()).join("\n"),
  };
}

/** An answer's headings lie below the page's own two, and skip no level, whatever the model begins with. */
function levelHeadings(tokens: readonly Token[]): void {
  let level = 2;
  for (const token of tokens) {
    if (token.type === "heading") level = token.depth = Math.min(6, (token.depth as number) + 2, level + 1);
  }
}

/** One element per block, so that they can be counted. */
function renderBlock(token: Token, copy: (text: string) => Promise<void>): HTMLElement {
  if (token.type === "code") return codeBlock(token.text as string, ((token.lang as string | undefined) ?? "").trim(), copy);
  const html = marked.parser([token]);
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
  return h("div", { class: "block" }, fragment);
}

function codeBlock(code: string, language: string, copy: (text: string) => Promise<void>): HTMLElement {
  const pre = h("pre", { role: "group", tabindex: 0, "aria-label": strings.chat.code(language) }, h("code", {}, code));
  const press = copyButton(() => code, strings.chat.copyCode, copy);
  return h("div", { class: "block code" }, h("div", { class: "code-head" }, h("span", {}, language), press), pre);
}

/** Says for a moment that it copied. */
export function copyButton(text: () => string, name: string, copy: (text: string) => Promise<void>): HTMLButtonElement {
  const press = h("button", { type: "button", class: "quiet small", "aria-label": name }, strings.chat.copy);
  press.addEventListener("click", () => {
    void copy(text()).then(() => {
      press.textContent = strings.chat.copied;
      setTimeout(() => (press.textContent = strings.chat.copy), 1500);
    });
  });
  return press;
}
