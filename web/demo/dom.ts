/** Elements from calls: what HTML would be, without markup in strings.  Knows nothing of the page. */

type Value = string | number | boolean | null | undefined | ((event: never) => void);
export type Child = Node | string | null | undefined | false;

/** `true` is an attribute without a value, `false` and nothing leave it out, a function listens (`onclick`). */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, Value>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => Boolean(child)));
  return element;
}

/** A button that submits nothing. */
export function button(label: string, onclick: () => void, attributes: Readonly<Record<string, Value>> = {}): HTMLButtonElement {
  return h("button", { type: "button", onclick, ...attributes }, label);
}

let lastId = 0;

/** For `for`, `aria-describedby` and their like. */
export function newId(): string {
  return `id-${++lastId}`;
}

/** A label above its control, a note below. */
export function field(label: string, control: HTMLElement, note?: string): HTMLElement {
  control.id ||= newId();
  const noteId = newId();
  if (note) control.setAttribute("aria-describedby", noteId);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, note && h("p", { class: "note", id: noteId }, note));
}

/** Says it to a screen reader, once; `finished` text only, never token by token. */
export type Announce = (text: string) => void;

export function announcer(): { readonly node: HTMLElement; readonly announce: Announce } {
  const node = h("div", { class: "visually-hidden", "aria-live": "polite", "aria-atomic": "true" });
  return { node, announce: (text) => (node.textContent = text) };
}

/** Pages that are not served securely have no clipboard of the newer kind. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard as Clipboard | undefined) return navigator.clipboard.writeText(text);
  const field = h("textarea", { class: "visually-hidden" });
  field.value = text;
  const focused = document.activeElement as HTMLElement | null;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
  focused?.focus();
}
