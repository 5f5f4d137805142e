/** The list of models to choose from: the catalogue, by kind, words and size; and behind the same words the hub.  Asks the hub only when told to. */

import { catalogue, type CatalogueModel, fetchCatalogue } from "fanlight";
import type { Choice } from "./choice.js";
import type { Device } from "./device.js";
import { type Announce, button, h, newId } from "./dom.js";
import { CHOSEN } from "./embedder.js";
import { showChosen } from "./embedder-button.js";
import { failureBox } from "./failures.js";
import { type Judged, judge } from "./fits.js";
import { hubSearch } from "./hub-search.js";
import { entryItem } from "./model-entry.js";
import * as strings from "./strings.js";

export interface CatalogueList {
  readonly node: HTMLElement;
  /** For another device, or another length of context. What is in the list, judged. */
  judge(device: Device, contextLength?: number): Promise<readonly Judged[]>;
  /** Another list, from its address; Fanlight's own for null. False where it cannot be had, which is said. */
  use(url: string | null): Promise<boolean>;
}

const KINDS = ["all", "chat", "vision", "thinking", "code", "tools", "embeddings"] as const;
const ORDERS = ["listed", "small", "large", "name"] as const;
const FEW = 6; // shown before one asks for all

export function catalogueList(load: (choice: Choice) => void, announce: Announce): CatalogueList {
  const words = strings.catalogue;
  const search = h("input", { type: "search", placeholder: words.searchPlaceholder, "aria-label": words.search, autocomplete: "off", spellcheck: "false" });
  const kind = picker(words.kind, KINDS, words.kinds);
  const order = picker(words.order, ORDERS, words.orders);
  const list = h("ul", { class: "entries" });
  const more = button("", () => show(true), { class: "quiet", hidden: true });
  const none = h("p", { class: "note", hidden: true }, words.none);
  const source = h("p", { class: "note", hidden: true });
  const trouble = h("div");
  const hub = hubSearch(load, announce);
  const askHub = h("button", { type: "submit" }, words.askHub);
  const form = h("form", { class: "find", role: "search", novalidate: true }, search, askHub);
  const controls = h("div", { class: "row controls" }, kind.node, order.node);
  const heading = h("h2", { tabindex: -1 }, words.heading);
  const node = h("section", { class: "card stack catalogue" }, heading, source, trouble, form, controls, list, none, more, hub.node);

  const done = h("p", { class: "note", hidden: true }); // what came of a button
  list.before(done);
  const tell = (text: string): void => {
    done.textContent = text;
    done.hidden = false;
    announce(text);
  };
  addEventListener(CHOSEN, () => list.querySelectorAll<HTMLButtonElement>("button[data-embedder]").forEach(showChosen));

  let models: readonly CatalogueModel[] | null = null;
  let from: string | null = null; // somebody's list
  let judged: readonly Judged[] = [];

  const show = (isAll = false): void => {
    const found = sorted(judged.filter((each) => isOf(each.model, kind.value()) && has(each.model, search.value)), order.value());
    const narrowed = search.value.trim() !== "" || kind.value() !== "all";
    const first = isAll || narrowed || order.value() !== "listed" ? found : few(found);
    list.replaceChildren(...first.map((each) => entryItem(each, load, tell)));
    more.hidden = first.length === found.length;
    more.textContent = words.showAll(found.length);
    none.hidden = found.length > 0;
    if (isAll) (list.children[FEW] ?? list.lastElementChild)?.querySelector("button")?.focus();
  };
  search.addEventListener("input", () => {
    show();
    hub.clear();
  });
  for (const select of [kind.select, order.select]) select.addEventListener("change", () => show());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (search.value.trim()) void hub.find(search.value.trim());
    else search.focus();
  });
  const read = async (): Promise<readonly CatalogueModel[]> => {
    models ??= from === null ? await catalogue() : await fetchCatalogue(from);
    return models;
  };

  return {
    node,
    async judge(device, contextLength) {
      hub.setDevice(device);
      try {
        judged = (await read()).map((model) => judge(model, device, contextLength));
        trouble.replaceChildren();
      } catch (error) {
        judged = [];
        trouble.replaceChildren(failureBox(error, { retry: () => void this.judge(device, contextLength), dismiss: () => trouble.replaceChildren() }));
      }
      show();
      return judged;
    },
    async use(url) {
      const before = [from, models] as const;
      [from, models] = [url, null];
      try {
        await read();
        source.textContent = url === null ? "" : words.from(new URL(url, location.href).host);
        source.hidden = url === null;
        return true;
      } catch (error) {
        [from, models] = before;
        trouble.replaceChildren(failureBox(error, { dismiss: () => trouble.replaceChildren() }));
        return false;
      }
    },
  };
}

interface Picker<T> {
  readonly node: HTMLElement;
  readonly select: HTMLSelectElement;
  value(): T;
}

function picker<T extends string>(label: string, values: readonly T[], names: Readonly<Record<T, string>>): Picker<T> {
  const select = h("select", { id: newId() }, ...values.map((value) => h("option", { value }, names[value])));
  return { node: h("div", { class: "picker" }, h("label", { for: select.id }, label), select), select, value: () => select.value as T };
}

function isOf({ capabilities }: CatalogueModel, kind: (typeof KINDS)[number]): boolean {
  return kind === "all" || capabilities.includes(kind);
}

/** To begin with: those that fit, the recommended ones before, the largest first. */
function few(judged: readonly Judged[]): readonly Judged[] {
  const fitting = judged.filter(({ verdict, model }) => verdict === "fits" && model.capabilities.includes("chat"));
  const size = ({ model, footprint }: Judged): number => (model.recommended ? 1e15 : 0) + (footprint?.file ?? 0);
  return fitting.sort((a, b) => size(b) - size(a)).slice(0, FEW);
}

/** All words, each anywhere in what is known of it. */
function has(model: CatalogueModel, text: string): boolean {
  const line = [model.id, model.title, model.maker, model.license, model.good_at, model.repository ?? "", ...model.languages].join(" ").toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => line.includes(word));
}

function sorted(judged: readonly Judged[], order: (typeof ORDERS)[number]): readonly Judged[] {
  const size = ({ footprint }: Judged): number => footprint?.file ?? Infinity;
  if (order === "name") return [...judged].sort((a, b) => a.model.title.localeCompare(b.model.title));
  if (order === "small") return [...judged].sort((a, b) => size(a) - size(b));
  return order === "large" ? [...judged].sort((a, b) => size(b) - size(a)) : judged;
}
