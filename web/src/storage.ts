/**
 * The store of downloaded models, in the browser's private file system (OPFS): a folder with, per file, KEY.bin, KEY.blocks (digests of
 * its blocks) and KEY.json (its `FileRecord`), and per model KEY.model.json (its `Manifest`).  KEY is a hash of the URL.  Works on pages and
 * in workers; writing the large files is download.ts's.
 */

import { held, openToWrite } from "./opfs.js";
import type { FileReference } from "./server.js";
import { fileName } from "./sources.js";

const FOLDER = "fanlight";

export interface FileRecord {
  readonly url: string;
  readonly size: number;
  readonly etag: string | null;
  readonly modified?: string | null; // older records have none
  readonly complete: boolean;
  /** Of all its bytes (digests.ts), where it is known: then they were checked by it. */
  readonly digest?: string;
}

interface Manifest {
  readonly url: string;
  readonly files: readonly (FileReference | string)[]; // URLs alone in older ones
  readonly savedAt: string;
  /** By whom files' digests were signed: the bundle's text. */
  readonly signature?: string;
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

/** What its blocks' digests are called. */
export async function blocksName(url: string): Promise<string> {
  return `${await fileKey(url)}.blocks`;
}

export async function readRecord(store: Store, url: string): Promise<FileRecord | null> {
  return readJson<FileRecord>(store, `${await fileKey(url)}.json`);
}

export async function writeRecord(store: Store, record: FileRecord): Promise<void> {
  await writeJson(store, `${await fileKey(record.url)}.json`, record);
}

/** The stored file with its record, if all of it is there. */
export async function completeFile(store: Store, url: string): Promise<{ file: File; record: FileRecord } | null> {
  const record = await readRecord(store, url);
  if (!record?.complete) return null;
  const file = await findFile(store, await binName(url));
  return file && file.size === record.size ? { file, record } : null;
}

export async function writeManifest(store: Store, url: string, files: readonly FileReference[], signature?: string): Promise<void> {
  await writeJson(store, `${await fileKey(url)}.model.json`, { url, files, savedAt: new Date().toISOString(), ...(signature !== undefined && { signature }) });
}

export async function readManifest(store: Store, url: string): Promise<(Omit<Manifest, "files"> & { readonly files: readonly FileReference[] }) | null> {
  const manifest = await readJson<Manifest>(store, `${await fileKey(url)}.model.json`);
  return manifest && { ...manifest, files: filesOf(manifest) };
}

const filesOf = ({ files }: Manifest): FileReference[] => files.map((file) => (typeof file === "string" ? { url: file } : file));

/** The stored models, newest first; also those whose download did not finish. */
export async function listModels(): Promise<StoredModel[]> {
  const store = await openStore();
  const models = store ? await Promise.all((await readManifests(store)).map((manifest) => describe(store, manifest))) : [];
  return models.sort((a, b) => b.savedAt.localeCompare(a.savedAt));
}

async function readManifests(store: Store): Promise<Manifest[]> {
  const names: string[] = [];
  await held(store, async () => {
    for await (const name of store.keys()) if (name.endsWith(".model.json")) names.push(name);
  });
  const manifests = await Promise.all(names.map((name) => readJson<Manifest>(store, name)));
  return manifests.filter((manifest) => manifest !== null);
}

/** Removes a stored model, named by what it was loaded from. True if there was one. Files that another one has too stay. */
export async function deleteModel(url: string): Promise<boolean> {
  const store = await openStore();
  const files = store && (await readManifest(store, url))?.files;
  if (!store || !files) return false;
  const others = (await readManifests(store)).filter((manifest) => manifest.url !== url);
  const shared = new Set(others.flatMap(filesOf).map((file) => file.url));
  for (const file of files) {
    if (!shared.has(file.url)) await removeFile(store, file.url);
  }
  await remove(store, `${await fileKey(url)}.model.json`); // last: what is interrupted can be done again
  await remove(store, `program-${(await fileKey(files.map((file) => fileName(file.url)).join(","))).slice(0, 16)}.json`); // engine/program_cache.py
  return true;
}

export async function removeFile(store: Store, url: string): Promise<void> {
  const key = await fileKey(url);
  for (const ending of ["bin", "blocks", "json"]) await remove(store, `${key}.${ending}`);
}

async function describe(store: Store, manifest: Manifest): Promise<StoredModel> {
  let [sizeBytes, storedBytes, complete] = [0, 0, true];
  for (const { url } of filesOf(manifest)) {
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
    // Spaces over what was there before: whenever this is cut short, the file is JSON.
    const text = JSON.stringify(value);
    handle.write(new TextEncoder().encode(text.padEnd(handle.getSize())), { at: 0 });
    handle.truncate(new TextEncoder().encode(text).length);
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
