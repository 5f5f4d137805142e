/** Answers in the making: at most one a conversation, each kept as it grows, whether or not somebody looks at it.  Knows no page. */

import type { Engine } from "fanlight";
import { type Answer, streamAnswer, type Turn } from "./answer.js";
import type { Chats } from "./chats.js";
import { type Conversation, type Ending, type Message, type ModelRef, path, put, titleOf } from "./conversation.js";
import { isText } from "./documents.js";
import { isAbort } from "./failures.js";
import { grounded, searched, sourcesFor } from "./grounding.js";
import type { ChatSettings, Defaults } from "./sampling.js";
import * as strings from "./strings.js";

/** The model that answers. */
export interface Loaded {
  readonly engine: Engine;
  /** As it is called on the page. */
  readonly name: string;
  readonly ref: ModelRef;
  readonly isBuiltIn: boolean;
  /** By the page's server. */
  readonly isServed: boolean;
  /** What this page asks of it where a person asks nothing else. */
  readonly own: ChatSettings;
  /** What it does where a person asks nothing. */
  readonly defaults: Defaults;
}

export interface Run {
  readonly conversation: Conversation;
  readonly messageId: string;
  stop(): void;
}

export interface RunEvents {
  /** The answer grew. */
  news(conversation: Conversation, message: Message): void;
  /** `message`: null where it failed or was stopped before the first word. */
  ended(conversation: Conversation, message: Message | null, failure: unknown): void;
  /** It could not be kept. */
  trouble(error: unknown): void;
}

export interface Runs {
  of(conversationId: string): Run | undefined;
  /** The answer is `message`, the conversation's new leaf; it goes on if it has a text. */
  start(conversation: Conversation, message: Message, loaded: Loaded): void;
  stopAll(): Promise<void>;
}

const SAVE_MS = 250; // more often than a person could mind to lose

export function makeRuns(chats: Chats, events: RunEvents): Runs {
  const running = new Map<string, Run & { readonly done: Promise<void> }>();
  return {
    of: (id) => running.get(id),
    start(conversation, message, loaded) {
      const stopper = new AbortController();
      const before = conversation.leaf;
      put(conversation, message);
      conversation.leaf = message.id;
      const run = { conversation, messageId: message.id, stop: () => stopper.abort() };
      const done = holding(message.id, () => answer(chats, events, conversation, message, before, loaded, stopper, () => running.delete(conversation.id)));
      running.set(conversation.id, { ...run, done });
    },
    async stopAll() {
      const all = [...running.values()];
      for (const run of all) run.stop();
      await Promise.all(all.map(({ done }) => done));
    },
  };
}

const LOCK = "fanlight-answer:";

/** Tells other tabs that the answer is being written; the browser lets go of it where the tab is closed. */
function holding(messageId: string, work: () => Promise<void>): Promise<void> {
  const locks = navigator.locks as LockManager | undefined; // none where a page is not served securely
  return locks ? locks.request(LOCK + messageId, work) : work();
}

/** Which of the answers are being written: in another tab, where they are not here. */
export async function heldElsewhere(messages: readonly Message[]): Promise<ReadonlySet<string>> {
  const { held = [] } = (await (navigator.locks as LockManager | undefined)?.query()) ?? {};
  const names = new Set(held.map(({ name }) => name));
  return new Set(messages.map(({ id }) => id).filter((id) => names.has(LOCK + id)));
}

