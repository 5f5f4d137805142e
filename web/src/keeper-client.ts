/** The files' worker's end of keeper.ts. */

import { connect } from "./rpc.js";
import type { Store } from "./storage.js";

export interface KeptFile {
  readonly size: number;
  truncate(size: number): Promise<void>;
  /** How many bytes were written, 0 where there is no more room; text: why they were not. */
  write(bytes: Uint8Array<ArrayBuffer>, at: number): Promise<number | string>;
  read(at: number, size: number): Promise<Uint8Array<ArrayBuffer>>;
  flush(): Promise<void>;
  close(): void;
}

/** Null if another tab is writing the file. */
export async function openKept(store: Store, name: string): Promise<KeptFile | null> {
  const worker = new Worker(new URL("keeper.js", import.meta.url), { type: "module", name: "fanlight keeper" });
  const ask = connect(worker);
  const size = (await ask("open", [store, name])) as number | null;
  if (size === null) {
    worker.terminate();
    return null;
  }
  return {
    size,
    truncate: async (to) => void (await ask("truncate", [to])),
    write: async (bytes, at) => (await ask("write", [bytes, at], [bytes.buffer])) as number | string,
    read: async (at, count) => (await ask("read", [at, count])) as Uint8Array<ArrayBuffer>,
    flush: async () => void (await ask("flush")),
    close: () => void ask("close").catch(() => undefined),
  };
}
