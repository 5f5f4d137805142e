/**
 * A block of code: its language, a button that copies it, and colours.  The colours are fetched with the first block that names its
 * language.  While a block grows it is coloured anew only after it has grown by a share of itself, so all of it costs a few times the last
 * colouring; what came since stands behind in plain ink.
 */

import DOMPurify from "dompurify";
import { h } from "./dom.js";
import * as strings from "./strings.js";

export type Copy = (text: string) => Promise<void>;

export interface CodeView {
  readonly node: HTMLElement;
  /** False where it is another block: of another language. `isOpen`: more of it may come. */
  update(text: string, language: string, isOpen: boolean): boolean;
}

type Highlighter = typeof import("./highlighter.js");

const SHARE = 1 / 8;
const FEW = 40; // characters that are not worth a colouring

let highlighter: Highlighter | null = null;
let arriving: Promise<void> | null = null;

/** Without it, as offline, code is plain. */
function fetchHighlighter(): Promise<void> {
  arriving ??= import("./highlighter.js").then(
    (found) => void (highlighter = found),
    (error: unknown) => {
      console.info("fanlight: code stays plain:", error);
      arriving = null;
    },
  );
  return arriving;
}

export function codeView(first: string, language: string, firstIsOpen: boolean, copy: Copy): CodeView {
  const title = h("span", {}, language);
  const coloured = h("span");
  const plain = document.createTextNode("");
  const pre = h("pre", { role: "group", tabindex: 0, "aria-label": strings.chat.code(language) }, h("code", {}, coloured, plain));
  const press = copyButton(() => text, strings.chat.copyCode, copy);
  const node = h("div", { class: "block code" }, h("div", { class: "code-head" }, title, press), pre);
  let [text, isOpen] = [first, firstIsOpen];
  let done = ""; // as far as it is coloured

  const show = (): void => {
    if (!text.startsWith(done)) {
      coloured.replaceChildren();
      done = "";
    }
    const isDue = text.length - done.length > (isOpen ? FEW + done.length * SHARE : 0);
    if (highlighter && isDue) {
      const html = highlighter.colour(text, language);
      if (html !== null) {
        coloured.replaceChildren(DOMPurify.sanitize(html, { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"], RETURN_DOM_FRAGMENT: true }));
        done = text;
      }
    }
    const rest = text.slice(done.length);
    if (plain.data !== rest) plain.data = rest;
  };
  const named = (): void => {
    const name = highlighter?.nameOf(language) ?? language;
    title.textContent = name;
    pre.setAttribute("aria-label", strings.chat.code(name));
  };
  show();
  named();
  if (language && !highlighter) {
    void fetchHighlighter().then(() => {
      show();
      named();
    });
  }
  return {
    node,
    update(newer, itsLanguage, open) {
      if (itsLanguage !== language) return false;
      if (newer === text && open === isOpen) return true;
      [text, isOpen] = [newer, open];
      show();
      return true;
    },
  };
}

/** Says for a moment that it copied. */
export function copyButton(text: () => string, name: string, copy: Copy): HTMLButtonElement {
  const press = h("button", { type: "button", class: "quiet small", "aria-label": name }, strings.chat.copy);
  press.addEventListener("click", () => {
    void copy(text()).then(() => {
      press.textContent = strings.chat.copied;
      setTimeout(() => (press.textContent = strings.chat.copy), 1500);
    });
  });
  return press;
}
