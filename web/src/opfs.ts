/** The care that the browser's private file system (OPFS) needs. */

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

/** A sync access handle of a file in the store, made if it is not there. In a worker only. */
export async function openToWrite(store: FileSystemDirectoryHandle, name: string): Promise<FileSystemSyncAccessHandle> {
  const file = await held(store, () => store.getFileHandle(name, { create: true }));
  return held(file, () => file.createSyncAccessHandle());
}

/** A sync access handle that other readers may have too, or null where the browser knows only exclusive ones. In a worker only. */
export async function openToRead(store: FileSystemDirectoryHandle, name: string): Promise<FileSystemSyncAccessHandle | null> {
  const file = await held(store, () => store.getFileHandle(name));
  const open = file.createSyncAccessHandle.bind(file) as (options: { mode: "read-only" }) => Promise<FileSystemSyncAccessHandle>;
  try {
    const handle = await held(file, () => open({ mode: "read-only" }));
    if ("mode" in handle && handle.mode === "read-only") return handle;
    handle.close();
    return null;
  } catch {
    return null;
  }
}
