/** The button of an embedding model in a list: it reads documents, beside a model that chats.  At most one is pressed. */

import type { CatalogueModel } from "fanlight";
import { button } from "./dom.js";
import { chooseEmbedder, chosenEmbedder, embedderOf } from "./embedder.js";
import * as strings from "./strings.js";

/** `tell` learns what came of it. */
export function embedderButton(model: CatalogueModel, tell: (text: string) => void): HTMLButtonElement {
  const words = strings.embedder;
  const ref = embedderOf(model);
  const press = (): void => {
    const isChosen = node.ariaPressed === "true";
    chooseEmbedder(isChosen ? undefined : ref);
    tell(isChosen ? words.dropped(ref.name) : words.chosen(ref.name));
  };
  const node = button(words.forDocuments, press, { class: "quiet", "aria-label": `${words.forDocuments}: ${ref.name}`, "data-embedder": ref.address });
  showChosen(node);
  return node;
}

/** Presses the button if its model is the one that is chosen now. */
export function showChosen(node: HTMLButtonElement): void {
  const isChosen = chosenEmbedder()?.address === node.dataset["embedder"];
  node.setAttribute("aria-pressed", String(isChosen));
}
