/** What stands where nothing has been said yet: which model is there, and what could be asked. */

import { canChat } from "./answer.js";
import { button, h } from "./dom.js";
import type { Loaded } from "./runs.js";
import type { ChatSettings } from "./sampling.js";
import * as strings from "./strings.js";

export function welcome(loaded: Loaded | null, { system }: ChatSettings, ask: (text: string) => void, openSettings: () => void): HTMLElement {
  const words = strings.chat;
  if (!loaded) return h("div", { class: "welcome stack" }, h("p", { class: "lead" }, words.noModel));
  const ready = canChat(loaded.engine) ? (loaded.isBuiltIn ? words.readyBuiltIn : words.ready) : words.continues;
  const texts = loaded.isBuiltIn ? words.suggestionsBuiltIn : words.suggestions;
  const list = texts.map((text) => h("li", {}, button(text, () => ask(text))));
  const instructed = system && h("p", { class: "note instructed" }, h("span", { dir: "auto" }, words.instructed(system)), " ", button(words.changeInstructions, openSettings, { class: "quiet small" }));
  return h(
    "div",
    { class: "welcome stack" },
    h("p", { class: "lead" }, h("strong", {}, loaded.name), " ", ready),
    h("ul", { class: "suggestions", "aria-label": words.suggestionsLabel }, ...list),
    instructed,
  );
}
