/** The care that the browser's private file system (OPFS) needs. */

import type { Shared } from "./sources.js";

/** Whether this thread can: only dedicated workers can everywhere. */
export const canWrite = "FileSystemFileHandle" in globalThis && "createSyncAccessHandle" in FileSystemFileHandle.prototype;

const holds = new Set<{ readonly handle: FileSystemHandle }>();

/**
 * The result of `work`, an operation of `handle`. Chromium forgets the operation, and its promise never settles, when the handle is
 * garbage before it is done: so something must refer to it until then.
 */
export async function held<T>(handle: FileSystemHandle, work: () => Promise<T>): Promise<T> {
  const hold = { handle };
  holds.add(hold);
  try {
    return await work();
  } finally {
    holds.delete(hold);
  }
}

const PAUSE_MS = 50;
const PATIENCE = 40; // pauses

/** A sync access handle of a file in the store, made if it is not there. One who writes a record has it for a moment only. In a worker only. */
export async function openToWrite(store: FileSystemDirectoryHandle, name: string): Promise<FileSystemSyncAccessHandle> {
  const file = await held(store, () => store.getFileHandle(name, { create: true }));
  for (let pauses = 0; ; pauses++) {
    try {
      return await held(file, () => file.createSyncAccessHandle());
    } catch (error) {
      const isTaken = error instanceof DOMException && error.name === "NoModificationAllowedError";
      if (!isTaken || pauses === PATIENCE) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

/** A sync access handle that others may have too, or null where the browser knows only exclusive ones. In a worker only. */
export async function openShared(
  store: FileSystemDirectoryHandle,
  name: string,
  mode: Shared["mode"],
): Promise<FileSystemSyncAccessHandle | null> {
  const file = await held(store, () => store.getFileHandle(name, { create: mode !== "read-only" }));
  const open = file.createSyncAccessHandle.bind(file) as (options: { mode: Shared["mode"] }) => Promise<FileSystemSyncAccessHandle>;
  try {
    const handle = await held(file, () => open({ mode }));
    if ("mode" in handle && handle.mode === mode) return handle;
    handle.close();
    return null;
  } catch {
    return null;
  }
}
