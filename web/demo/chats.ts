/**
 * Where conversations are kept: IndexedDB, on this device.  Each message is a record of its own, so two tabs in one conversation make two
 * branches of it and never write over each other.  Where a window keeps nothing, reads find nothing and writes do nothing.
 */

import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import { type Conversation, type Head, headOf, type Message } from "./conversation.js";
import type { ChatSettings } from "./sampling.js";

export interface Preset {
  readonly id: string;
  readonly name: string;
  readonly settings: ChatSettings;
}

interface Schema extends DBSchema {
  heads: { key: string; value: Head };
  messages: { key: string; value: Message; indexes: { conversation: string } };
  presets: { key: string; value: Preset };
}

export interface Found {
  readonly id: string;
  /** Around the first of the words; empty where they are in the title. */
  readonly excerpt: string;
}

export interface Chats {
  /** Whether this window keeps anything. */
  isKept(): Promise<boolean>;
  /** The latest first. */
  heads(): Promise<Head[]>;
  open(id: string): Promise<Conversation | null>;
  /** A whole conversation, in place of what has its id. */
  save(conversation: Conversation): Promise<void>;
  /** A new or a grown message, and what changes of its conversation. False where that was deleted meanwhile. */
  saveMessage(message: Message, fields?: Partial<Head>): Promise<boolean>;
  patch(id: string, fields: Partial<Head>): Promise<void>;
  remove(id: string): Promise<void>;
  /** Those in which all the words are. */
  search(text: string): Promise<Found[]>;
  presets(): Promise<Preset[]>;
  savePreset(preset: Preset): Promise<void>;
  removePreset(id: string): Promise<void>;
  /** Calls at each change, with the conversation's id (null: presets); `isOwn` unless another tab made it. */
  onChange(listener: (id: string | null, isOwn: boolean) => void): void;
}

const NAME = "fanlight-chats";
const AROUND = 40; // characters of an excerpt on either side

export function openChats(): Chats {
  const opened = open();
  const channel = new BroadcastChannel(NAME);
  const listeners: ((id: string | null, isOwn: boolean) => void)[] = [];
  const tell = (id: string | null, isOwn: boolean): void => listeners.forEach((listener) => listener(id, isOwn));
  channel.onmessage = ({ data }) => tell(data as string | null, false);
  const changed = (id: string | null): void => {
    channel.postMessage(id);
    tell(id, true);
  };

  return {
    isKept: async () => (await opened) !== null,
    async heads() {
      const heads = (await (await opened)?.getAll("heads")) ?? [];
      return heads.sort((a, b) => b.changed - a.changed);
    },
    async open(id) {
      const work = (await opened)?.transaction(["heads", "messages"]);
      const head = await work?.objectStore("heads").get(id);
      if (!work || !head) return null;
      const messages = await work.objectStore("messages").index("conversation").getAll(id);
      return { ...head, messages: messages.sort((a, b) => a.created - b.created) };
    },
    async save(conversation) {
      const work = (await opened)?.transaction(["heads", "messages"], "readwrite");
      if (!work) return;
      await Promise.all([
        work.objectStore("heads").put(headOf(conversation)),
        ...conversation.messages.map((message) => work.objectStore("messages").put(message)),
        work.done,
      ]);
      changed(conversation.id);
    },
    async saveMessage(message, fields = {}) {
      const work = (await opened)?.transaction(["heads", "messages"], "readwrite");
      if (!work) return true;
      const head = await work.objectStore("heads").get(message.conversation);
      if (head) {
        await work.objectStore("messages").put(message);
        await work.objectStore("heads").put({ ...head, ...fields });
      }
      await work.done;
      if (head) changed(message.conversation);
      return head !== undefined;
    },
    async patch(id, fields) {
      const work = (await opened)?.transaction("heads", "readwrite");
      const head = await work?.store.get(id);
      if (head) await work?.store.put({ ...head, ...fields });
      await work?.done;
      if (head) changed(id);
    },
    async remove(id) {
      const work = (await opened)?.transaction(["heads", "messages"], "readwrite");
      if (!work) return;
      const messages = work.objectStore("messages");
      const keys = await messages.index("conversation").getAllKeys(id);
      await Promise.all([work.objectStore("heads").delete(id), ...keys.map((key) => messages.delete(key)), work.done]);
      changed(id);
    },
    async search(text) {
      const db = await opened;
      const words = folded(text).split(/\s+/).filter(Boolean);
      if (!db || words.length === 0) return [];
      const [heads, messages] = await Promise.all([this.heads(), db.getAll("messages")]);
      const textsOf = new Map(heads.map(({ id, title }) => [id, [title]]));
      for (const { conversation, content } of messages) textsOf.get(conversation)?.push(content);
      return heads.flatMap((head) => {
        const texts = textsOf.get(head.id) ?? [];
        const all = texts.map(folded);
        if (!words.every((word) => all.some((one) => one.includes(word)))) return [];
        const place = all.findIndex((one) => one.includes(words[0] ?? ""));
        return [{ id: head.id, excerpt: place === 0 ? "" : excerpt(texts[place] ?? "", words[0] ?? "") }];
      });
    },
    async presets() {
      const presets = (await (await opened)?.getAll("presets")) ?? [];
      return presets.sort((a, b) => a.name.localeCompare(b.name));
    },
    async savePreset(preset) {
      await (await opened)?.put("presets", preset);
      changed(null);
    },
    async removePreset(id) {
      await (await opened)?.delete("presets", id);
      changed(null);
    },
    onChange: (listener) => void listeners.push(listener),
  };
}

async function open(): Promise<IDBPDatabase<Schema> | null> {
  try {
    return await openDB<Schema>(NAME, 1, {
      upgrade(db) {
        db.createObjectStore("heads", { keyPath: "id" });
        db.createObjectStore("messages", { keyPath: "id" }).createIndex("conversation", "conversation");
        db.createObjectStore("presets", { keyPath: "id" });
      },
    });
  } catch (error) {
    console.info("fanlight: conversations are not kept:", error);
    return null;
  }
}

/** As a search compares: without case and accents. */
function folded(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

function excerpt(text: string, word: string): string {
  const line = text.replace(/\s+/g, " ");
  const place = Math.max(0, folded(line).indexOf(word)); // accents may shift it a little
  const start = Math.max(0, place - AROUND);
  const end = place + word.length + AROUND;
  return `${start > 0 ? "…" : ""}${line.slice(start, end)}${end < line.length ? "…" : ""}`;
}
