/** The first view: which model?  Built-in, a file, an address, a model of this server, or one that is stored. */

import { builtIn, type Choice, fileChoice, urlChoice } from "./choice.js";
import { type Announce, button, field, h, newId } from "./dom.js";
import { type Missing, missingFeatures } from "./features.js";
import { storedModels } from "./stored-models.js";
import { listServed, type Served } from "./served.js";
import * as strings from "./strings.js";

export interface ChooseView {
  readonly node: HTMLElement;
  /** Called each time the view is shown. */
  refresh(canGoBack: boolean): Promise<void>;
  /** Above everything else; null takes it away. */
  setNotice(notice: HTMLElement | null): void;
  contextLength(): number | undefined;
}

interface ServedFile {
  readonly name: string;
  readonly size: number;
  readonly url: string;
}

export function chooseView(load: (choice: Choice) => void, back: () => void, announce: Announce): ChooseView {
  const words = strings.choose;
  const notice = h("div");
  const problems = h("div");
  const lesser = h("div", { class: "note" });
  const served = h("section", { class: "card", hidden: true });
  const stored = storedModels(load, announce);
  const context = h("input", { type: "number", min: 16, step: 1, inputmode: "numeric", placeholder: words.options.contextPlaceholder });
  const goBack = button(words.back, back, { class: "quiet", hidden: true });
  const options = h(
    "details",
    { class: "card" },
    h("summary", {}, words.options.heading),
    field(words.options.context, context, words.options.contextNote),
  );
  const models = h("div", { class: "stack" }, builtInCard(load), stored.node, ownCard(load), options);
  const node = h(
    "section",
    { class: "choose stack" },
    h("header", { class: "hero" }, h("h1", { tabindex: -1 }, words.heading), h("p", { class: "lead" }, words.lead), goBack),
    notice,
    served, // needs nothing of this device
    problems,
    models,
    lesser,
  );

  const check = async (): Promise<void> => {
    const missing = await missingFeatures();
    problems.replaceChildren(...problemBox(missing, () => void check()));
    lesser.replaceChildren(...missing.lesser.map((text) => h("p", {}, text)));
    models.toggleAttribute("inert", missing.needed.length > 0);
  };
  acceptDrops(node, (files) => {
    if (!models.hasAttribute("inert")) load(fileChoice(files));
  });
  const offer = async (key: string | null = null): Promise<void> => {
    const found = await listServed(key);
    const files = found.needsKey || found.choices.length === 0 ? [] : await listFiles();
    showServed(served, found, files, load, (given) => void offer(given));
  };
  void offer();
  return {
    node,
    async refresh(canGoBack) {
      goBack.hidden = !canGoBack;
      await Promise.all([check(), stored.refresh()]);
    },
    setNotice: (box) => notice.replaceChildren(...(box ? [box] : [])),
    contextLength: () => (context.value && context.checkValidity() ? Number(context.value) : undefined),
  };
}

function problemBox({ needed }: Missing, again: () => void): HTMLElement[] {
  if (needed.length === 0) return [];
  const { heading, again: label } = strings.features;
  const texts = needed.map((text) => h("p", {}, text));
  const row = h("div", { class: "row" }, button(label, again, { class: "primary" }));
  return [h("div", { class: "failure", role: "alert" }, h("h2", {}, heading), ...texts, row)];
}

function builtInCard(load: (choice: Choice) => void): HTMLElement {
  const words = strings.choose.builtIn;
  return h(
    "section",
    { class: "card featured" },
    h("div", {}, h("h2", {}, words.heading), h("p", {}, words.note)),
    button(words.load, () => load(builtIn), { class: "primary large" }),
  );
}

function ownCard(load: (choice: Choice) => void): HTMLElement {
  const words = strings.choose;
  return h("section", { class: "card" }, h("h2", {}, words.file.heading), fileField(load), urlForm(load));
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
function acceptDrops(node: HTMLElement, open: (files: File[]) => void): void {
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

/** The files of the served model, where they lie on the server. */
async function listFiles(): Promise<readonly ServedFile[]> {
  try {
    const response = await fetch("models/", { headers: { Accept: "application/json" } });
    const { files } = (await response.json()) as { files?: readonly ServedFile[] };
    return response.ok && Array.isArray(files) ? files : [];
  } catch {
    return [];
  }
}

function showServed(
  card: HTMLElement,
  { choices, needsKey }: Served,
  files: readonly ServedFile[],
  load: (choice: Choice) => void,
  retry: (key: string) => void,
): void {
  const words = strings.choose.served;
  const chats = choices.map((choice) => button(words.chat(choice.name), () => load(choice), { class: "primary large" }));
  const parts = needsKey ? [keyForm(retry)] : [h("p", {}, words.note), h("div", { class: "row" }, ...chats), filesButton(files, load)];
  card.replaceChildren(h("h2", {}, words.heading), ...parts.filter((part) => part !== null));
  card.hidden = !needsKey && choices.length === 0;
}

/** To run the served model in this browser, without the server. */
function filesButton(files: readonly ServedFile[], load: (choice: Choice) => void): HTMLElement | null {
  const first = files.map((file) => file.url).sort().find((url) => url.endsWith(".gguf"));
  const url = first ?? files[0]?.url.replace(/[^/]*$/, "");
  if (url === undefined || !files[0]) return null;
  const size = files.reduce((all, file) => all + file.size, 0);
  const name = files.find((file) => file.url === first)?.name ?? files[0].name;
  return button(strings.choose.served.load(name, strings.bytes(size)), () => load(urlChoice(url)), { class: "quiet" });
}

function keyForm(retry: (key: string) => void): HTMLElement {
  const words = strings.choose.served;
  const input = h("input", { type: "password", autocomplete: "off" });
  const control = field(words.key, input, words.keyNote);
  input.after(h("button", { type: "submit" }, words.keyUse));
  const form = h("form", { class: "url-form", novalidate: true }, control);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value) retry(input.value);
    else input.focus();
  });
  return form;
}
