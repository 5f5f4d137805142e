/** The list of models that are stored on this device: load, resume, delete. */

import { deleteModel, listModels, type StoredModel } from "fanlight";
import { type Choice, isBuiltInUrl, storedChoice } from "./choice.js";
import { type Announce, button, h } from "./dom.js";
import * as strings from "./strings.js";

export interface StoredModels {
  readonly node: HTMLElement;
  refresh(): Promise<void>;
}

export function storedModels(load: (choice: Choice) => void, announce: Announce): StoredModels {
  const list = h("ul", { class: "stored" });
  const total = h("p", { class: "note" });
  const heading = h("h2", { tabindex: -1 }, strings.stored.heading);
  const node = h("section", { class: "card", hidden: true }, heading, list, total);

  const refresh = async (): Promise<void> => {
    const models = await listModels();
    list.replaceChildren(...models.map((model) => item(model, load, () => void remove(model))));
    total.textContent = await totals(models);
    node.hidden = models.length === 0;
  };
  const remove = async (model: StoredModel): Promise<void> => {
    const name = nameOf(model);
    if (!globalThis.confirm(strings.stored.confirm(name))) return;
    await deleteModel(model.url);
    await refresh();
    announce(strings.stored.removed(name));
    (node.hidden ? document.querySelector("h1") : heading)?.focus(); // the button is gone
  };
  return { node, refresh };
}

function item(model: StoredModel, load: (choice: Choice) => void, remove: () => void): HTMLElement {
  const words = strings.stored;
  const name = nameOf(model);
  const size = model.complete ? words.size(model.sizeBytes) : words.partial(model.storedBytes, model.sizeBytes);
  const [label, spoken] = model.complete ? [words.load, words.loadNamed(name)] : [words.resume, words.resumeNamed(name)];
  return h(
    "li",
    {},
    h("div", { class: "stored-name" }, h("span", { title: model.url }, name), h("span", { class: "note" }, size)),
    button(label, () => load(storedChoice(model.url, name)), { "aria-label": spoken }),
    button(words.remove, remove, { class: "quiet", "aria-label": words.removeNamed(name) }),
  );
}

function nameOf(model: StoredModel): string {
  return isBuiltInUrl(model.url) ? strings.stored.builtIn : model.name;
}

async function totals(models: readonly StoredModel[]): Promise<string> {
  const sum = models.reduce((all, model) => all + model.storedBytes, 0);
  const words = strings.stored.total(models.length, sum);
  const { quota, usage } = await navigator.storage.estimate().catch(() => ({ quota: undefined, usage: undefined }));
  return quota === undefined || usage === undefined ? words : `${words}; ${strings.stored.free(Math.max(0, quota - usage))}`;
}
