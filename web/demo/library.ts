/** What is done with whole conversations: rename, delete (and undo that), write to a file, read from one. */

import type { Chats } from "./chats.js";
import { type Conversation, type Head, newKey } from "./conversation.js";
import { h } from "./dom.js";
import * as strings from "./strings.js";
import type { Toasts } from "./toast.js";
import { ArchiveError, asCopy, fileName, fromJson, toJson, toMarkdown } from "./transfer.js";

export interface Library {
  rename(head: Head, title: string): Promise<void>;
  remove(head: Head): Promise<void>;
  exportOne(head: Head, format: "json" | "md"): Promise<void>;
  exportAll(): Promise<void>;
  removeAll(): Promise<void>;
  importFiles(files: readonly File[]): Promise<void>;
}

/** `removed`: before the conversation is gone. */
export function library(chats: Chats, toasts: Toasts, removed: (id: string) => void, restored: (id: string) => void): Library {
  const words = strings.transfer;
  const all = async (): Promise<Conversation[]> => {
    const opened = await Promise.all((await chats.heads()).map(({ id }) => chats.open(id)));
    return opened.filter((conversation) => conversation !== null);
  };
  return {
    rename: (head, title) => chats.patch(head.id, { title, isNamed: true }),
    async remove({ id, title }) {
      removed(id);
      const kept = await chats.open(id);
      await chats.remove(id);
      const undo = (): void => void (kept && chats.save(kept).then(() => restored(id)));
      toasts.show(strings.sidebar.removed(title || strings.sidebar.untitled), undo);
    },
    async exportOne({ id }, format) {
      const conversation = await chats.open(id);
      if (!conversation) return;
      const text = format === "md" ? toMarkdown(conversation) : toJson({ conversations: [conversation], presets: [] });
      download(fileName(conversation.title, format), text, format === "md" ? "text/markdown" : "application/json");
    },
    async exportAll() {
      const [conversations, presets] = await Promise.all([all(), chats.presets()]);
      if (conversations.length + presets.length === 0) return toasts.show(words.nothing);
      const day = new Date().toISOString().slice(0, 10);
      download(fileName(`fanlight-${day}`, "json"), toJson({ conversations, presets }), "application/json");
    },
    async removeAll() {
      const conversations = await all();
      for (const { id } of conversations) {
        removed(id);
        await chats.remove(id);
      }
      const undo = (): void => void Promise.all(conversations.map((conversation) => chats.save(conversation)));
      if (conversations.length) toasts.show(strings.sidebar.removedAll(conversations.length), undo);
    },
    async importFiles(files) {
      let [count, same] = [0, 0];
      for (const file of files) {
        try {
          const { conversations, presets } = fromJson(await file.text());
          for (const preset of presets) await chats.savePreset(await presetOf(chats, preset));
          for (const conversation of conversations) {
            const here = await chats.open(conversation.id);
            if (here && isSame(here, conversation)) same++;
            else await chats.save(here ? asCopy(conversation, newKey) : conversation);
            count++;
          }
        } catch (error) {
          if (!(error instanceof ArchiveError)) throw error;
          return toasts.show(words.refused(file.name, error.message));
        }
      }
      toasts.show(words.imported(count - same, same));
    },
  };
}

type AnyPreset = Parameters<Chats["savePreset"]>[0];

/** One that is here already, with other settings, stays. */
async function presetOf(chats: Chats, preset: AnyPreset): Promise<AnyPreset> {
  const here = (await chats.presets()).find(({ id }) => id === preset.id);
  return here && JSON.stringify(here.settings) !== JSON.stringify(preset.settings) ? { ...preset, id: newKey() } : preset;
}

/** Whatever the order of fields. */
function isSame(a: unknown, b: unknown): boolean {
  return sorted(a) === sorted(b);
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part) ? Object.fromEntries(Object.entries(part).sort(([x], [y]) => (x < y ? -1 : 1))) : part,
  );
}

function download(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