async function answer(
  chats: Chats,
  events: RunEvents,
  conversation: Conversation,
  first: Message,
  before: string | null,
  loaded: Loaded,
  stopper: AbortController,
  over: () => void,
): Promise<void> {
  const turns = path(conversation).slice(0, first.content || first.thought ? undefined : -1);
  const saver = keeper(chats, conversation, loaded.ref, events, () => stopper.abort());
  let message: Message = first;
  let failure: unknown = null;
  let ending: Ending;
  const tell = (progress: string): void => events.news(conversation, { ...first, progress });
  try {
    message = first = await withSources(first, turns, conversation.settings, loaded.engine, stopper.signal, tell);
    const texts = grounded(turns, first.sources);
    const asked = { turns: turns.map((each, i) => turn(each, texts[i] ?? "")), settings: { ...loaded.own, ...conversation.settings } };
    let latest: Answer | null = null;
    for await (latest of streamAnswer(loaded.engine, asked, stopper.signal)) {
      message = grown(first, latest);
      put(conversation, message);
      if (message.content || message.thought || message.calls) saver.soon(message);
      events.news(conversation, message);
    }
    ending = latest?.finishReason === "length" ? (latest.isContextFull ? "full" : "length") : "stop";
  } catch (error) {
    failure = isAbort(error) ? null : error;
    ending = isAbort(error) ? "stopped" : "failed";
  }
  const isThere = Boolean(message.content || message.thought || message.calls) || ending === "stop";
  if (isThere) {
    message = { ...message, ending };
    put(conversation, message);
  } else {
    conversation.messages = conversation.messages.filter(({ id }) => id !== first.id);
    conversation.leaf = before;
  }
  over(); // before the last save: what it tells finds the answer over
  await saver.end(isThere ? message : null);
  events.ended(conversation, isThere ? message : null, failure);
}

const turn = ({ role, thought, documents = [] }: Message, content: string): Turn => ({
  role,
  content,
  ...(thought && { thought }),
  images: documents.flatMap(({ image }) => image ?? []),
  sounds: documents.flatMap(({ sound }) => sound ?? []),
});

/** The answer with what it is to be made from, where documents were given. An answer that goes on has that already. */
async function withSources(
  message: Message,
  turns: readonly Message[],
  settings: ChatSettings,
  engine: Engine,
  signal: AbortSignal,
  tell: (progress: string) => void,
): Promise<Message> {
  const documents = turns.flatMap((each) => (each.documents ?? []).filter(isText));
  if (message.sources || documents.length === 0) return message;
  const questions = turns.filter(({ role }) => role === "user").map(({ content }) => content);
  const others = turns.reduce((sum, { content }) => sum + content.length, settings.system?.length ?? 0);
  const asked = { question: searched(questions), documents, others, maxTokens: settings.max_tokens };
  tell(strings.documents.steps.reading);
  return { ...message, sources: await sourcesFor(engine, asked, signal, (step, done, total) => tell(strings.documents.steps[step](done, total))) };
}

function grown(first: Message, { text, thought, thoughtMs, calls, numTokens, firstMs, perSecond }: Answer): Message {
  const { ending: _, ...base } = first;
  const thoughts = (first.thought ?? "") + thought;
  const count = (first.numTokens ?? 0) + numTokens;
  const thinking = thoughts && { thought: thoughts, thoughtMs: (first.thoughtMs ?? 0) + thoughtMs };
  const measures = { numTokens: count, firstMs: first.firstMs ?? firstMs, perSecond };
  return { ...base, content: first.content + text, ...thinking, ...(calls.length && { calls }), ...measures };
}

/** Saves the latest state of a message, not too often, and at once where the page may be about to end. */
function keeper(chats: Chats, conversation: Conversation, model: ModelRef, events: RunEvents, gone: () => void) {
  let latest: Message | null = null;
  let timer = 0;
  let last = Promise.resolve();
  const save = (): void => {
    clearTimeout(timer);
    timer = 0;
    const message = latest;
    if (!message) return;
    latest = null;
    const fields = { leaf: message.id, changed: Date.now(), model, title: titleOf(conversation) };
    const saved = chats.saveMessage(message, fields).then((isThere) => isThere || gone(), events.trouble);
    last = Promise.all([last, saved]).then(() => undefined);
  };
  const leaving = (): void => void (document.visibilityState === "hidden" && save());
  addEventListener("pagehide", save);
  document.addEventListener("visibilitychange", leaving);
  return {
    soon(message: Message): void {
      latest = message;
      timer ||= setTimeout(save, SAVE_MS);
    },
    async end(message: Message | null): Promise<void> {
      latest = message;
      save();
      removeEventListener("pagehide", save);
      document.removeEventListener("visibilitychange", leaving);
      await last;
    },
  };
}
