/** A few choices that open at a button.  Escape, a choice, and a press elsewhere close it; then the button has the focus again. */

import { button, h } from "./dom.js";

export interface MenuChoice {
  readonly label: string;
  act(): void;
}

export interface Menu {
  readonly node: HTMLElement;
  open(at: HTMLElement, choices: readonly MenuChoice[]): void;
}

export function menu(): Menu {
  const node = h("div", { class: "menu", popover: "auto" });
  node.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") event.stopPropagation(); // it closes the menu, and stops no answer
    if (step === undefined) return;
    const all = [...node.querySelectorAll("button")];
    all.at((all.findIndex((one) => one === document.activeElement) + step) % all.length)?.focus();
    event.preventDefault();
  });
  return {
    node,
    open(at, choices) {
      const press = ({ act }: MenuChoice) => () => {
        node.hidePopover();
        act();
      };
      node.replaceChildren(...choices.map((choice) => button(choice.label, press(choice))));
      node.showPopover();
      const { left, top, bottom } = at.getBoundingClientRect();
      const { offsetWidth: width, offsetHeight: height } = node;
      node.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
      node.style.top = `${bottom + height + 8 > innerHeight ? Math.max(8, top - height - 4) : bottom + 4}px`;
      node.querySelector("button")?.focus();
    },
  };
}
