/** The chat page: which view is shown (the address says it, so that Back and reload go where one expects), and the one engine. */

import { languagePicker } from "./language.js"; // first: it brings the words
import { shareEngine } from "fanlight";
import { chatView } from "./chat.js";
import { openChats } from "./chats.js";
import { type Choice } from "./choice.js";
import { chooseView } from "./choose.js";
import { type Conversation } from "./conversation.js";
import { noteLoaded } from "./device.js";
import { announcer, h } from "./dom.js";
import { failureBox, isAbort } from "./failures.js";
import { frame } from "./frame.js";
import { library } from "./library.js";
import { loadingView } from "./loading.js";
import { showModelBar } from "./model-bar.js";
import { loadedOf } from "./model-ref.js";
import type { Loaded } from "./runs.js";
import { addressOf, sidebar } from "./sidebar.js";
import * as strings from "./strings.js";
import { toasts } from "./toast.js";

const NEW = "#chat";
const MODELS = "#models";

const { node: announcements, announce } = announcer();
const chats = openChats();
const toast = toasts();
const trouble = (error: unknown): void => {
  console.error(error);
  toast.show(strings.sidebar.notSaved);
};
const books = library(
  chats,
  toast,
  (id) => void (id === chat.current.id && go(NEW)),
  (id) => go(addressOf({ id })),
);
const guarded = (work: Promise<void>): void => void work.catch(trouble);
const choose = chooseView((choice) => void open(choice), () => go(lastChat), announce);
const loading = loadingView(() => canceller?.abort());
const chat = chatView(chats, {
  announce,
  fresh: () => go(NEW),
  reload: () => current && void open(current, chat.current.settings.contextLength),
  named,
  trouble,
});
const side = sidebar(chats, {
  fresh: () => go(NEW),
  rename: (head, title) => guarded(books.rename(head, title).then(() => chat.renamed(head.id, title))),
  remove: (head) => guarded(books.remove(head)),
  exportOne: (head, format) => guarded(books.exportOne(head, format)),
  exportAll: () => guarded(books.exportAll()),
  removeAll: () => guarded(books.removeAll()),
  importFiles: (files) => guarded(books.importFiles(files)),
  counted: (count) => page.setHasChats(count > 0),
});
const page = frame(side.node, { fresh: () => go(NEW), models: () => go(MODELS), settings: () => chat.openSettings(), search: () => side.search() });
const views = { choose: choose.node, loading: loading.node, chat: chat.node };

let loaded: Loaded | null = null;
let current: Choice | null = null;
let canceller: AbortController | null = null;
let lastChat = NEW; // to come back to, from where models are chosen
let turn = 0; // of those who went somewhere, the last one arrives

function show(name: keyof typeof views): void {
  for (const [other, node] of Object.entries(views)) node.hidden = other !== name;
  page.setView(name);
  if (name === "chat") return chat.focus();
  scrollTo({ top: 0 });
  views[name].querySelector("h1")?.focus();
}

/** Shows what an address names, and remembers it for Back; the address that is shown already is shown anew. */
function go(address: string): void {
  if (location.hash !== address) history.pushState(null, "", address);
  void route();
}

async function route(): Promise<void> {
  const mine = ++turn;
  canceller?.abort(); // who goes elsewhere waits no longer
  canceller = null;
  const [name, id = null] = location.hash.split("/");
  const isChat = name === NEW && (id !== null || loaded !== null);
  side.setCurrent(isChat ? id : null);
  if (!isChat) return choosePage();
  const isThere = await chat.open(id);
  if (mine !== turn) return;
  if (!isThere) {
    toast.show(strings.sidebar.gone);
    history.replaceState(null, "", NEW);
    return route();
  }
  lastChat = location.hash;
  showTitle();
  show("chat");
  await showBar();
}

const showBar = (): Promise<void> =>
  showModelBar(chat.bar, chat.current, loaded, { load: (choice) => void open(choice, chat.current.settings.contextLength), openModels: () => go(MODELS) });

async function choosePage(notice: HTMLElement | null = null): Promise<void> {
  document.title = strings.app.name;
  choose.setNotice(notice);
  show("choose");
  await choose.refresh(loaded !== null || lastChat !== NEW);
}

function showTitle(): void {
  const { title } = chat.current;
  page.setTitle(title || strings.chat.fresh, loaded?.name ?? null);
  document.title = strings.app.title(title || loaded?.name || strings.chat.fresh);
}

/** A new conversation gets its address with its first question. */
function named({ id }: Conversation, isNew: boolean): void {
  if (id !== chat.current.id) return;
  if (isNew && location.hash === NEW) {
    history.replaceState(null, "", addressOf({ id }));
    lastChat = location.hash;
  }
  side.setCurrent(id);
  showTitle();
  void showBar();
}

/** Loads it in place of what is loaded; the conversation that was open goes on. */
async function open(choice: Choice, contextLength = choose.contextLength()): Promise<void> {
  if (canceller) return;
  const mine = (canceller = new AbortController());
  const { signal } = mine;
  const older = loaded?.engine;
  loading.start(choice.name);
  show("loading");
  try {
    await chat.stopAll();
    setLoaded(null);
    await older?.close(); // first: two models may not fit
    // Of the same model with several contexts, each has a name of its own.
    const length = contextLength !== undefined && { contextLength, name: `${choice.name}, ${contextLength}` };
    const options = { ...choice.access, signal, onProgress: loading.update, makesRoom: true, ...length };
    const engine = choice.served?.() ?? (await shareEngine(choice.model, options));
    if (signal.aborted) return await engine.close();
    if (!choice.served) noteLoaded(engine.memoryPlan.total);
    current = choice;
    setLoaded(loadedOf(engine, choice));
    canceller = null;
    go(lastChat);
    announce(strings.loading.done(loaded?.name ?? choice.name));
    keepUsed();
  } catch (error) {
    if (canceller !== mine) return; // another view is shown
    canceller = null;
    await failed(error, choice);
  }
}

function setLoaded(newer: Loaded | null): void {
  loaded = newer;
  const privacy = newer?.isServed ? strings.served.privacy : strings.app.privacy;
  for (const node of document.querySelectorAll(".privacy")) node.textContent = privacy;
  chat.setModel(newer);
}

async function failed(error: unknown, choice: Choice): Promise<void> {
  if (location.hash.startsWith(NEW)) history.pushState(null, "", MODELS);
  const previous = current && current !== choice ? current : null;
  if (isAbort(error)) return choosePage(h("p", { class: "notice", role: "status" }, strings.loading.cancelled));
  console.error(error);
  const retry = (): void => void open(choice);
  const context = (tokens: number): void => void open(choice, tokens);
  const back = previous ? { name: previous.name, act: () => void open(previous) } : undefined;
  return choosePage(failureBox(error, { retry, reload: retry, context, ...(back && { back }), dismiss: () => choose.setNotice(null) }));
}

/** Lets the page open offline, and other scripts of this origin ask the model. */
function keepOffline(): void {
  navigator.serviceWorker?.register("service-worker.js").catch((error: unknown) => console.info("fanlight: not kept for offline:", error));
  keepUsed();
}

/** What was used before the service worker was there. */
function keepUsed(): void {
  void navigator.serviceWorker?.ready.then(({ active }) => active?.postMessage("keep"));
}

page.main.append(...Object.values(views));
page.foot.append(languagePicker());
document.querySelector("#app")?.replaceChildren(page.node, toast.node, announcements);
addEventListener("hashchange", () => void route());
void side.refresh();
void route().then(keepOffline);
