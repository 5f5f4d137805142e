/** The first card: the model to begin with on this device, and the built-in one for who wants no download. */

import { builtIn, type Choice } from "./choice.js";
import { button, type Child, h } from "./dom.js";
import type { Judged } from "./fits.js";
import { badges, catalogueChoice, facts, goodAt } from "./model-entry.js";
import type { Offered } from "./served-card.js";
import * as strings from "./strings.js";

/** The server's own offer comes first: it needs no other server. */
export function firstOffer(offered: Offered | undefined, best: Judged | null, load: (choice: Choice) => void): HTMLElement {
  const words = strings.choose.first;
  const demonstration = (kind: string): HTMLElement => button(strings.choose.builtIn.load, () => load(builtIn), { class: kind });
  const card = (heading: string, parts: readonly Child[], starts: readonly Child[]): HTMLElement =>
    h("section", { class: "card featured" }, h("div", { class: "stack tight" }, h("h2", {}, heading), ...parts), h("div", { class: "starts" }, ...starts));
  const start = (name: string, size: number, choice: Choice): readonly Child[] => {
    const large = button(words.startSize(strings.bytes(size)), () => load(choice), { class: "primary large", "aria-label": words.startNamed(name, strings.bytes(size)) });
    return [large, demonstration("quiet"), h("p", { class: "note" }, words.builtInNote)];
  };
  if (offered) return card(offered.choice.name, [h("p", {}, words.offered)], start(offered.choice.name, offered.size, offered.choice));
  if (best) {
    const parts = [h("p", {}, words.best), goodAt(best), badges(best), h("p", { class: "note" }, facts(best))];
    return card(best.model.title, parts, start(best.model.title, best.footprint?.file ?? 0, catalogueChoice(best)));
  }
  return card(strings.choose.builtIn.heading, [h("p", {}, strings.choose.builtIn.note)], [demonstration("primary large")]);
}
