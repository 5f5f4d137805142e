/** What the page's own server has: models that it runs, and files that it offers for this browser (`fanlight serve MODEL`, `--offer`). */

import { type Choice, urlChoice } from "./choice.js";
import { button, field, h } from "./dom.js";
import type { Served } from "./served.js";
import * as strings from "./strings.js";

/** A model of the server's files. */
export interface Offered {
  readonly choice: Choice;
  readonly size: number;
}

interface ServedFile {
  readonly name: string;
  readonly size: number;
  readonly url: string;
}

/** Elsewhere than at a `fanlight serve` there is nothing at that address. */
export async function listOffered(): Promise<readonly Offered[]> {
  try {
    const response = await fetch("models/", { headers: { Accept: "application/json" } });
    const { files } = (await response.json()) as { files?: readonly ServedFile[] };
    return response.ok && Array.isArray(files) ? modelsOf(files) : [];
  } catch {
    return [];
  }
}

/** Each GGUF file is one, with all its parts; what else there is makes one together. */
function modelsOf(files: readonly ServedFile[]): Offered[] {
  const models = new Map<string, { name: string; size: number }>();
  for (const { name, size, url } of files) {
    const isGguf = name.toLowerCase().endsWith(".gguf");
    const first = isGguf ? url.replace(/-\d{5}(-of-\d{5}\.gguf)$/i, "-00001$1") : url.replace(/[^/]*$/, "");
    const { size: before = 0 } = models.get(first) ?? {};
    models.set(first, { name: models.get(first)?.name ?? name, size: before + size });
  }
  return [...models].map(([url, { name, size }]) => ({ choice: { ...urlChoice(url), name: nameOf(name) }, size }));
}

const nameOf = (file: string): string => file.replace(/(-\d{5}-of-\d{5})?\.(gguf|safetensors)$/i, "");

/** The models that the server runs, or the question for its key. */
export function servedCard({ choices, needsKey }: Served, offered: readonly Offered[], load: (choice: Choice) => void, retry: (key: string) => void): HTMLElement {
  const words = strings.choose.served;
  const chats = choices.map((choice) => button(words.chat(choice.name), () => load(choice), { class: "primary large" }));
  const here = offered.map(({ choice, size }) => button(words.load(choice.name, strings.bytes(size)), () => load(choice), { class: "quiet" }));
  const parts = needsKey ? [keyForm(retry)] : [h("p", {}, words.note), h("div", { class: "row" }, ...chats), ...here];
  return h("section", { class: "card" }, h("h2", {}, words.heading), ...parts);
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
