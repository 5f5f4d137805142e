/** The first view: which model?  Served here, the best for this device, stored ones, the catalogue and the hub, one's own. */

import { catalogueList } from "./catalogue-list.js";
import { type Choice, fileChoice } from "./choice.js";
import { chooseOptions } from "./choose-options.js";
import { readDevice } from "./device.js";
import { type Announce, button, h } from "./dom.js";
import { type Missing, missingFeatures } from "./features.js";
import { bestOf } from "./fits.js";
import { firstOffer } from "./first-offer.js";
import { acceptDrops, ownCard } from "./own-model.js";
import { storedModels } from "./stored-models.js";
import { listServed, type Served } from "./served.js";
import { listOffered, type Offered, servedCard } from "./served-card.js";
import * as strings from "./strings.js";

export interface ChooseView {
  readonly node: HTMLElement;
  /** Called each time the view is shown. */
  refresh(canGoBack: boolean): Promise<void>;
  /** Above everything else; null takes it away. */
  setNotice(notice: HTMLElement | null): void;
  contextLength(): number | undefined;
}

export function chooseView(load: (choice: Choice) => void, back: () => void, announce: Announce): ChooseView {
  const words = strings.choose;
  const notice = h("div");
  const problems = h("div");
  const lesser = h("div", { class: "note" });
  const served = h("div");
  const first = h("div", { class: "first" }, firstOffer(undefined, null, load));
  const stored = storedModels(load, announce);
  const list = catalogueList(load, announce);
  const options = chooseOptions(
    () => void weigh(),
    (url) => list.use(url).then(async (isThere) => {
      if (isThere) await weigh();
      return isThere;
    }),
  );
  const goBack = button(words.back, back, { class: "quiet", hidden: true });
  const models = h("div", { class: "stack" }, first, stored.node, list.node, ownCard(load), options.node);
  const node = h(
    "section",
    { class: "choose stack" },
    h("header", { class: "hero small" }, h("h1", { tabindex: -1 }, words.heading), h("p", {}, words.lead), goBack),
    notice,
    served, // needs nothing of this device
    problems,
    models,
    lesser,
  );
  let offered: readonly Offered[] = [];
  let isServed = false;

  const check = async (): Promise<void> => {
    const missing = await missingFeatures();
    problems.replaceChildren(...problemBox(missing, () => void check()));
    lesser.replaceChildren(...missing.lesser.map((text) => h("p", {}, text)));
    models.toggleAttribute("inert", missing.needed.length > 0);
  };
  /** What fits this device, and what to begin with. */
  const weigh = async (): Promise<void> => {
    const device = await readDevice();
    options.show(device);
    const best = bestOf(await list.judge(device, options.contextLength()));
    const hadFocus = first.contains(document.activeElement);
    first.replaceChildren(firstOffer(isServed ? undefined : offered[0], best, load));
    if (hadFocus) first.querySelector("button")?.focus();
  };
  const ask = async (key: string | null = null): Promise<void> => {
    const found: Served = await listServed(key);
    offered = found.needsKey ? [] : await listOffered();
    isServed = found.needsKey || found.choices.length > 0;
    served.replaceChildren(...(isServed ? [servedCard(found, offered, load, (given) => void ask(given).then(weigh))] : []));
  };
  acceptDrops(node, (files) => {
    if (!models.hasAttribute("inert")) load(fileChoice(files));
  });
  const catalogueUrl = new URLSearchParams(location.search).get("catalogue");
  const begun = Promise.all([ask(), catalogueUrl ? list.use(catalogueUrl) : null]);
  return {
    node,
    async refresh(canGoBack) {
      goBack.hidden = !canGoBack;
      await Promise.all([check(), stored.refresh(), begun.then(weigh)]);
    },
    setNotice: (box) => notice.replaceChildren(...(box ? [box] : [])),
    contextLength: options.contextLength,
  };
}

function problemBox({ needed }: Missing, again: () => void): HTMLElement[] {
  if (needed.length === 0) return [];
  const { heading, again: label } = strings.features;
  const texts = needed.map((text) => h("p", {}, text));
  const row = h("div", { class: "row" }, button(label, again, { class: "primary" }));
  return [h("div", { class: "failure", role: "alert" }, h("h2", {}, heading), ...texts, row)];
}
