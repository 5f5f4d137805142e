/** A person's own model: a file that is chosen or dropped, or an address. */

import { type Choice, fileChoice, urlChoice } from "./choice.js";
import { field, h, newId } from "./dom.js";
import * as strings from "./strings.js";

export function ownCard(load: (choice: Choice) => void): HTMLElement {
  const words = strings.choose;
  return h("section", { class: "card stack" }, h("h2", {}, words.file.heading), fileField(load), urlForm(load));
}

function fileField(load: (choice: Choice) => void): HTMLElement {
  const words = strings.choose.file;
  const noteId = newId();
  const input = h("input", { type: "file", id: newId(), multiple: true, class: "visually-hidden", "aria-describedby": noteId });
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    input.value = ""; // so that choosing the same file again is a change
    if (files.length) load(fileChoice(files));
  });
  return h(
    "div",
    { class: "drop" },
    input,
    h("label", { for: input.id, class: "button" }, words.pick),
    h("p", {}, words.drop),
    h("p", { class: "note", id: noteId }, words.parts),
  );
}

function urlForm(load: (choice: Choice) => void): HTMLElement {
  const words = strings.choose.url;
  const input = h("input", { type: "text", inputmode: "url", autocomplete: "off", spellcheck: "false", placeholder: words.placeholder });
  const complaint = h("p", { class: "complaint", role: "alert" });
  const control = field(words.label, input, words.note);
  input.after(h("button", { type: "submit" }, words.load));
  const form = h("form", { class: "url-form", novalidate: true }, control, complaint);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    complaint.textContent = text ? "" : words.empty;
    input.toggleAttribute("aria-invalid", !text);
    if (text) load(urlChoice(text));
    else input.focus();
  });
  return form;
}

/** Files may be dropped anywhere while the view is shown; elsewhere the browser would leave the page for the file. */
export function acceptDrops(node: HTMLElement, open: (files: File[]) => void): void {
  const cover = h("div", { class: "drop-cover", "aria-hidden": "true" }, strings.choose.file.dropping);
  const isFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") === true;
  const isShown = (): boolean => node.isConnected && !node.hidden;
  addEventListener("dragover", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    if (isShown()) document.body.append(cover);
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) cover.remove();
  });
  addEventListener("drop", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    cover.remove();
    const files = [...(event.dataTransfer?.files ?? [])];
    if (isShown() && files.length) open(files);
  });
}
