/**
 * What stands around the views: the head with the model's name, and the conversations beside them (where the window is wide, unless they
 * are folded away) or in a drawer (on a phone).
 */

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { logo } from "./logo.js";
import { recall, remember } from "./remember.js";
import { iconButton } from "./sidebar.js";
import * as strings from "./strings.js";

export interface Frame {
  readonly node: HTMLElement;
  readonly main: HTMLElement;
  readonly foot: HTMLElement;
  setView(name: string): void;
  setHasChats(hasChats: boolean): void;
  /** Of the conversation, and the model that answers in it. */
  setTitle(title: string, model: string | null): void;
}

export interface FrameActions {
  fresh(): void;
  models(): void;
  settings(): void;
  search(): void;
}

const FOLDED = "fanlight-sidebar-folded";

export function frame(chats: HTMLElement, actions: FrameActions): Frame {
  const words = strings.frame;
  const isWide = matchMedia("(min-width: 60rem)");
  const aside = h("aside", { class: "sidebar" });
  const drawer = h("dialog", { class: "drawer", "aria-label": strings.sidebar.heading });
  const fold = (): void => {
    if (!isWide.matches) return drawer.close();
    const isFolded = document.body.toggleAttribute("data-folded");
    remember(FOLDED, isFolded ? "1" : "");
    (isFolded ? unfold : foldButton).focus();
  };
  const foldButton = iconButton("menu", words.hideChats, fold);
  const unfold = iconButton("menu", words.showChats, () => (isWide.matches ? fold() : drawer.showModal()));
  unfold.classList.add("unfold");
  const side = h("div", { class: "side" }, h("div", { class: "side-head" }, brand(), foldButton), chats);
  const modelName = h("span", {});
  const model = h("button", { type: "button", class: "quiet model", onclick: () => actions.models() }, modelName, icon("down"));
  const title = h("h1", { class: "visually-hidden" });
  const fresh = iconButton("add", strings.chat.fresh, () => actions.fresh());
  fresh.classList.add("fresh-tool");
  const settings = h("button", { type: "button", class: "quiet labelled", "aria-haspopup": "dialog", onclick: () => actions.settings() }, icon("settings"), h("span", {}, strings.chat.settings));
  const toolbar = h("div", { class: "toolbar" }, title, model, settings, fresh);
  const head = h("header", { class: "head" }, unfold, brand(), toolbar);
  const main = h("main", {});
  const privacy = h("p", { class: "note" }, h("span", { class: "privacy" }, strings.app.privacy), " ", h("a", { href: "bench.html" }, strings.bench.link));
  const foot = h("footer", { class: "foot" }, privacy);
  const node = h("div", { class: "frame" }, aside, h("div", { class: "page" }, head, main, foot), drawer);

  const place = (): void => {
    drawer.close();
    (isWide.matches ? aside : drawer).append(side);
  };
  isWide.addEventListener("change", place);
  place();
  document.body.toggleAttribute("data-folded", recall(FOLDED) === "1");
  drawer.addEventListener("click", (event) => {
    // On the backdrop, or a conversation that was chosen.
    if (event.target === drawer || (event.target as Element).closest("a, .fresh")) drawer.close();
  });
  addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.isComposing || document.querySelector(".sheet[open]")) return;
    if (key === "k" && !event.shiftKey) {
      if (!isWide.matches && !drawer.open) drawer.showModal();
      if (isWide.matches && document.body.hasAttribute("data-folded")) fold();
      actions.search();
    } else if (key === "o" && event.shiftKey) {
      drawer.close();
      actions.fresh();
    } else if (key === "s" && event.shiftKey) {
      if (isWide.matches || drawer.open) fold();
      else drawer.showModal();
    } else return;
    event.preventDefault();
  });
  return {
    node,
    main,
    foot,
    setView(name) {
      document.body.dataset["view"] = name;
      toolbar.hidden = name !== "chat";
    },
    setHasChats: (hasChats) => void document.body.toggleAttribute("data-chats", hasChats),
    setTitle(text, name) {
      title.textContent = text;
      modelName.textContent = name ?? words.noModel;
      model.title = name ? words.changeModel(name) : words.noModel;
      model.setAttribute("aria-label", model.title);
    },
  };
}

function brand(): HTMLElement {
  return h("div", { class: "brand" }, logo(), h("span", {}, strings.app.name));
}
