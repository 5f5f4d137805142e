/** The setting of which embedding model reads long documents.  It is of the page, not of a conversation. */

import { button, field, h } from "./dom.js";
import { chooseEmbedder, chosenEmbedder, type EmbedderRef, knownEmbedders, namedEmbedder, storedEmbedders } from "./embedder.js";
import * as strings from "./strings.js";

export interface EmbedderField {
  readonly node: HTMLElement;
  /** Reads anew what is stored and chosen. */
  refresh(): Promise<void>;
}

const AUTOMATIC = "automatic";
const NONE = "none";
const OTHER = "other";

export function embedderField(): EmbedderField {
  const words = strings.embedder;
  const select = h("select");
  const address = h("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  const use = button(words.use, () => void useAddress(), { class: "small" });
  const other = h("div", { class: "stack", hidden: true }, field(words.address, address, words.addressNote), h("div", { class: "row" }, use));
  const node = h("div", { class: "stack" }, field(words.label, select, words.note), other);
  let known: EmbedderRef[] = [];

  const refresh = async (): Promise<void> => {
    const chosen = chosenEmbedder();
    const stored = await storedEmbedders();
    const first = stored[0];
    const isAmong = (refs: readonly EmbedderRef[], { address }: EmbedderRef): boolean => refs.some((ref) => ref.address === address);
    const listed = (await knownEmbedders()).filter((ref) => !isAmong(stored, ref));
    const own = chosen && !isAmong([...stored, ...listed], chosen) ? [chosen] : [];
    known = [...own, ...stored, ...listed];
    select.replaceChildren(
      option(AUTOMATIC, first ? words.automatic(first.name) : words.automaticNone),
      option(NONE, words.none),
      ...[...own, ...stored].map(({ name, address: value }) => option(value, name)),
      h("optgroup", { label: words.listed }, ...listed.map(({ name, address: value }) => option(value, name))),
      option(OTHER, words.other),
    );
    select.value = chosen === undefined ? AUTOMATIC : chosen === null ? NONE : chosen.address;
    other.hidden = true;
  };
  const useAddress = async (): Promise<void> => {
    const text = address.value.trim();
    if (!text) return address.focus();
    chooseEmbedder(await namedEmbedder(text));
    address.value = "";
    await refresh();
    select.focus();
  };
  select.addEventListener("change", () => {
    other.hidden = select.value !== OTHER;
    if (select.value === OTHER) return address.focus();
    chooseEmbedder(select.value === AUTOMATIC ? undefined : select.value === NONE ? null : known.find((ref) => ref.address === select.value));
  });
  return { node, refresh };
}

function option(value: string, label: string): HTMLOptionElement {
  return h("option", { value }, label);
}
