/** The settings sheet: how answers are made, and what is loaded.  Knows no engine but its `info`. */

import type { Engine } from "fanlight";
import { button, field, h } from "./dom.js";
import { memoryFigure } from "./memory.js";
import * as strings from "./strings.js";

export interface Settings {
  readonly system: string;
  readonly temperature: number;
  readonly maxTokens: number | null;
}

export interface SettingsSheet {
  readonly node: HTMLDialogElement;
  open(): void;
  read(): Settings;
  /** For another model. What a person has set stays. */
  show(engine: Engine, defaultTemperature: number): void;
}

export function settingsSheet(): SettingsSheet {
  const words = strings.settings;
  const system = h("textarea", { rows: 4, dir: "auto" });
  const temperature = h("input", { type: "range", min: 0, max: 2, step: 0.1, value: 0.7 });
  const shown = h("output", { for: "temperature" });
  temperature.id = "temperature";
  const maxTokens = h("input", { type: "number", min: 1, step: 1, inputmode: "numeric", placeholder: words.maxTokensPlaceholder });
  const facts = h("div", { class: "stack" });
  const node = h("dialog", { class: "sheet", "aria-labelledby": "settings-heading" });
  const temperatureField = field(words.temperature, temperature, words.temperatureNote);
  temperatureField.querySelector("label")?.append(" ", shown);
  node.append(
    h("header", {}, h("h2", { id: "settings-heading" }, words.heading), button(words.close, () => node.close(), { class: "quiet" })),
    field(words.system, system, words.systemNote),
    temperatureField,
    field(words.maxTokens, maxTokens, words.maxTokensNote),
    facts,
  );
  node.addEventListener("click", (event) => {
    if (event.target === node) node.close(); // on the backdrop
  });

  let isTouched = false;
  const showTemperature = (): void => {
    shown.textContent = Number(temperature.value).toFixed(1);
  };
  temperature.addEventListener("input", () => {
    isTouched = true;
    showTemperature();
  });
  return {
    node,
    open: () => node.showModal(),
    read: () => ({
      system: system.value.trim(),
      temperature: Number(temperature.value),
      maxTokens: maxTokens.value && maxTokens.checkValidity() ? Number(maxTokens.value) : null,
    }),
    show(engine, defaultTemperature) {
      if (!isTouched) temperature.value = String(defaultTemperature);
      showTemperature();
      maxTokens.max = String(engine.info.context_length);
      facts.replaceChildren(...modelFacts(engine));
    },
  };
}

function modelFacts({ info, memoryPlan }: Engine): HTMLElement[] {
  const words = strings.settings;
  const adapter = adapterName(info["adapter"]);
  const facts: [string, string][] = [
    [words.name, info.model],
    [words.context, words.contextTokens(info.context_length)],
    ...(adapter ? [[words.adapter, adapter] as [string, string]] : []),
  ];
  const list = h("dl", { class: "facts" }, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  const figure = (memoryPlan as typeof memoryPlan | undefined) ? [memoryFigure(memoryPlan)] : [];
  return [h("h3", {}, words.model), list, ...figure];
}

/** The engine's facts of the adapter, as far as it tells any. */
function adapterName(adapter: unknown): string {
  if (typeof adapter === "string") return adapter;
  if (typeof adapter !== "object" || adapter === null) return "";
  const { description, vendor, architecture } = adapter as Record<string, unknown>;
  return String(description || [vendor, architecture].filter(Boolean).join(" "));
}
