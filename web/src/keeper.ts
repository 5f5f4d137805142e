/** A worker that writes one file of the store: a download is received in the files' worker meanwhile.  keeper-client.ts is its other end. */

import { openToWrite } from "./opfs.js";
import { serve } from "./rpc.js";
import type { Store } from "./storage.js";

let handle: FileSystemSyncAccessHandle | null = null;
const file = (): FileSystemSyncAccessHandle => handle as FileSystemSyncAccessHandle;

serve({
  /** Its size, or null if another tab is writing it. */
  async open(store: Store, name: string): Promise<number | null> {
    try {
      handle = await openToWrite(store, name);
      return handle.getSize();
    } catch (error) {
      if (error instanceof DOMException && error.name === "NoModificationAllowedError") return null;
      throw error;
    }
  },
  truncate: (size: number) => file().truncate(size),
  /** How many bytes were written, or what the browser said instead. */
  write(bytes: Uint8Array<ArrayBuffer>, at: number): number | string {
    try {
      return file().write(bytes, { at });
    } catch (error) {
      return error instanceof DOMException && error.name === "QuotaExceededError" ? 0 : String(error);
    }
  },
  read(at: number, size: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, file().read(bytes, { at }));
  },
  flush: () => file().flush(),
  close(): void {
    handle?.close();
    self.close();
  },
});
