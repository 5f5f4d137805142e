/** The list of conversations: open, search, rename, export, delete; and all of them to a file and back.  Knows no engine. */

import type { Chats, Found } from "./chats.js";
import { type Conversation, type Head } from "./conversation.js";
import { button, h } from "./dom.js";
import { icon, type Icon } from "./icons.js";
import { menu } from "./menu.js";
import * as strings from "./strings.js";

export interface Sidebar {
  readonly node: HTMLElement;
  refresh(): Promise<void>;
  /** Marks the conversation that is open. */
  setCurrent(id: string | null): void;
  search(): void;
}

export interface SidebarActions {
  fresh(): void;
  rename(head: Head, title: string): void;
  remove(head: Head): void;
  exportOne(head: Head, format: "json" | "md"): void;
  exportAll(): void;
  removeAll(): void;
  importFiles(files: readonly File[]): void;
  /** How many there are, each time the list is read. */
  counted(count: number): void;
}

export const addressOf = ({ id }: Pick<Conversation, "id">): string => `#chat/${id}`;

const SEARCH_MS = 150;

export function sidebar(chats: Chats, actions: SidebarActions): Sidebar {
  const words = strings.sidebar;
  const list = h("div", { class: "chat-list" });
  const status = h("p", { class: "note", role: "status" });
  const search = h("input", { type: "search", "aria-label": words.search, placeholder: words.search, autocomplete: "off" });
  const picker = h("input", { type: "file", accept: ".json,application/json", multiple: true, hidden: true });
  const options = menu();
  let current: string | null = null;
  let renaming: string | null = null;
  let turn = 0;

  const refresh = async (): Promise<void> => {
    const mine = ++turn;
    const text = search.value.trim();
    const [heads, found, isKept] = await Promise.all([chats.heads(), text ? chats.search(text) : null, chats.isKept()]);
    if (mine !== turn || renaming) return;
    const focused = (document.activeElement as HTMLElement | null)?.dataset["chat"];
    list.replaceChildren(...(found ? searched(heads, found) : grouped(heads)));
    if (focused) list.querySelector<HTMLElement>(`[data-chat="${focused}"]`)?.focus();
    status.textContent = !isKept ? words.notKept : found && found.length === 0 ? words.nothingFound : "";
    actions.counted(heads.length);
  };
  const searched = (heads: readonly Head[], found: readonly Found[]): HTMLElement[] => {
    const excerpts = new Map(found.map(({ id, excerpt }) => [id, excerpt]));
    const items = heads.filter(({ id }) => excerpts.has(id)).map((head) => item(head, excerpts.get(head.id)));
    return items.length ? [h("ul", { "aria-label": words.found }, ...items)] : [];
  };
  const grouped = (heads: readonly Head[]): HTMLElement[] => {
    const groups = new Map<string, Head[]>();
    for (const head of heads) {
      const name = strings.sidebar.age(daysAgo(head.changed));
      groups.set(name, [...(groups.get(name) ?? []), head]);
    }
    return [...groups].flatMap(([name, some]) => [h("h3", {}, name), h("ul", { "aria-label": name }, ...some.map((head) => item(head)))]);
  };
  const item = (head: Head, excerpt = ""): HTMLElement => {
    const title = head.title || words.untitled;
    const isCurrent = head.id === current && "page";
    const link = h("a", { href: addressOf(head), title, "aria-current": isCurrent, "data-chat": head.id }, h("span", { dir: "auto" }, title), excerpt && h("small", {}, excerpt));
    const more = iconButton("more", words.more(title), () => options.open(more, choices(head, row)));
    const row = h("li", {}, link, more);
    return row;
  };
  const choices = (head: Head, row: HTMLElement) => [
    { label: words.rename, act: () => rename(head, row) },
    { label: words.exportMarkdown, act: () => actions.exportOne(head, "md") },
    { label: words.exportJson, act: () => actions.exportOne(head, "json") },
    { label: words.remove, act: () => actions.remove(head) },
  ];
  /** Enter keeps the name, as does going elsewhere; Escape keeps the old one. */
  const rename = (head: Head, row: HTMLElement): void => {
    renaming = head.id;
    const input = h("input", { type: "text", "aria-label": words.renameField, maxlength: 200 });
    input.value = head.title;
    const end = (isKept: boolean): void => {
      if (renaming !== head.id) return;
      renaming = null;
      const title = input.value.trim();
      if (isKept && title && title !== head.title) actions.rename(head, title);
      void refresh().then(() => list.querySelector<HTMLElement>(`[data-chat="${head.id}"]`)?.focus());
    };
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      end(event.key === "Enter");
    });
    input.addEventListener("blur", () => end(true));
    row.replaceChildren(input);
    input.select();
  };

  let timer = 0;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => void refresh(), SEARCH_MS);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !search.value) return;
    event.stopPropagation();
    event.preventDefault();
    search.value = "";
    void refresh();
  });
  picker.addEventListener("change", () => {
    const files = [...(picker.files ?? [])];
    picker.value = ""; // so that choosing the same file again is a change
    if (files.length) actions.importFiles(files);
  });
  chats.onChange((id) => void (id !== null && refresh()));
  const all = button(words.all, () =>
    options.open(all, [
      { label: words.exportAll, act: () => actions.exportAll() },
      { label: words.importFile, act: () => picker.click() },
      { label: words.removeAll, act: () => actions.removeAll() },
    ]),
    { class: "quiet small" },
  );
  const fresh = h("button", { type: "button", class: "fresh", onclick: () => actions.fresh() }, icon("add"), strings.chat.fresh);
  const node = h("nav", { class: "chats", "aria-label": words.heading }, fresh, h("div", { class: "search" }, icon("search"), search), status, list, h("footer", {}, all, picker), options.node);
  return {
    node,
    refresh,
    setCurrent(id) {
      current = id;
      for (const link of list.querySelectorAll<HTMLElement>("[data-chat]")) {
        if (link.dataset["chat"] === id) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
    },
    search() {
      search.focus();
      search.select();
    },
  };
}

export function iconButton(sign: Icon, label: string, act: () => void): HTMLButtonElement {
  return h("button", { type: "button", class: "quiet tool", "aria-label": label, title: label, onclick: act }, icon(sign));
}

/** Midnights that lie between. */
function daysAgo(time: number): number {
  const midnight = (date: Date): number => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  return Math.max(0, Math.round((midnight(new Date()) - midnight(new Date(time))) / 86_400_000));
}
