/** Presets: settings with a name, which conversations can take over. */

import type { Chats, Preset } from "./chats.js";
import { newKey } from "./conversation.js";
import { button, field, h } from "./dom.js";
import type { ChatSettings } from "./sampling.js";
import * as strings from "./strings.js";

export interface PresetField {
  readonly node: HTMLElement;
  refresh(): Promise<void>;
  /** To be called when the settings changed. */
  compare(): void;
}

export interface PresetActions {
  current(): ChatSettings;
  choose(settings: ChatSettings): void;
}

export function presetField(chats: Chats, { current, choose }: PresetActions): PresetField {
  const words = strings.presets;
  const select = h("select", {});
  const update = button(words.update, () => void replace(), { class: "small", hidden: true });
  const add = button(words.add, () => naming(null), { class: "small" });
  const rename = button(words.rename, () => naming(chosen() ?? null), { class: "small quiet", hidden: true });
  const remove = button(words.remove, () => void removeChosen(), { class: "small quiet", hidden: true });
  const name = h("input", { type: "text", "aria-label": words.name, placeholder: words.name, maxlength: 80 });
  const keep = button(words.keep, () => void saveNamed(), { class: "small primary" });
  const form = h("div", { class: "row preset-name", hidden: true }, name, keep, button(words.cancel, () => closeForm(), { class: "small quiet" }));
  const node = field(words.label, select, words.note);
  node.append(h("div", { class: "row" }, update, add, rename, remove), form);
  let presets: Preset[] = [];
  let renamed: Preset | null = null;

  const chosen = (): Preset | undefined => presets.find(({ id }) => id === select.value);
  const same = ({ settings }: Preset): boolean => equal(settings, current());
  const compare = (): void => {
    const preset = chosen();
    update.hidden = !preset || same(preset);
    rename.hidden = remove.hidden = !preset;
  };
  const refresh = async (wanted?: string): Promise<void> => {
    presets = await chats.presets();
    const options = presets.map((preset) => h("option", { value: preset.id }, preset.name));
    select.replaceChildren(h("option", { value: "" }, words.none), ...options);
    select.value = wanted ?? presets.find(same)?.id ?? "";
    compare();
  };
  const naming = (preset: Preset | null): void => {
    renamed = preset;
    name.value = preset?.name ?? "";
    form.hidden = false;
    name.focus();
  };
  const closeForm = (): void => {
    form.hidden = true;
    (renamed ? rename : add).focus();
  };
  const saveNamed = async (): Promise<void> => {
    const text = name.value.trim();
    if (!text) return name.focus();
    const preset = renamed ? { ...renamed, name: text } : { id: newKey(), name: text, settings: current() };
    await chats.savePreset(preset);
    await refresh(preset.id);
    closeForm();
  };
  const replace = async (): Promise<void> => {
    const preset = chosen();
    if (!preset) return;
    await chats.savePreset({ ...preset, settings: current() });
    await refresh(preset.id);
    select.focus();
  };
  const removeChosen = async (): Promise<void> => {
    const preset = chosen();
    if (!preset || !globalThis.confirm(words.confirm(preset.name))) return;
    await chats.removePreset(preset.id);
    await refresh("");
    select.focus();
  };
  select.addEventListener("change", () => {
    const preset = chosen();
    if (preset) choose(preset.settings);
    compare();
  });
  name.addEventListener("keydown", (event) => {
    if (event.key === "Enter") void saveNamed();
    else if (event.key === "Escape") closeForm();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return { node, refresh: () => refresh(), compare };
}

function equal(a: ChatSettings, b: ChatSettings): boolean {
  const sorted = (settings: ChatSettings): string => JSON.stringify(Object.entries(settings).sort(([x], [y]) => (x < y ? -1 : 1)));
  return sorted(a) === sorted(b);
}
