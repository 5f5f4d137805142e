/**
 * Saved states of conversations (fanlight/engine/saved_state.py), by name: files of the store of models.  Works on pages and in workers.
 */

import { SourceError } from "./errors.js";
import { held } from "./opfs.js";
import { findFile, openStore, remove, type Store } from "./storage.js";

/** A saved state as a page shows it; `file` has its bytes, to keep elsewhere and to give to `restoreState`. */
export interface StoredState {
  readonly name: string;
  readonly sizeBytes: number;
  readonly savedAt: string;
  readonly file: File;
}

const PREFIX = "state-";

/** Newest first. */
export async function listStates(): Promise<StoredState[]> {
  const store = await openStore();
  if (!store) return [];
  const states: StoredState[] = [];
  await held(store, async () => {
    for await (const fileName of store.keys()) {
      const file = fileName.startsWith(PREFIX) ? await findFile(store, fileName) : null;
      if (file) states.push({ name: nameOf(fileName), sizeBytes: file.size, savedAt: new Date(file.lastModified).toISOString(), file });
    }
  });
  return states.sort((a, b) => b.savedAt.localeCompare(a.savedAt));
}

/** True if there was one. */
export async function deleteState(name: string): Promise<boolean> {
  const store = await openStore();
  return store !== null && remove(store, fileNameOf(name));
}

export async function readState(name: string): Promise<File> {
  const file = await findFile(await storeFor(name), fileNameOf(name));
  if (file) return file;
  const names = (await listStates()).map((state) => state.name).join(", ");
  throw new SourceError("no such state is stored", { where: name, hint: names ? `Stored are: ${names}.` : "Nothing is stored yet." });
}

/** All of it, or what was there before. */
export async function writeState(name: string, parts: readonly BlobPart[]): Promise<void> {
  const [store, fileName] = [await storeFor(name), fileNameOf(name)];
  const isNew = !(await findFile(store, fileName));
  try {
    const handle = await held(store, () => store.getFileHandle(fileName, { create: true }));
    await held(handle, async () => {
      const writing = await handle.createWritable();
      try {
        for (const part of parts) await writing.write(part);
        await writing.close();
      } catch (error) {
        await writing.abort().catch(() => undefined);
        throw error;
      }
    });
  } catch (error) {
    if (isNew) await remove(store, fileName).catch(() => undefined);
    throw new SourceError(`could not be written: ${String(error)}`, { where: name, hint: "Delete stored models or states to make room." });
  }
}

async function storeFor(name: string): Promise<Store> {
  const store = await openStore();
  if (!store) throw new SourceError("this browser window has no storage", { where: name, hint: "Windows that are private may have none." });
  return store;
}

/** Every name's own, and one that every system allows. */
function fileNameOf(name: string): string {
  return PREFIX + encodeURIComponent(name).replace(/[.*]/g, (mark) => `%${mark.charCodeAt(0).toString(16)}`);
}

function nameOf(fileName: string): string {
  return decodeURIComponent(fileName.slice(PREFIX.length));
}
