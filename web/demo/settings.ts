/**
 * The settings sheet: how this conversation's answers are made, presets of that, and what is loaded.  What is not set shows what the model
 * does by itself.  Knows no engine but its facts.
 */

import type { Chats } from "./chats.js";
import { button, field, h } from "./dom.js";
import { embedderField } from "./embedder-field.js";
import { speechField } from "./speech-field.js";
import { icon } from "./icons.js";
import { memoryFigure } from "./memory.js";
import { presetField } from "./presets.js";
import type { Loaded } from "./runs.js";
import { type ChatSettings, type Defaults, MAX_STOPS, NUMBERS, type NumberField, OVERFLOWS } from "./sampling.js";
import * as strings from "./strings.js";

export interface SettingsSheet {
  readonly node: HTMLDialogElement;
  /** `loaded`: null where no model is. */
  open(settings: ChatSettings, loaded: Loaded | null): void;
}

export interface SettingsActions {
  changed(settings: ChatSettings): void;
  /** The model once more, with the settings' context length. */
  reload(): void;
}

/** One setting on the sheet. */
interface Control {
  readonly node: HTMLElement;
  show(settings: ChatSettings, defaults: Defaults): void;
  /** Its part of the settings; null where what is written cannot be. */
  read(): Partial<ChatSettings> | null;
}

export function settingsSheet(chats: Chats, { changed, reload }: SettingsActions): SettingsSheet {
  const words = strings.settings;
  const system = systemField();
  const numbers = NUMBERS.map(numberControl);
  const sampling = [...numbers, stopField(), overflowField()];
  const context = contextField(() => {
    node.close();
    reload();
  });
  const controls = [system, ...sampling, context];
  const facts = h("div", { class: "stack" });
  const embedder = embedderField();
  const speech = speechField();
  const node = h("dialog", { class: "sheet", "aria-labelledby": "settings-heading" });
  let [current, defaults]: [ChatSettings, Defaults] = [{}, {}];

  const show = (settings: ChatSettings): void => {
    current = settings;
    for (const control of controls) control.show(settings, defaults);
  };
  const apply = (settings: ChatSettings): void => {
    show(settings);
    changed(settings);
  };
  const presets = presetField(chats, { current: () => current, choose: apply });
  node.addEventListener("input", (event) => {
    if ([presets.node, embedder.node, speech].some((other) => other.contains(event.target as Node))) return;
    const parts = controls.map((control) => control.read());
    if (parts.some((part) => part === null)) return; // said at the field; what was before still holds
    current = Object.assign({}, ...parts) as ChatSettings;
    context.settled(current);
    presets.compare();
    changed(current);
  });
  node.addEventListener("click", (event) => {
    if (event.target === node) node.close(); // on the backdrop
  });
  node.append(
    h(
      "header",
      {},
      h("h2", { id: "settings-heading" }, words.heading),
      h("button", { type: "button", class: "quiet tool", "aria-label": words.close, title: words.close, onclick: () => node.close() }, icon("close")),
    ),
    h("p", { class: "note" }, words.scope),
    presets.node,
    system.node,
    h(
      "details",
      { class: "group" },
      h("summary", {}, words.sampling),
      h("p", { class: "note" }, words.samplingNote),
      h("div", { class: "settings-grid" }, ...numbers.map((control) => control.node)),
      ...sampling.slice(numbers.length).map((control) => control.node),
      button(words.reset, () => apply(current.system ? { system: current.system } : {}), { class: "small" }),
    ),
    context.node,
    embedder.node,
    speech,
    facts,
    keyboardHelp(),
  );
  return {
    node,
    open(settings, loaded) {
      defaults = loaded?.defaults ?? {};
      context.model(loaded);
      show(settings);
      facts.replaceChildren(...(loaded ? modelFacts(loaded) : []));
      void presets.refresh();
      void embedder.refresh();
      node.showModal();
    },
  };
}

function systemField(): Control {
  const words = strings.settings;
  const input = h("textarea", { rows: 4, dir: "auto" });
  return {
    node: field(words.system, input, words.systemNote),
    show: ({ system = "" }) => (input.value = system),
    read: () => (input.value.trim() ? { system: input.value.trim() } : {}),
  };
}

