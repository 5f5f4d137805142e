/**
 * The store of downloaded models, in the browser's private file system (OPFS): a folder with, per file, KEY.bin and KEY.json (its
 * `FileRecord`), and per model KEY.model.json (its `Manifest`).  KEY is a hash of the URL.  Works on pages and in workers; writing the
 * large files is download.ts's.
 */

import { held, openToWrite } from "./opfs.js";
import { fileName } from "./sources.js";

const FOLDER = "fanlight";

export interface FileRecord {
  readonly url: string;
  readonly size: number;
  readonly etag: string | null;
  readonly modified?: string | null; // older records have none
  readonly complete: boolean;
}

interface Manifest {
  readonly url: string;
  readonly files: readonly string[]; // URLs
  readonly savedAt: string;
}

/** A stored model as a page shows it. */
export interface StoredModel {
  readonly url: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly storedBytes: number;
  readonly complete: boolean;
  readonly savedAt: string;
}

export type Store = FileSystemDirectoryHandle;

/** The store, or null where the browser has none (some private windows). */
export async function openStore(): Promise<Store | null> {
  try {
    const root = await navigator.storage.getDirectory();
    return await held(root, () => root.getDirectoryHandle(FOLDER, { create: true }));
  } catch {
    return null;
  }
}

async function fileKey(url: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(url)));
  return Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What the stored file is called. */
export async function binName(url: string): Promise<string> {
  return `${await fileKey(url)}.bin`;
}

export async function readRecord(store: Store, url: string): Promise<FileRecord | null> {
  return readJson<FileRecord>(store, `${await fileKey(url)}.json`);
}

export async function writeRecord(store: Store, record: FileRecord): Promise<void> {
  await writeJson(store, `${await fileKey(record.url)}.json`, record);
}

/** The stored file, if all of it is there. */
export async function completeFile(store: Store, url: string): Promise<File | null> {
  const record = await readRecord(store, url);
  if (!record?.complete) return null;
  const file = await findFile(store, await binName(url));
  return file && file.size === record.size ? file : null;
}

export async function writeManifest(store: Store, url: string, files: readonly string[]): Promise<void> {
  await writeJson(store, `${await fileKey(url)}.model.json`, { url, files, savedAt: new Date().toISOString() });
}

export async function readManifest(store: Store, url: string): Promise<readonly string[] | null> {
  return (await readJson<Manifest>(store, `${await fileKey(url)}.model.json`))?.files ?? null;
}

/** The stored models, newest first; also those whose download did not finish. */
export async function listModels(): Promise<StoredModel[]> {
  const store = await openStore();
  if (!store) return [];
  const models: StoredModel[] = [];
  await held(store, async () => {
    for await (const name of store.keys()) {
      const manifest = name.endsWith(".model.json") ? await readJson<Manifest>(store, name) : null;
      if (manifest) models.push(await describe(store, manifest));
    }
  });
  return models.sort((a, b) => b.savedAt.localeCompare(a.savedAt));
}

/** Removes a stored model, named by the URL it was loaded from. True if there was one. */
export async function deleteModel(url: string): Promise<boolean> {
  const store = await openStore();
  const files = store && (await readManifest(store, url));
  if (!store || !files) return false;
  for (const file of files) {
    const key = await fileKey(file);
    for (const name of [`${key}.bin`, `${key}.json`]) await remove(store, name);
  }
  await remove(store, `${await fileKey(url)}.model.json`);
  await remove(store, `program-${(await fileKey(files.map(fileName).join(","))).slice(0, 16)}.json`); // engine/program_cache.py
  return true;
}

async function describe(store: Store, manifest: Manifest): Promise<StoredModel> {
  let [sizeBytes, storedBytes, complete] = [0, 0, true];
  for (const url of manifest.files) {
    const record = await readRecord(store, url);
    const file = await findFile(store, await binName(url));
    sizeBytes += record?.size ?? 0;
    storedBytes += file?.size ?? 0;
    complete &&= record?.complete === true && file?.size === record.size;
  }
  const path = new URL(manifest.url).pathname.split("/").filter(Boolean);
  return { url: manifest.url, name: path.at(-1) ?? manifest.url, sizeBytes, storedBytes, complete, savedAt: manifest.savedAt };
}

export async function findFile(store: Store, name: string): Promise<File | null> {
  try {
    const file = await held(store, () => store.getFileHandle(name));
    return await held(file, () => file.getFile());
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotFoundError") return null;
    throw error;
  }
}

async function readJson<T>(store: Store, name: string): Promise<T | null> {
  const file = await findFile(store, name);
  if (!file) return null;
  try {
    return JSON.parse(await file.text()) as T;
  } catch {
    return null; // half written when the browser was closed: as good as absent
  }
}

/** In a worker only: Safari has no other way to write. */
async function writeJson(store: Store, name: string, value: object): Promise<void> {
  const handle = await openToWrite(store, name);
  try {
    handle.truncate(0);
    handle.write(new TextEncoder().encode(JSON.stringify(value)), { at: 0 });
    handle.flush();
  } finally {
    handle.close();
  }
}

/** True if there was one. */
export async function remove(store: Store, name: string): Promise<boolean> {
  try {
    await held(store, () => store.removeEntry(name));
    return true;
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotFoundError") return false;
    throw error;
  }
}
