/**
 * The files that are to go with the next message: chosen, dropped on the chat or pasted, read at once, shown above the field, and taken
 * away again.  What cannot be read is said, and everything else stays as it is.  Knows no engine.
 */

import { type Document, DocumentError, readDocument, type Senses } from "./documents.js";
import { type Announce, h, newId } from "./dom.js";
import { icon } from "./icons.js";
import { measure } from "./sources.js";
import * as strings from "./strings.js";

export interface Attachments {
  /** Above the field. */
  readonly node: HTMLElement;
  /** Beside it: a button that asks for files. */
  readonly pick: HTMLElement;
  isEmpty(): boolean;
  /** All of them, once they are read; they are no longer here then. Null where one turned out not to be readable meanwhile. */
  take(): Promise<readonly Document[] | null>;
  add(files: Iterable<File>): void;
  /** Those of another conversation's unsent message. */
  open(conversation: string): void;
}

interface Item {
  readonly name: string;
  readonly node: HTMLElement;
  readonly stopper: AbortController;
  readonly reading: Promise<Document | null>;
}

export function attachments(announce: Announce, senses: () => Senses): Attachments {
  const words = strings.documents;
  const list = h("ul", { class: "attachments", "aria-label": words.given, hidden: true });
  const complaints = h("div", { class: "complaints" });
  const input = h("input", { type: "file", multiple: true, id: newId(), class: "visually-hidden", tabindex: -1, "aria-hidden": "true" });
  const pick = h("button", { type: "button", class: "quiet tool attach", "aria-label": words.add, title: words.add, onclick: () => input.click() }, icon("attach"));
  const kept = new Map<string, Item[]>();
  let key = "";
  let items: Item[] = [];

  const show = (): void => {
    list.replaceChildren(...items.map(({ node }) => node));
    list.hidden = items.length === 0;
  };
  const complain = (text: string): void => {
    const box = h("div", { class: "complaint", role: "alert" }, h("span", {}, text));
    const close = h("button", { type: "button", class: "quiet tool", "aria-label": words.dismiss, title: words.dismiss }, icon("close"));
    close.addEventListener("click", () => box.remove());
    box.append(close);
    complaints.append(box);
  };
  const remove = (item: Item): void => {
    item.stopper.abort();
    for (const group of [items, ...kept.values()]) if (group.includes(item)) group.splice(group.indexOf(item), 1);
    show();
  };
  const addOne = (file: File): void => {
    const stopper = new AbortController();
    const name = file.name || words.pasted;
    const note = h("span", { class: "note" }, words.beingRead);
    const close = h("button", { type: "button", class: "quiet tool", "aria-label": words.remove(name), title: words.remove(name) }, icon("close"));
    const node = h("li", { "aria-busy": "true" }, h("span", { class: "document-name", dir: "auto" }, name), note, close);
    const reading = readDocument(file, stopper.signal, senses()).then(
      (document) => {
        node.removeAttribute("aria-busy");
        note.textContent = measure(document);
        announce(words.added(name));
        return document;
      },
      (error: unknown) => {
        if (!stopper.signal.aborted) complain(error instanceof DocumentError ? error.message : words.failed(name, String((error as Error).message)));
        remove(item);
        return null;
      },
    );
    const item: Item = { name, node, stopper, reading };
    close.addEventListener("click", () => {
      const next = node.nextElementSibling ?? node.previousElementSibling;
      remove(item);
      (next?.querySelector("button") ?? pick).focus();
    });
    items.push(item);
  };
  const add = (files: Iterable<File>): void => {
    complaints.replaceChildren();
    for (const file of files) addOne(file);
    show();
  };
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    input.value = ""; // so that choosing the same file again is a change
    add(files);
  });
  return {
    node: h("div", { class: "attached" }, complaints, list, input),
    pick,
    add,
    isEmpty: () => items.length === 0,
    async take() {
      const [taken, from] = [items, key];
      const documents = await Promise.all(taken.map(({ reading }) => reading));
      if (documents.includes(null)) return null;
      kept.set(from, []);
      if (key === from) this.open(from);
      return documents.filter((document) => document !== null);
    },
    open(conversation) {
      key = conversation;
      items = kept.get(conversation) ?? [];
      kept.set(conversation, items);
      complaints.replaceChildren();
      show();
    },
  };
}

/** Files may be dropped anywhere while the chat is shown; elsewhere the browser would leave the page for the file. */
export function acceptDrops(node: HTMLElement, add: (files: File[]) => void): void {
  const cover = h("div", { class: "drop-cover", "aria-hidden": "true" }, strings.documents.drop);
  const isMeant = (event: DragEvent): boolean =>
    event.dataTransfer?.types.includes("Files") === true && node.isConnected && node.closest("[hidden]") === null && document.querySelector("dialog[open]") === null;
  addEventListener("dragover", (event) => {
    if (!isMeant(event)) return;
    event.preventDefault();
    document.body.append(cover);
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) cover.remove();
  });
  addEventListener("drop", (event) => {
    cover.remove();
    if (!isMeant(event)) return;
    event.preventDefault();
    add([...(event.dataTransfer?.files ?? [])]);
  });
}
