/**
 * Where a message is written: Enter sends, Shift+Enter breaks the line; while an answer comes, the button stops it.  What is written and
 * not sent is kept for each conversation, as long as the tab is.
 */

import { acceptDrops, attachments } from "./attachments.js";
import type { Document, Senses } from "./documents.js";
import { type Announce, button, h, newId } from "./dom.js";
import { microphone } from "./microphone.js";
import { recall, remember } from "./remember.js";
import * as strings from "./strings.js";

export interface Composer {
  readonly node: HTMLElement;
  focus(): void;
  setBusy(isBusy: boolean): void;
  /** Without a model there is nobody to send to. */
  setReady(isReady: boolean): void;
  /** Shows what was written in this conversation and not sent. */
  open(conversation: string): void;
}

export interface ComposerActions {
  send(text: string, documents: readonly Document[]): void;
  stop(): void;
  /** Arrow up where nothing is written. */
  editLast(): void;
  readonly announce: Announce;
  senses(): Senses;
  /** Whether there is a model that writes down what is said. */
  canHear(): boolean;
  hear(sound: Blob, loading: () => void): Promise<string>;
}

const DRAFT = "fanlight-draft:";

export function composer({ send, stop, editLast, announce, senses, canHear, hear }: ComposerActions): Composer {
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
  const sendButton = h("button", { type: "submit", class: "primary", disabled: true }, words.send);
  const stopButton = button(words.stop, stop, { class: "primary", hidden: true });
  const attached = attachments(announce, senses);
  const mouth = microphone({ canHear, hear, announce, written: (text) => insert(text) });
  const form = h("form", { class: "composer" }, attached.node, attached.pick, mouth.node, input, sendButton, stopButton);
  const notes = h("p", { class: "note keys" }, h("span", { id: keysId, class: "key-help" }, words.keys), " ", h("span", { class: "privacy" }, strings.app.privacy));
  const node = h("div", { class: "dock" }, form, notes);
  let isBusy = false;
  let isReady = false;
  let draft = DRAFT;

  const fit = (): void => {
    input.style.height = "auto";
    input.style.height = `${input.scrollHeight}px`;
  };
  const changed = (): void => {
    fit();
    remember(draft, input.value, true);
  };
  /** What was said, behind what is written. */
  const insert = (text: string): void => {
    input.value += /\S$/.test(input.value) ? ` ${text}` : text;
    changed();
    input.focus();
  };
  const submit = (): void => {
    const text = input.value.trim();
    if (!text || isBusy || !isReady) return input.focus();
    if (attached.isEmpty()) return leave(text, []);
    void attached.take().then((documents) => documents && !isBusy && leave(text, documents)); // once they are read
  };
  const leave = (text: string, documents: readonly Document[]): void => {
    input.value = "";
    changed();
    send(text, documents);
  };
  input.addEventListener("input", changed);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowUp" && !input.value) editLast();
    else if (event.key === "Enter" && !event.shiftKey) submit();
    else return;
    event.preventDefault();
  });
  input.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    attached.add(files);
  });
  acceptDrops(node, attached.add);
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
    setReady(ready) {
      isReady = ready;
      sendButton.disabled = !ready;
      mouth.refresh();
    },
    open(conversation) {
      draft = DRAFT + conversation;
      input.value = recall(draft, true) ?? "";
      attached.open(conversation);
      fit();
    },
  };
}
