/** A line at the bottom of the page that says what was done, and lets it be undone. */

import { button, h } from "./dom.js";
import { icon } from "./icons.js";
import * as strings from "./strings.js";

export interface Toasts {
  readonly node: HTMLElement;
  /** In place of the one before. */
  show(text: string, undo?: () => void): void;
}

const SHOWN_MS = 15_000;

export function toasts(): Toasts {
  const node = h("div", { class: "toasts", role: "status" });
  let timer = 0;
  const clear = (): void => {
    clearTimeout(timer);
    node.replaceChildren();
  };
  return {
    node,
    show(text, undo) {
      clear();
      const press = (): void => {
        clear();
        undo?.();
      };
      const close = h("button", { type: "button", class: "quiet tool", "aria-label": strings.toast.close, onclick: clear }, icon("close"));
      node.append(h("div", { class: "toast" }, h("span", {}, text), undo && button(strings.toast.undo, press, { class: "quiet small" }), close));
      const wait = (): void => void (timer = setTimeout(() => (node.matches(":hover, :focus-within") ? wait() : clear()), SHOWN_MS));
      wait();
    },
  };
}
