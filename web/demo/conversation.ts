/**
 * A conversation: messages that each know the one that they follow, so that a question asked otherwise, or an answer made anew, is a
 * branch beside the old one; and which of the branches' ends is shown.  Knows no page and no storage.
 */

import type { ToolCall } from "./answer.js";
import type { Document } from "./documents.js";
import type { Sources } from "./grounding.js";
import type { ChatSettings } from "./sampling.js";

/** Where a model came from, to load it again: an address as `Choice` has it; null where it was a file. */
export interface ModelRef {
  readonly name: string;
  readonly address: string | null;
}

/** Why an answer ends where it does; an answer without one was cut off: the tab was closed, or it is still being written. */
export type Ending = "stop" | "length" | "full" | "stopped" | "failed" | "edited";

export interface Message {
  readonly id: string;
  readonly conversation: string;
  readonly parent: string | null;
  readonly role: "user" | "assistant";
  readonly created: number; // milliseconds since 1970
  readonly content: string;
  /** Of questions: the files that were given with it. */
  readonly documents?: readonly Document[];
  /** Of answers, as the following. */
  readonly thought?: string;
  readonly thoughtMs?: number;
  readonly calls?: readonly ToolCall[];
  /** What of the conversation's documents it was made from. */
  readonly sources?: Sources;
  /** What is done before it begins, in words; it is not kept. */
  readonly progress?: string;
  readonly model?: string;
  readonly ending?: Ending;
  readonly numTokens?: number;
  readonly firstMs?: number | null;
  readonly perSecond?: number | null;
}

/** All but the messages: what a list of conversations needs. */
export interface Head {
  readonly id: string;
  readonly created: number;
  changed: number;
  title: string;
  /** By a person: then the first question does not name it. */
  isNamed: boolean;
  /** The last message of the branch that is shown. */
  leaf: string | null;
  settings: ChatSettings;
  model: ModelRef | null;
}

export interface Conversation extends Head {
  messages: Message[]; // in the order in which they were made
}

const MAX_TITLE = 60;

export function newConversation(settings: ChatSettings): Conversation {
  const now = Date.now();
  const head = { id: newKey(), created: now, changed: now, title: "", isNamed: false, leaf: null, settings, model: null };
  return { ...head, messages: [] };
}

/** Later than all others, if only by a millisecond: that is their order. */
export function newMessage(conversation: Conversation, parent: string | null, role: Message["role"], content: string): Message {
  const created = Math.max(Date.now(), (conversation.messages.at(-1)?.created ?? 0) + 1);
  return { id: newKey(), conversation: conversation.id, parent, role, created, content };
}

/** Unlike `crypto.randomUUID`, also on pages that are not served securely. */
export function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What is shown, first message first. */
export function path(conversation: Conversation): Message[] {
  const byId = new Map(conversation.messages.map((message) => [message.id, message]));
  const found: Message[] = [];
  let id = conversation.leaf;
  while (id !== null) {
    const message = byId.get(id);
    if (!message || found.length > byId.size) break;
    found.unshift(message);
    id = message.parent;
  }
  return found;
}

/** The message and those that stand beside it, in other branches. */
export function siblings({ messages }: Conversation, { parent, role }: Message): Message[] {
  return messages.filter((message) => message.parent === parent && message.role === role);
}

/** The end of the branch that was made last behind a message. */
export function endOf({ messages }: Conversation, id: string): string {
  const latest = new Map(messages.map(({ parent, id: child }) => [parent, child]));
  let end = id;
  for (let next = latest.get(end); next !== undefined; next = latest.get(end)) end = next;
  return end;
}

/** Adds a message, or puts a newer state of it in the place of the older one. */
export function put(conversation: Conversation, message: Message): void {
  const place = conversation.messages.findIndex(({ id }) => id === message.id);
  if (place < 0) conversation.messages.push(message);
  else conversation.messages[place] = message;
}

/** By the first question, unless a person has named it. */
export function titleOf(conversation: Conversation): string {
  if (conversation.isNamed) return conversation.title;
  const text = (path(conversation)[0]?.content ?? "").trim().replace(/\s+/g, " ");
  return text.length > MAX_TITLE ? `${text.slice(0, MAX_TITLE).trimEnd()}…` : text;
}

export function headOf({ messages: _, ...head }: Conversation): Head {
  return head;
}

/** Whether a model may go on with it. One whose context is full could only begin to slide. */
export function canContinue({ role, ending, content, thought }: Message): boolean {
  return role === "assistant" && Boolean(content || thought) && ending !== "stop" && ending !== "full";
}
