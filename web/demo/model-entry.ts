/** A model of the catalogue as it is shown: its facts, whether it fits here, a button to load it.  Knows no list. */

import { isPooled, modelOf } from "fanlight";
import type { Choice } from "./choice.js";
import { button, type Child, h } from "./dom.js";
import { embedderButton } from "./embedder-button.js";
import type { Judged } from "./fits.js";
import * as strings from "./strings.js";

export function catalogueChoice({ model }: Judged): Choice {
  return { model: modelOf(model), name: model.title, isBuiltIn: false };
}

/** A line of the list: a model that chats is loaded from it, one that makes vectors is used for documents. */
export function entryItem(judged: Judged, load: (choice: Choice) => void, tell: (text: string) => void): HTMLElement {
  const { model } = judged;
  const start = isPooled(model) ? embedderButton(model, tell) : loadButton(judged, load);
  const body = h("div", { class: "entry-body" }, h("h3", {}, model.title), goodAt(judged), h("p", { class: "note" }, facts(judged)), badges(judged));
  return h("li", { class: "entry" }, body, start);
}

function loadButton(judged: Judged, load: (choice: Choice) => void): HTMLButtonElement {
  const { model, verdict } = judged;
  const quiet = verdict === "large" || verdict === "storage";
  const named = strings.catalogue.loadNamed(model.title);
  return button(strings.catalogue.load, () => load(catalogueChoice(judged)), { "aria-label": named, class: quiet ? "quiet" : "" });
}

/** The catalogue speaks English, whatever the page does. */
export function goodAt({ model }: Judged): HTMLElement {
  return h("p", { lang: "en" }, model.good_at);
}

/** Maker, licence, sizes: "Meta · MIT · 0.8 GB · …". */
export function facts({ model, footprint }: Judged): string {
  const words = strings.catalogue;
  const parts = [model.maker, model.license, footprint && words.download(footprint.file), words.context(model.context_length)];
  return parts.filter(Boolean).join(" · ");
}

/** Whether it fits, how fast it is, and what it can. */
export function badges(judged: Judged): HTMLElement {
  const words = strings.catalogue;
  const { model, verdict, footprint, speed } = judged;
  const fits = h("span", { class: `badge ${verdict}` }, words.verdicts[verdict](footprint?.total ?? 0));
  const shown: Child[] = [fits];
  if (speed && verdict !== "large") shown.push(h("span", { class: "badge" }, words.speed(speed.tokensPerSecond, speed.isMeasured)));
  for (const capability of model.capabilities) if (capability !== "chat") shown.push(h("span", { class: "badge" }, words.capabilities[capability]));
  if (model.gated) shown.push(h("span", { class: "badge" }, words.gated));
  return h("p", { class: "badges" }, ...shown);
}
