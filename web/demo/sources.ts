/** What an answer was made from, and the files that a question came with, as they are shown in messages. */

import type { Document } from "./documents.js";
import { h } from "./dom.js";
import { listed } from "./format.js";
import type { Sources } from "./grounding.js";
import type { Passage } from "./passages.js";
import * as strings from "./strings.js";

export interface SourcesView {
  readonly node: HTMLElement;
  show(sources: Sources | undefined): void;
}

const MAX_SHOWN = 20_000; // characters of a document; more would make the page slow

export function sourcesView(): SourcesView {
  const node = h("div", { class: "sources", hidden: true });
  let shown: Sources | undefined;
  return {
    node,
    show(sources) {
      if (sources === shown) return;
      shown = sources;
      node.hidden = !sources;
      node.replaceChildren(...(sources ? [sourcesNode(sources)] : []));
    },
  };
}

function sourcesNode(sources: Sources): HTMLElement {
  const words = strings.documents.sources;
  const names = listed([...new Set(sources.passages.map(({ name }) => name))]);
  if (sources.way === "whole") return h("p", { class: "note" }, words.whole(names));
  return h(
    "details",
    {},
    h("summary", {}, words.found(sources.passages.length, names)),
    h("p", { class: "note" }, how(sources)),
    h("ol", {}, ...sources.passages.map(passageNode)),
  );
}

function how({ way, model = "", trouble }: Sources): string {
  const words = strings.documents.sources;
  if (way === "meaning") return words.meaning(model);
  return trouble === undefined ? words.words : words.trouble(model, trouble);
}

function passageNode(passage: Passage): HTMLElement {
  return h("li", {}, h("p", { class: "place", dir: "auto" }, placed(passage)), h("blockquote", { dir: "auto" }, passage.text));
}

function placed({ name, page, line }: Passage): string {
  const words = strings.documents;
  return page ? words.page(name, page) : line ? words.line(name, line) : name;
}

/** A file of a question; its text can be read, its picture seen, or its sound heard. */
export function documentNode({ name, text, pages, image, sound }: Document): HTMLElement {
  if (image?.startsWith("data:image/")) return h("img", { class: "picture", src: image, alt: name });
  if (sound?.startsWith("data:audio/")) return h("audio", { class: "sound", src: sound, controls: true, title: name, "aria-label": name });
  const words = strings.documents;
  const rest = text.length - MAX_SHOWN;
  const shown = text.slice(0, MAX_SHOWN) + (rest > 0 ? `\n${words.more(rest)}` : "");
  return h(
    "details",
    { class: "document" },
    h("summary", {}, h("span", { class: "document-name", dir: "auto" }, name), " ", h("span", { class: "note" }, measure({ text, ...(pages && { pages }) }))),
    h("pre", { tabindex: 0, role: "group", "aria-label": name, dir: "auto" }, shown),
  );
}

/** How much of it there is. */
export function measure({ text, pages, image, sound }: Pick<Document, "text" | "pages" | "image" | "sound">): string {
  if (image || sound) return "";
  return pages ? strings.documents.pages(pages.length) : strings.documents.size(text.length);
}
