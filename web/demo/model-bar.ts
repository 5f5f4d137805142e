/** The line above the message field: that no model is loaded, or that another one answers than before; and how to change that. */

import type { Choice } from "./choice.js";
import type { Conversation } from "./conversation.js";
import { button, h } from "./dom.js";
import { findModel } from "./model-ref.js";
import type { Loaded } from "./runs.js";
import { keepEnd } from "./scrolling.js";
import * as strings from "./strings.js";

export interface ModelBarActions {
  load(choice: Choice): void;
  /** To the view where all models are. */
  openModels(): void;
}

let turn = 0;

export async function showModelBar(bar: HTMLElement, { model }: Conversation, loaded: Loaded | null, actions: ModelBarActions): Promise<void> {
  const mine = ++turn;
  const words = strings.modelBar;
  const isOther = model !== null && model.name !== loaded?.name;
  if (loaded && !isOther) {
    bar.hidden = true;
    return bar.replaceChildren();
  }
  const found = isOther ? await findModel(model) : null;
  if (mine !== turn) return;
  if (!loaded && found?.choice.served) return actions.load(found.choice); // it costs nothing
  const changed = keepEnd();
  const offered = found && (!loaded || found.isHere) && model;
  bar.replaceChildren(
    h("span", {}, !loaded ? (model ? words.none(model.name) : words.noneYet) : words.other(model?.name ?? "", loaded.name)),
    ...(offered ? [button(found.isHere ? words.load(offered.name) : words.download(offered.name), () => actions.load(found.choice), { class: loaded ? "quiet small" : "primary small" })] : []),
    ...(loaded ? [] : [button(words.models, () => actions.openModels(), { class: "small" })]),
  );
  bar.hidden = false;
  changed();
}
