/** Conversations as files: JSON holds all there is and is read back; Markdown is for reading.  Knows no page and no storage. */

import type { Preset } from "./chats.js";
import { type Conversation, type Message, path, titleOf } from "./conversation.js";
import { KINDS } from "./documents.js";
import { date } from "./format.js";
import { checkedSettings } from "./sampling.js";
import * as strings from "./strings.js";

const FORMAT = "fanlight-conversations";
const VERSION = 1;

export interface Archive {
  readonly conversations: readonly Conversation[];
  readonly presets: readonly Preset[];
}

/** A file that is no such archive, in words: where it is wrong, and what was expected there. */
export class ArchiveError extends Error {}

export function toJson(archive: Archive): string {
  return JSON.stringify({ format: FORMAT, version: VERSION, ...archive }, null, 1);
}

export function fromJson(text: string): Archive {
  const words = strings.transfer.errors;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ArchiveError(words.noJson);
  }
  if (!isObject(value) || value["format"] !== FORMAT) throw new ArchiveError(words.noArchive);
  if (value["version"] !== VERSION) throw new ArchiveError(words.version(String(value["version"])));
  const { conversations, presets = [] } = value;
  if (!Array.isArray(conversations) || !Array.isArray(presets)) throw new ArchiveError(words.noArchive);
  return {
    conversations: conversations.map((conversation, i) => checked(conversation, HEAD, words.conversation(i + 1)) as unknown as Conversation).map(checkedTree),
    presets: presets.map((preset, i) => checked(preset, PRESET, words.preset(i + 1)) as unknown as Preset),
  };
}

type Check = (value: unknown) => boolean;
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const isText: Check = (value) => typeof value === "string";
const isKey: Check = (value) => typeof value === "string" && value !== "";
const isNumber: Check = (value) => typeof value === "number" && Number.isFinite(value);
const isTextOrNull: Check = (value) => value === null || typeof value === "string";
const isSettings: Check = (value) => Boolean(checkedSettings(value));
const maybe = (check: Check): Check => (value) => value === undefined || check(value);
const isPassage: Check = (value) => isObject(value) && isText(value["name"]) && isText(value["text"]);
const isPicture: Check = (value) => typeof value === "string" && value.startsWith("data:image/");
const isSound: Check = (value) => typeof value === "string" && value.startsWith("data:audio/");
const isDocument: Check = (value) => isPassage(value) && isObject(value) && isKey(value["id"]) && KINDS.some((kind) => kind === value["kind"]) && maybe(isPicture)(value["image"]) && maybe(isSound)(value["sound"]);
const HEAD: Readonly<Record<string, Check>> = {
  id: isKey,
  created: isNumber,
  changed: isNumber,
  title: isText,
  isNamed: (value) => typeof value === "boolean",
  leaf: isTextOrNull,
  settings: isSettings,
  model: (value) => value === null || (isObject(value) && isText(value["name"]) && isTextOrNull(value["address"])),
  messages: Array.isArray,
};
const PRESET: Readonly<Record<string, Check>> = { id: isKey, name: isKey, settings: isSettings };
const MESSAGE: Readonly<Record<string, Check>> = {
  id: isKey,
  conversation: isKey,
  parent: isTextOrNull,
  role: (value) => value === "user" || value === "assistant",
  created: isNumber,
  content: isText,
  thought: maybe(isText),
  thoughtMs: maybe(isNumber),
  model: maybe(isText),
  ending: maybe(isText),
  numTokens: maybe(isNumber),
  firstMs: maybe((value) => value === null || isNumber(value)),
  perSecond: maybe((value) => value === null || isNumber(value)),
  documents: maybe((value) => Array.isArray(value) && value.every(isDocument)),
  calls: maybe((value) => Array.isArray(value) && value.every((call) => isObject(call) && isText(call["name"]) && isText(call["arguments"]))),
  sources: maybe((value) => isObject(value) && isText(value["way"]) && Array.isArray(value["passages"]) && value["passages"].every(isPassage)),
};

function checked(value: unknown, fields: Readonly<Record<string, Check>>, where: string): Record<string, unknown> {
  const words = strings.transfer.errors;
  if (!isObject(value)) throw new ArchiveError(words.field(where, "{…}"));
  for (const [name, isRight] of Object.entries(fields)) {
    try {
      if (isRight(value[name])) continue;
    } catch (error) {
      throw new ArchiveError(words.field(where, (error as Error).message));
    }
    throw new ArchiveError(words.field(where, name));
  }
  return value;
}

/** Each message follows one of this conversation that stands before it. */
function checkedTree(conversation: Conversation): Conversation {
  const words = strings.transfer.errors;
  const seen = new Set<string | null>([null]);
  for (const message of conversation.messages) {
    checked(message, MESSAGE, words.message(conversation.title));
    if (message.conversation !== conversation.id) throw new ArchiveError(words.field(words.message(conversation.title), "conversation"));
    if (!seen.has(message.parent) || seen.has(message.id)) throw new ArchiveError(words.field(words.message(conversation.title), "parent"));
    seen.add(message.id);
  }
  if (!seen.has(conversation.leaf)) throw new ArchiveError(words.field(words.message(conversation.title), "leaf"));
  return conversation;
}

/** The branch that is shown. */
export function toMarkdown(conversation: Conversation): string {
  const words = strings.transfer.markdown;
  const { model, settings } = conversation;
  const facts = [date(conversation.created), model?.name].filter(Boolean).join(" · ");
  const system = settings.system ? [`**${strings.settings.system}:**`, quoted(settings.system)] : [];
  const messages = path(conversation).flatMap((message) => messageMarkdown(message, words.you, message.model ?? words.answer));
  return [`# ${titleOf(conversation) || strings.sidebar.untitled}`, facts, ...system, ...messages].join("\n\n") + "\n";
}

function messageMarkdown({ role, content, thought, documents = [] }: Message, you: string, answer: string): string[] {
  const names = documents.map(({ name }) => `\`${name}\``).join(", ");
  return [`## ${role === "user" ? you : answer}`, ...(names ? [names] : []), ...(thought ? [quoted(thought)] : []), content];
}

function quoted(text: string): string {
  return text.split("\n").map((line) => `> ${line}`.trimEnd()).join("\n");
}

/** A file's name that every system takes. */
export function fileName(title: string, ending: string): string {
  const name = title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "");
  return `${name.slice(0, 60) || FORMAT}.${ending}`;
}

/** In place of one that is here already and is not the same: nothing is written over. */
export function asCopy(conversation: Conversation, newKey: () => string): Conversation {
  const id = newKey();
  const keys = new Map<string | null, string | null>([[null, null]]);
  for (const message of conversation.messages) keys.set(message.id, newKey());
  const renamed = (key: string | null): string | null => keys.get(key) ?? null;
  const messages = conversation.messages.map((message) => ({ ...message, id: renamed(message.id) ?? "", parent: renamed(message.parent), conversation: id }));
  return { ...conversation, id, leaf: renamed(conversation.leaf), messages };
}
