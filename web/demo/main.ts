/** The chat page: which of the three views is shown, and the one engine. */

import { languagePicker } from "./language.js"; // first: it brings the words
import { type Engine, load } from "fanlight";
import { chatView } from "./chat.js";
import { type Choice } from "./choice.js";
import { chooseView } from "./choose.js";
import { announcer, h } from "./dom.js";
import { failureBox, isAbort } from "./failures.js";
import { loadingView } from "./loading.js";
import { logo } from "./logo.js";
import * as strings from "./strings.js";

const { node: announcements, announce } = announcer();
const choose = chooseView((choice) => void open(choice), () => show("chat"), announce);
const loading = loadingView(() => canceller?.abort());
const chat = chatView({ announce, changeModel: () => void choosePage(), reload: () => current && void open(current, true) });
const views = { choose: choose.node, loading: loading.node, chat: chat.node };

let engine: Engine | null = null;
let current: Choice | null = null;
let canceller: AbortController | null = null;

function show(name: keyof typeof views): void {
  for (const [other, node] of Object.entries(views)) node.hidden = other !== name;
  document.body.dataset["view"] = name;
  chat.toolbar.hidden = name !== "chat";
  if (name === "chat") return chat.focus();
  scrollTo({ top: 0 });
  views[name].querySelector("h1")?.focus();
}

async function choosePage(notice: HTMLElement | null = null): Promise<void> {
  document.title = strings.app.name;
  choose.setNotice(notice);
  show("choose");
  await choose.refresh(engine !== null);
}

/** Loads it in place of what is loaded. `isAgain`: the conversation goes on. */
async function open(choice: Choice, isAgain = false, contextLength = choose.contextLength()): Promise<void> {
  if (canceller) return;
  const { signal } = (canceller = new AbortController());
  chat.stop();
  loading.start(choice.name);
  show("loading");
  try {
    await engine?.close(); // first: two models may not fit
    engine = null;
    const options = { signal, onProgress: loading.update, ...(contextLength !== undefined && { contextLength }) };
    engine = choice.served?.() ?? (await load(choice.model, options));
    current = choice;
    const privacy = choice.served ? strings.served.privacy : strings.app.privacy;
    for (const node of document.querySelectorAll(".privacy")) node.textContent = privacy;
    chat.setModel(engine, choice.isBuiltIn, isAgain);
    show("chat");
    announce(strings.loading.done(document.title));
  } catch (error) {
    void choosePage(loadNotice(error, choice, isAgain));
  } finally {
    canceller = null;
  }
}

function loadNotice(error: unknown, choice: Choice, isAgain: boolean): HTMLElement {
  if (isAbort(error)) return h("p", { class: "notice", role: "status" }, strings.loading.cancelled);
  console.error(error);
  const retry = (): void => void open(choice, isAgain);
  const context = (tokens: number): void => void open(choice, isAgain, tokens);
  return failureBox(error, { retry, reload: retry, context, dismiss: () => choose.setNotice(null) });
}

/** Lets the page open offline. Not before everything else: it fetches the page's files once more. */
function keepOffline(): void {
  navigator.serviceWorker?.register("service-worker.js").catch((error: unknown) => console.info("fanlight: not kept for offline:", error));
}

document.querySelector("#app")?.replaceChildren(
  h("header", { class: "head" }, h("div", { class: "brand" }, logo(), h("span", {}, strings.app.name)), chat.toolbar),
  h("main", {}, ...Object.values(views)),
  h(
    "footer",
    { class: "foot" },
    h("p", { class: "note" }, h("span", { class: "privacy" }, strings.app.privacy), " ", h("a", { href: "bench.html" }, strings.bench.link)),
    languagePicker(),
  ),
  announcements,
);
void choosePage().then(keepOffline);
