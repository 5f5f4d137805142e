/** The engine worker's end of files.ts: Sources whose bytes another worker reads. */

import { errorFromData, SourceError } from "./errors.js";
import type { FromFiles, OpenedFile, ToFiles } from "./files.js";
import type { ModelReference } from "./models.js";
import type { Source } from "./sources.js";

type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;
type Ask = (message: WithoutId<ToFiles>) => Promise<unknown>;

/** The model's files, opened. The worker stays until all are closed and what was downloaded is kept. */
export async function openFiles(assets: URL, model: ModelReference, store: boolean, signal: AbortSignal): Promise<Source[]> {
  const worker = new Worker(new URL("files.js", assets), { type: "module", name: "fanlight files" });
  const ask = connect(worker, signal);
  try {
    const opened = (await ask({ kind: "open", model, store })) as readonly OpenedFile[];
    let open = opened.length;
    const close = (): void => {
      if (--open === 0) ask({ kind: "close" }).catch(() => undefined);
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
    read: async (offset, count) => (await ask({ kind: "read", file, offset, size: count })) as Uint8Array<ArrayBuffer>,
    download: () => void ask({ kind: "download", file }).catch(() => undefined), // what fails is said by the reads
    close,
  };
}

/** Requests are answered in any order; an abort and a worker that does not start fail all that are open. */
function connect(worker: Worker, signal: AbortSignal): Ask {
  const open = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  let nextId = 1;
  const failAll = (error: unknown): void => {
    for (const request of open.values()) request.reject(error);
    open.clear();
  };
  signal.addEventListener("abort", () => {
    worker.terminate();
    failAll(signal.reason);
  });
  worker.addEventListener("error", (event) => failAll(new SourceError(`the files' worker failed: ${event.message || "it did not start"}`)));
  worker.addEventListener("message", ({ data }: MessageEvent<FromFiles>) => {
    const request = open.get(data.id);
    open.delete(data.id);
    if ("error" in data) request?.reject(errorFromData(data.error));
    else request?.resolve(data.value);
  });
  return (message) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      open.set(nextId, { resolve, reject });
      worker.postMessage({ ...message, id: nextId++ } as ToFiles);
    });
}
