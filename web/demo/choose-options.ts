/** What a person may say before loading: context, the graphics card's memory, another list of models. */

import { chooseMemory, type Device, MEMORIES } from "./device.js";
import { button, field, h } from "./dom.js";
import * as strings from "./strings.js";

export interface ChooseOptions {
  readonly node: HTMLElement;
  contextLength(): number | undefined;
  show(device: Device): void;
}

export function chooseOptions(changed: () => void, useCatalogue: (url: string | null) => Promise<boolean>): ChooseOptions {
  const words = strings.choose.options;
  const context = h("input", { type: "number", min: 16, step: 1, inputmode: "numeric", placeholder: words.contextPlaceholder });
  const memory = h("select", {});
  context.addEventListener("change", changed);
  memory.addEventListener("change", () => {
    chooseMemory(memory.value ? Number(memory.value) : null);
    changed();
  });
  const node = h(
    "details",
    { class: "card" },
    h("summary", {}, words.heading),
    h("div", { class: "stack" }, field(words.context, context, words.contextNote), field(words.memory, memory, words.memoryNote), catalogueForm(useCatalogue)),
  );
  return {
    node,
    contextLength: () => (context.value && context.checkValidity() ? Number(context.value) : undefined),
    show({ memoryBytes, isGuess }) {
      const guess = h("option", { value: "", selected: isGuess }, isGuess ? words.memoryGuess(memoryBytes) : words.memoryAutomatic);
      const amounts = MEMORIES.map((gb) => h("option", { value: gb * 1e9, selected: !isGuess && memoryBytes === gb * 1e9 }, strings.bytes(gb * 1e9)));
      memory.replaceChildren(guess, ...amounts);
    },
  };
}

function catalogueForm(use: (url: string | null) => Promise<boolean>): HTMLElement {
  const words = strings.choose.options;
  const input = h("input", { type: "url", inputmode: "url", autocomplete: "off", spellcheck: "false", placeholder: "https://…/models.json" });
  input.value = new URLSearchParams(location.search).get("catalogue") ?? "";
  const control = field(words.catalogue, input, words.catalogueNote);
  const reset = button(words.catalogueReset, () => void submit(""), { class: "quiet", hidden: !input.value });
  input.after(h("button", { type: "submit" }, words.catalogueUse), reset);
  const form = h("form", { class: "url-form", novalidate: true }, control);
  const submit = async (url: string): Promise<void> => {
    if (!(await use(url || null))) return;
    input.value = url;
    reset.hidden = !url;
    const address = new URL(location.href);
    if (url) address.searchParams.set("catalogue", url);
    else address.searchParams.delete("catalogue");
    history.replaceState(null, "", address); // so that it can be kept and shared
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit(input.value.trim());
  });
  return form;
}
