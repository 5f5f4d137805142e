/** The engine worker's end of files.ts: Sources that another worker opens and downloads. */

import { type Assets, startWorker } from "./assets.js";
import type { OpenedFile } from "./files.js";
import type { ModelReference } from "./protocol.js";
import { openShared } from "./opfs.js";
import { type Ask, connect } from "./rpc.js";
import { handleSource, type Shared, type Source } from "./sources.js";
import { openStore } from "./storage.js";

/** The model's files, opened. The worker stays until all are closed and what was downloaded is kept. */
export async function openFiles(assets: Assets, model: ModelReference, store: boolean, signal: AbortSignal): Promise<Source[]> {
  const worker = startWorker(assets.files, "fanlight files");
  const ask = connect(worker, signal);
  try {
    const opened = (await ask("open", [model, store])) as readonly OpenedFile[];
    let open = opened.length;
    const close = (): void => {
      if (--open === 0) ask("close").catch(() => undefined);
    };
    return await Promise.all(opened.map((file, index) => openSource(ask, file, index, close)));
  } catch (error) {
    worker.terminate();
    throw error;
  }
}

/** Read here where the browser lets two workers share a file; else the other worker reads. */
async function openSource(ask: Ask, { name, size, shared }: OpenedFile, file: number, close: () => void): Promise<Source> {
  const there: Source = {
    name,
    size,
    read: async (offset, count) => (await ask("read", [file, offset, count])) as Uint8Array<ArrayBuffer>,
    arrived: async (end) => (await ask("arrived", [file, end])) as boolean,
  };
  const here = shared && (await openHere(shared, there));
  return {
    ...there,
    ...here,
    download: () => void ask("download", [file]).catch(() => undefined), // what fails is said by the reads
    kept: async () => void (await ask("kept", [file])),
    close() {
      void here?.close?.();
      close();
    },
  };
}

async function openHere({ name, mode }: Shared, there: Source): Promise<Source | null> {
  const store = await openStore();
  const handle = store && (await openShared(store, name, mode));
  return handle && handleSource(handle, there.name, there.size, mode === "read-only" ? undefined : there);
}
