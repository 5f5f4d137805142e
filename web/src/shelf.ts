/** Where the bytes of a download are put: a file of the store, or this visit's memory, which the browser moves to its disk as it likes. */

import { BLOCK_BYTES } from "./digests.js";
import { SourceError } from "./errors.js";
import { truncated } from "./sources.js";

type Bytes = Uint8Array<ArrayBuffer>;

export interface Shelf {
  size(): number;
  read(at: number, size: number): Promise<Bytes>;
  /** Behind what is there: one block, or what is left of the file. */
  append(block: Bytes): void;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

/** In a worker only. */
export function fileShelf(handle: FileSystemSyncAccessHandle, url: string): Shelf & { readNow(at: number, size: number): Bytes } {
  let size = handle.getSize();
  const readNow = (at: number, count: number): Bytes => {
    const bytes = new Uint8Array(count);
    const got = handle.read(bytes, { at });
    if (got !== count) throw truncated(url, got, count);
    return bytes;
  };
  return {
    readNow,
    size: () => size,
    read: async (at, count) => readNow(at, count),
    append(block) {
      write(handle, block, size, url);
      size += block.length;
    },
    truncate(to) {
      handle.truncate(to);
      size = to;
    },
    flush: () => handle.flush(),
    close: () => handle.close(),
  };
}

export function memoryShelf(url: string): Shelf {
  let blocks: Blob[] = [];
  let size = 0;
  return {
    size: () => size,
    async read(at, count) {
      const first = Math.floor(at / BLOCK_BYTES);
      const parts = new Blob(blocks.slice(first, Math.ceil((at + count) / BLOCK_BYTES)));
      const start = at - first * BLOCK_BYTES;
      try {
        return new Uint8Array(await parts.slice(start, start + count).arrayBuffer());
      } catch (error) {
        throw noSpace(url, String(error));
      }
    },
    append(block) {
      blocks.push(new Blob([block]));
      size += block.length;
    },
    truncate(to) {
      blocks = blocks.slice(0, Math.ceil(to / BLOCK_BYTES));
      size = to;
    },
    flush: () => undefined,
    close: () => void (blocks = []),
  };
}

function write(handle: FileSystemSyncAccessHandle, bytes: Bytes, at: number, url: string): void {
  let written = 0;
  try {
    written = handle.write(bytes, { at });
  } catch (error) {
    if (!isFull(error)) throw new SourceError(`could not be stored: ${String(error)}`, { where: url });
  }
  if (written !== bytes.length) throw noSpace(url, null);
}

export function isFull(error: unknown): boolean {
  return error instanceof DOMException && error.name === "QuotaExceededError";
}

export async function checkSpace(needed: number, url: string): Promise<void> {
  const { quota, usage } = await navigator.storage.estimate();
  if (quota !== undefined && usage !== undefined && quota - usage < needed) {
    throw noSpace(url, `${needed} bytes are needed, and the browser grants ${Math.max(0, quota - usage)} more`);
  }
}

export function noSpace(url: string, details: string | null): SourceError {
  return new SourceError(`the model does not fit into the browser's storage${details ? `: ${details}` : ""}`, {
    where: url,
    hint: "Delete stored models, free disk space, or load without storing ({ store: false }).",
  });
}
