/** The engine worker's end of files.ts: Sources whose bytes another worker reads. */

import type { OpenedFile } from "./files.js";
import type { ModelReference } from "./models.js";
import { type Ask, connect } from "./rpc.js";
import type { Source } from "./sources.js";

/** The model's files, opened. The worker stays until all are closed and what was downloaded is kept. */
export async function openFiles(assets: URL, model: ModelReference, store: boolean, signal: AbortSignal): Promise<Source[]> {
  const worker = new Worker(new URL("files.js", assets), { type: "module", name: "fanlight files" });
  const ask = connect(worker, signal);
  try {
    const opened = (await ask("open", [model, store])) as readonly OpenedFile[];
    let open = opened.length;
    const close = (): void => {
      if (--open === 0) ask("close").catch(() => undefined);
    };
    return opened.map((file, index) => source(ask, file, index, close));
  } catch (error) {
    worker.terminate();
    throw error;
  }
}

function source(ask: Ask, { name, size }: OpenedFile, file: number, close: () => void): Source {
  return {
    name,
    size,
    read: async (offset, count) => (await ask("read", [file, offset, count])) as Uint8Array<ArrayBuffer>,
    download: () => void ask("download", [file]).catch(() => undefined), // what fails is said by the reads
    kept: async () => void (await ask("kept", [file])),
    close,
  };
}
