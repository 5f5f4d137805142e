/** Where a message is written: Enter sends, Shift+Enter breaks the line; while an answer comes, the button stops it. */

import { button, h, newId } from "./dom.js";
import * as strings from "./strings.js";

export interface Composer {
  readonly node: HTMLElement;
  focus(): void;
  setBusy(isBusy: boolean): void;
}

export function composer(send: (text: string) => void, stop: () => void): Composer {
  const words = strings.chat;
  const keysId = newId();
  const input = h("textarea", {
    rows: 1,
    dir: "auto",
    "aria-label": words.input,
    "aria-describedby": keysId,
    placeholder: words.placeholder,
    enterkeyhint: "send",
  });
  const sendButton = h("button", { type: "submit", class: "primary" }, words.send);
  const stopButton = button(words.stop, stop, { class: "primary", hidden: true });
  const form = h("form", { class: "composer" }, input, sendButton, stopButton);
  const notes = h("p", { class: "note keys" }, h("span", { id: keysId, class: "key-help" }, words.keys), " ", h("span", { class: "privacy" }, strings.app.privacy));
  const node = h("div", { class: "dock" }, form, notes);
  let isBusy = false;

  const fit = (): void => {
    input.style.height = "auto";
    input.style.height = `${input.scrollHeight}px`;
  };
  const submit = (): void => {
    const text = input.value.trim();
    if (!text || isBusy) return input.focus();
    input.value = "";
    fit();
    send(text);
  };
  input.addEventListener("input", fit);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  return {
    node,
    focus: () => input.focus({ preventScroll: true }), // it always is in view
    setBusy(busy) {
      isBusy = busy;
      const hadFocus = document.activeElement === sendButton || document.activeElement === stopButton;
      sendButton.hidden = busy;
      stopButton.hidden = !busy;
      if (hadFocus) (busy ? stopButton : input).focus();
    },
  };
}