function numberControl({ name, min, max, step, off }: NumberField): Control {
  const words = strings.settings.numbers[name];
  const input = h("input", { type: "number", min, max, step: step === 1 ? 1 : "any", inputmode: step === 1 ? "numeric" : "decimal" });
  const complaint = h("p", { class: "complaint", role: "alert" });
  const node = field(words.label, input, words.note);
  node.append(complaint);
  const read = (): Partial<ChatSettings> | null => {
    const isRight = input.checkValidity();
    input.toggleAttribute("aria-invalid", !isRight);
    complaint.textContent = isRight ? "" : strings.settings.range(min ?? null, max ?? null, step === 1);
    return isRight ? (input.value ? { [name]: Number(input.value) } : {}) : null;
  };
  return {
    node,
    show(settings, defaults) {
      const own = defaults[name];
      input.value = String(settings[name] ?? "");
      input.placeholder = typeof own === "number" ? strings.settings.usual(Math.round(own * 1e6) / 1e6) : off === undefined ? words.unset : strings.settings.usual(off);
      read();
    },
    read,
  };
}

/** A text a line, in which \n is a line's end. */
function stopField(): Control {
  const words = strings.settings;
  const input = h("textarea", { rows: 2, dir: "auto", spellcheck: "false" });
  const complaint = h("p", { class: "complaint", role: "alert" });
  const node = field(words.stop, input, words.stopNote(MAX_STOPS));
  node.append(complaint);
  const read = (): Partial<ChatSettings> | null => {
    const stop = input.value.split("\n").filter(Boolean).map((line) => line.replaceAll("\\n", "\n"));
    const isRight = stop.length <= MAX_STOPS;
    input.toggleAttribute("aria-invalid", !isRight);
    complaint.textContent = isRight ? "" : words.stopNote(MAX_STOPS);
    return isRight ? (stop.length ? { stop } : {}) : null;
  };
  return {
    node,
    show({ stop = [] }) {
      input.value = stop.map((text) => text.replaceAll("\n", "\\n")).join("\n");
      read();
    },
    read,
  };
}

function overflowField(): Control {
  const words = strings.settings;
  const select = h("select", {}, h("option", { value: "" }, words.overflows.unset), ...OVERFLOWS.map((policy) => h("option", { value: policy }, words.overflows[policy])));
  return {
    node: field(words.overflow, select, words.overflowNote),
    show: ({ context_overflow = "" }) => (select.value = context_overflow),
    read: () => (select.value ? { context_overflow: select.value as (typeof OVERFLOWS)[number] } : {}),
  };
}

interface ContextControl extends Control {
  model(loaded: Loaded | null): void;
  settled(settings: ChatSettings): void;
}

/** Unlike the others it is of the model as it is loaded. */
function contextField(reload: () => void): ContextControl {
  const words = strings.settings;
  const input = h("input", { type: "number", min: 16, step: 1, inputmode: "numeric" });
  const press = button(words.contextReload, reload, { class: "small", hidden: true });
  const node = field(words.contextLength, input, words.contextLengthNote);
  node.append(press);
  let loaded: Loaded | null = null;
  const settled = ({ contextLength }: ChatSettings): void => {
    press.hidden = !loaded || loaded.isServed || contextLength === undefined || contextLength === loaded.engine.info.context_length;
  };
  const read = (): Partial<ChatSettings> | null => {
    const isRight = input.checkValidity();
    input.toggleAttribute("aria-invalid", !isRight);
    return isRight ? (input.value ? { contextLength: Number(input.value) } : {}) : null;
  };
  return {
    node,
    settled,
    model(newer) {
      loaded = newer;
      input.placeholder = newer?.engine.info.context_length ? String(newer.engine.info.context_length) : words.automatic;
    },
    show(settings) {
      input.value = String(settings.contextLength ?? "");
      read();
      settled(settings);
    },
    read,
  };
}

function modelFacts({ engine: { info, memoryPlan } }: Loaded): HTMLElement[] {
  const words = strings.settings;
  const adapter = adapterName(info["adapter"]);
  const facts: [string, string][] = [
    [words.name, info.model],
    [words.context, words.contextTokens(info.context_length)],
    ...(adapter ? [[words.adapter, adapter] as [string, string]] : []),
  ];
  const list = h("dl", { class: "facts" }, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  const figure = (memoryPlan as typeof memoryPlan | undefined) ? [memoryFigure(memoryPlan)] : []; // an engine may have none to tell
  return [h("h3", {}, words.model), list, ...figure];
}

/** The engine's facts of the adapter, as far as it tells any. */
function adapterName(adapter: unknown): string {
  if (typeof adapter === "string") return adapter;
  if (typeof adapter !== "object" || adapter === null) return "";
  const { description, vendor, architecture } = adapter as Record<string, unknown>;
  return String(description || [vendor, architecture].filter(Boolean).join(" "));
}

function keyboardHelp(): HTMLElement {
  const { heading, keys } = strings.keyboard;
  const rows = keys.map(([press, does]) => h("div", {}, h("dt", {}, h("kbd", {}, press)), h("dd", {}, does)));
  return h("details", { class: "group" }, h("summary", {}, heading), h("dl", { class: "shortcuts" }, ...rows));
}
