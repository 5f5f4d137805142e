/** The view of one conversation: what was said in it, in the branch that is shown, and the field for what comes next. */

import type { Chats } from "./chats.js";
import { composer } from "./composer.js";
import { canContinue, type Conversation, endOf, type Message, newConversation, newMessage, path, put, siblings, titleOf } from "./conversation.js";
import type { Document } from "./documents.js";
import { type Announce, copyText, h } from "./dom.js";
import { failureBox } from "./failures.js";
import { messageView, type MessageView } from "./message.js";
import { recall, remember } from "./remember.js";
import { heldElsewhere, type Loaded, makeRuns } from "./runs.js";
import type { ChatSettings } from "./sampling.js";
import { settingsSheet } from "./settings.js";
import { followBottom, scrollToEnd } from "./scrolling.js";
import { canHear, writeDown } from "./speech.js";
import * as strings from "./strings.js";
import { welcome } from "./welcome.js";

export interface ChatView {
  readonly node: HTMLElement;
  readonly current: Conversation;
  /** One that is kept, by its id; null: a new one. False where there is none of that id. */
  open(id: string | null): Promise<boolean>;
  /** Null: none is loaded. */
  setModel(loaded: Loaded | null): void;
  /** A person named a conversation. */
  renamed(id: string, title: string): void;
  /** All answers end; what there is of them is kept. */
  stopAll(): Promise<void>;
  openSettings(): void;
  focus(): void;
  /** The load bar and the like, above the field. */
  readonly bar: HTMLElement;
}

export interface ChatActions {
  readonly announce: Announce;
  fresh(): void;
  /** The same model once more, after its graphics card was lost, or with another context length. */
  reload(): void;
  /** The conversation has another name, or is kept only now. */
  named(conversation: Conversation, isNew: boolean): void;
  trouble(error: unknown): void;
}

const LAST_SETTINGS = "fanlight-settings";

