/** The third view: a conversation with the loaded model.  Its history lives here and nowhere else. */

import type { Engine } from "fanlight";
import { type Answer, canChat, EMPTY, type Message, streamAnswer } from "./answer.js";
import { composer } from "./composer.js";
import { type Announce, button, h } from "./dom.js";
import { failureBox, isAbort } from "./failures.js";
import { memoryFigure } from "./memory.js";
import { answerView, questionNode } from "./message.js";
import { settingsSheet } from "./settings.js";
import * as strings from "./strings.js";

export interface ChatView {
  readonly node: HTMLElement;
  /** Its buttons, for the page's head. */
  readonly toolbar: HTMLElement;
  /** `keepHistory`: the same model again. */
  setModel(engine: Engine, isBuiltIn: boolean, keepHistory: boolean): void;
  focus(): void;
  stop(): void;
}

export interface ChatActions {
  changeModel(): void;
  /** The same model, after its graphics card was lost. */
  reload(): void;
  announce: Announce;
}

const NEAR_BOTTOM = 120; // pixels: who reads further up is left there

export function chatView({ changeModel, reload, announce }: ChatActions): ChatView {
  const words = strings.chat;
  const log = h("div", { class: "log", role: "log", "aria-live": "off", "aria-label": words.log });
  const sheet = settingsSheet();
  const title = h("h1", {});
  let engine: Engine;
  let isBuiltIn = false;
  let history: Message[] = [];
  let running: AbortController | null = null;
  let failure: HTMLElement | null = null;

  const stop = (): void => running?.abort();
  const box = composer((text) => void ask(text), stop);
  const fresh = (): void => {
    stop();
    history = [];
    log.replaceChildren(welcome(engine, isBuiltIn, (text) => void ask(text)));
    box.focus();
  };

  const ask = async (text: string): Promise<void> => {
    if (running) return;
    if (history.at(-1)?.role === "user") history.pop(); // it was not answered; templates want turns
    if (history.length === 0) log.replaceChildren();
    history.push({ role: "user", content: text });
    log.append(questionNode(text));
    await answer();
  };

  /** The last message's answer. */
  const answer = async (): Promise<void> => {
    failure?.remove();
    const asked = history;
    const view = answerView(copy, followBottom());
    log.append(view.node);
    scrollToEnd();
    box.setBusy(true);
    const stopper = (running = new AbortController());
    let latest = EMPTY;
    let note = "";
    try {
      const settings = sheet.read();
      for await (latest of streamAnswer(engine, asked, settings, stopper.signal)) view.update(latest);
      note = ending(latest);
    } catch (error) {
      if (isAbort(error)) note = words.stopped;
      else showFailure(error);
    }
    running = null;
    box.setBusy(false);
    const spoken = view.finish(latest, note);
    if (!latest.text && !latest.thought && !note) view.node.remove(); // it failed before the first word
    if (asked !== history) return; // a new chat was begun meanwhile
    if (latest.text) asked.push({ role: "assistant", content: latest.text });
    if (failure?.isConnected) log.append(failure);
    announce([spoken && words.finished(spoken), note].filter(Boolean).join(" "));
  };

  const showFailure = (error: unknown): void => {
    failure = failureBox(error, { retry: () => void answer(), reload, fresh, dismiss: () => failure?.remove() });
    log.append(failure);
    scrollToEnd();
  };
  const copy = async (text: string): Promise<void> => {
    await navigator.clipboard.writeText(text);
    announce(words.copied);
  };

  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing && !sheet.node.open) stop();
  });
  const toolbar = h(
    "div",
    { class: "toolbar" },
    title,
    button(words.fresh, fresh, { class: "quiet" }),
    button(words.settings, () => sheet.open(), { class: "quiet", "aria-haspopup": "dialog" }),
    button(words.change, changeModel, { class: "quiet" }),
  );
  return {
    node: h("section", { class: "chat" }, log, box.node, sheet.node),
    toolbar,
    stop,
    focus() {
      if (history.length) scrollToEnd();
      else scrollTo({ top: 0 });
      box.focus();
    },
    setModel(loaded, builtIn, keepHistory) {
      engine = loaded;
      isBuiltIn = builtIn;
      const name = displayName(loaded, builtIn);
      title.textContent = name;
      title.title = name; // where it is cut short
      document.title = strings.app.title(name);
      sheet.show(loaded, builtIn ? 0 : (loaded.info.sampling.temperature ?? 1));
      failure?.remove();
      if (!keepHistory || history.length === 0) fresh();
    },
  };
}

/** How it ended, where that is not plainly by its own end. */
function ending({ text, finishReason, isContextFull, numTokens }: Answer): string {
  if (finishReason === "length") return isContextFull ? strings.chat.full : strings.chat.limit(numTokens);
  return text ? "" : strings.chat.empty;
}

function displayName({ info }: Engine, isBuiltIn: boolean): string {
  return isBuiltIn ? strings.stored.builtIn : info.model;
}

function welcome(engine: Engine, isBuiltIn: boolean, ask: (text: string) => void): HTMLElement {
  const words = strings.chat;
  const ready = canChat(engine) ? (isBuiltIn ? words.readyBuiltIn : words.ready) : words.continues;
  const texts = isBuiltIn ? words.suggestionsBuiltIn : words.suggestions;
  const list = texts.map((text) => h("li", {}, button(text, () => ask(text))));
  const plan = engine.memoryPlan as typeof engine.memoryPlan | undefined; // an engine may have none to tell
  return h(
    "div",
    { class: "welcome stack" },
    h("p", { class: "lead" }, h("strong", {}, displayName(engine, isBuiltIn)), " ", ready),
    h("ul", { class: "suggestions", "aria-label": words.suggestionsLabel }, ...list),
    plan && memoryFigure(plan),
  );
}

const distanceToEnd = (): number => document.documentElement.scrollHeight - innerHeight - scrollY;

function scrollToEnd(): void {
  scrollTo({ top: document.documentElement.scrollHeight });
}

/** To be called after each change: keeps the end in view, unless the reader scrolled away from it. */
function followBottom(): () => void {
  let lastHeight = document.documentElement.scrollHeight;
  return () => {
    const grown = document.documentElement.scrollHeight - lastHeight;
    lastHeight += grown;
    if (distanceToEnd() - Math.max(0, grown) < NEAR_BOTTOM) scrollToEnd();
  };
}