export function chatView(chats: Chats, { announce, fresh, reload, named, trouble }: ChatActions): ChatView {
  const words = strings.chat;
  const log = h("div", { class: "log", role: "log", "aria-live": "off", "aria-label": words.log });
  const bar = h("div", { class: "model-bar", hidden: true });
  const views = new Map<string, MessageView>();
  const failures = new Map<string, HTMLElement>(); // of conversations
  let loaded: Loaded | null = null;
  let conversation = newConversation(lastSettings());
  let isStored = false;
  let drawn = (): void => undefined;
  let elsewhere: ReadonlySet<string> = new Set(); // answers that another tab is writing

  const runs = makeRuns(chats, {
    news(of, message) {
      if (of === conversation) draw(message);
    },
    ended(of, message, failure) {
      if (failure) failures.set(of.id, failureOf(of, failure));
      if (of === conversation) render();
      box.setBusy(runs.of(conversation.id) !== undefined);
      const spoken = message && of === conversation ? views.get(message.id)?.spoken() : "";
      announce(spoken ? words.finished(spoken) : message?.ending === "stopped" ? words.stopped : "");
    },
    trouble,
  });
  const box = composer({
    send: (text, documents) => void ask(text, documents),
    stop: () => runs.of(conversation.id)?.stop(),
    editLast,
    announce,
    senses: () => ({ sees: loaded?.engine.info.has_vision === true, hears: loaded?.engine.info.hears === true }),
    canHear: () => canHear(loaded?.engine),
    hear: (sound, loading) => (loaded ? writeDown(loaded.engine, sound, loading) : Promise.resolve("")),
  });
  box.node.prepend(bar);
  const sheet = settingsSheet(chats, {
    changed(settings) {
      conversation.settings = settings;
      remember(LAST_SETTINGS, JSON.stringify(settings));
      if (isStored) void chats.patch(conversation.id, { settings }).catch(trouble);
      else render(); // the system prompt is told of there
    },
    reload,
  });

  /** Everything anew; messages keep their elements. */
  const render = (): void => {
    const messages = path(conversation);
    const shown = messages.map((message) => {
      const view = views.get(message.id) ?? messageView(message, actions, () => drawn());
      views.set(message.id, view);
      return view.node;
    });
    const failure = failures.get(conversation.id);
    const nodes = messages.length ? shown : [welcome(loaded, conversation.settings, (text) => void ask(text), () => api.openSettings())];
    replace(log, failure ? [...nodes, failure] : nodes);
    for (const message of messages) draw(message);
  };
  const draw = (message: Message): void => {
    const run = runs.of(conversation.id);
    views.get(message.id)?.show(message, {
      beside: siblings(conversation, message),
      isRunning: run?.messageId === message.id,
      isElsewhere: elsewhere.has(message.id),
      isLast: message.id === conversation.leaf,
      canAsk: loaded !== null && run === undefined,
      namesModel: message.model !== undefined && message.model !== loaded?.name,
    });
  };

  const ask = async (text: string, documents: readonly Document[] = []): Promise<void> => {
    if (runs.of(conversation.id) || !loaded) return;
    const last = path(conversation).at(-1);
    const unanswered = last?.role === "user" ? last : null; // templates want turns: the new question stands in its place
    const parent = unanswered ? unanswered.parent : (last?.id ?? null);
    await say(withDocuments(newMessage(conversation, parent, "user", text), [...(unanswered?.documents ?? []), ...documents]));
  };
  /** Adds the question at the end of its branch, and has it answered. */
  const say = async (question: Message): Promise<void> => {
    const mine = conversation;
    add(question);
    const isNew = !isStored;
    isStored = true;
    if (isNew) box.open(mine.id);
    const kept = { ...mine, messages: [...mine.messages] }; // without the answer, of which there is nothing yet
    answer(question.id);
    if (isNew) void askToKeep();
    await (isNew ? chats.save(kept) : chats.saveMessage(question, { leaf: question.id, changed: Date.now(), title: titleOf(mine) })).catch(trouble);
    named(mine, isNew);
  };
  const add = (message: Message): void => {
    put(conversation, message);
    conversation.leaf = message.id;
    conversation.changed = Date.now();
    conversation.title = titleOf(conversation);
  };
  /** A new answer behind a question, beside others that there are. */
  const answer = (question: string): void => {
    if (!loaded) return render();
    begin({ ...newMessage(conversation, question, "assistant", ""), model: loaded.name });
  };
  const begin = (message: Message): void => {
    if (!loaded) return;
    failures.delete(conversation.id);
    conversation.model = loaded.ref;
    runs.start(conversation, message, loaded);
    box.setBusy(true);
    render();
    scrollToEnd();
    drawn = followBottom();
  };

  const actions = {
    copy: async (text: string) => {
      await copyText(text);
      announce(words.copied);
    },
    edit(message: Message, text: string) {
      if (message.role === "user") return void say(withDocuments(newMessage(conversation, message.parent, "user", text), message.documents));
      const { model } = message;
      const edited: Message = { ...newMessage(conversation, message.parent, "assistant", text), ending: "edited", ...(model && { model }) };
      add(edited);
      void chats.saveMessage(edited, { leaf: edited.id, changed: conversation.changed }).catch(trouble);
      render();
    },
    again: (message: Message) => answer(message.role === "user" ? message.id : (message.parent ?? message.id)),
    async goOn(message: Message) {
      await seeElsewhere();
      if (!elsewhere.has(message.id)) begin({ ...message, content: message.content.trimEnd() });
    },
    choose(message: Message) {
      conversation.leaf = endOf(conversation, message.id);
      void chats.patch(conversation.id, { leaf: conversation.leaf }).catch(trouble);
      render();
      views.get(message.id)?.node.scrollIntoView({ block: "nearest" });
    },
  };
  const failureOf = (of: Conversation, error: unknown): HTMLElement => {
    console.error(error);
    const dismiss = (): void => {
      failures.get(of.id)?.remove();
      failures.delete(of.id);
    };
    const retry = (): void => {
      const last = path(conversation).at(-1);
      dismiss();
      if (last?.role === "user") answer(last.id);
      else if (last && canContinue(last)) void actions.goOn(last);
    };
    return failureBox(error, { retry, reload, fresh, dismiss });
  };
  function editLast(): void {
    const question = path(conversation).findLast(({ role }) => role === "user");
    if (question) views.get(question.id)?.node.querySelector<HTMLElement>("[data-tool=edit]")?.click();
  }

  const show = (newer: Conversation, stored: boolean): void => {
    if (newer.id !== conversation.id) views.clear();
    conversation = newer;
    const end = newer.leaf ?? newer.messages[0]?.id;
    newer.leaf = end === undefined ? null : endOf(newer, end);
    isStored = stored;
    render();
    void seeElsewhere();
    box.setBusy(runs.of(newer.id) !== undefined);
    drawn = followBottom();
  };
  const seeElsewhere = async (): Promise<void> => {
    const cut = conversation.messages.filter((message) => message.role === "assistant" && message.ending === undefined);
    const held = cut.length ? await heldElsewhere(cut) : new Set<string>();
    if (held.size === 0 && elsewhere.size === 0) return;
    elsewhere = held;
    for (const message of path(conversation)) draw(message);
  };
  chats.onChange((id, isOwn) => void (id === conversation.id && !isOwn && merge(id)));
  /** Another tab added to this conversation, or deleted it. */
  const merge = async (id: string): Promise<void> => {
    const newer = await chats.open(id);
    if (id !== conversation.id) return;
    if (!newer) return runs.of(id) || !isStored ? undefined : fresh();
    const run = runs.of(id);
    for (const message of newer.messages) if (message.id !== run?.messageId) put(conversation, message);
    const { title, isNamed, settings } = newer;
    Object.assign(conversation, { title, isNamed, settings });
    const wasAtEnd = conversation.leaf !== null && endOf(conversation, conversation.leaf);
    if (!run && wasAtEnd) conversation.leaf = wasAtEnd;
    render();
    await seeElsewhere();
    named(conversation, false);
  };
  addEventListener("keydown", (event) => {
    const isTaken = event.defaultPrevented || event.isComposing || document.querySelector("dialog[open], [popover]:popover-open") !== null;
    if (event.key === "Escape" && !isTaken) runs.of(conversation.id)?.stop();
  });
  const api: ChatView = {
    node: h("section", { class: "chat" }, log, box.node, sheet.node),
    bar,
    get current() {
      return conversation;
    },
    async open(id) {
      if (id !== null && id === conversation.id && isStored) return true;
      const found = id === null ? newConversation(lastSettings()) : (runs.of(id)?.conversation ?? (await chats.open(id)));
      if (!found) return false;
      show(found, id !== null);
      box.open(id ?? "");
      return true;
    },
    setModel(newer) {
      loaded = newer;
      failures.clear();
      box.setReady(newer !== null);
      render();
    },
    renamed(id, title) {
      const of = id === conversation.id ? conversation : runs.of(id)?.conversation;
      if (of) named(Object.assign(of, { title, isNamed: true }), false);
    },
    stopAll: () => runs.stopAll(),
    openSettings: () => sheet.open(conversation.settings, loaded),
    focus() {
      if (conversation.leaf) scrollToEnd();
      else scrollTo({ top: 0 });
      box.focus();
    },
  };
  return api;
}

function withDocuments(message: Message, documents: readonly Document[] = []): Message {
  return documents.length ? { ...message, documents } : message;
}

/** What a new conversation begins with: what the last one had. */
function lastSettings(): ChatSettings {
  const { contextLength: _, ...settings } = JSON.parse(recall(LAST_SETTINGS) ?? "{}") as ChatSettings;
  return settings;
}

/** So that a browser that lacks space does not take the conversations first. Some ask their user. */
async function askToKeep(): Promise<void> {
  const storage = navigator.storage as StorageManager | undefined;
  if (!(await storage?.persisted?.())) await storage?.persist?.();
}

/** Leaves those that stay where they are: a selection in them, and the focus, stay too. */
function replace(parent: HTMLElement, nodes: readonly HTMLElement[]): void {
  for (const child of [...parent.children]) if (!nodes.includes(child as HTMLElement)) child.remove();
  nodes.forEach((node, i) => {
    if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] ?? null);
  });
}
