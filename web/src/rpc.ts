/** Calls between a worker and one that it started: requests by number, answered in any order; errors keep their class. */

import { dataFromError, type ErrorData, errorFromData, SourceError } from "./errors.js";

type Request = { readonly id: number; readonly name: string; readonly values: readonly unknown[] };
type Reply = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: ErrorData };
type Method = (...values: never[]) => unknown;
export type Ask = (name: string, values?: readonly unknown[]) => Promise<unknown>;

/** In the started worker: answers by these methods. A Uint8Array that is returned is moved, not copied. */
export function serve(methods: Readonly<Record<string, Method>>): void {
  self.addEventListener("message", ({ data: { id, name, values } }: MessageEvent<Request>) => {
    const run = async (): Promise<void> => {
      const value = await (methods[name] as (...values: readonly unknown[]) => unknown)(...values);
      self.postMessage({ id, value } satisfies Reply, { transfer: value instanceof Uint8Array ? [value.buffer] : [] });
    };
    run().catch((error: unknown) => self.postMessage({ id, error: dataFromError(error) } satisfies Reply));
  });
}

/** In the one that started it. An abort ends the worker; that, or a worker that fails, rejects what is open. */
export function connect(worker: Worker, signal?: AbortSignal): Ask {
  const open = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  let nextId = 1;
  const failAll = (error: unknown): void => {
    for (const request of open.values()) request.reject(error);
    open.clear();
  };
  signal?.addEventListener("abort", () => {
    worker.terminate();
    failAll(signal.reason);
  });
  worker.addEventListener("error", (event) => failAll(new SourceError(`a worker failed: ${event.message || "it did not start"}`)));
  worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
    const request = open.get(data.id);
    open.delete(data.id);
    if ("error" in data) request?.reject(errorFromData(data.error));
    else request?.resolve(data.value);
  });
  return (name, values = []) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      open.set(nextId, { resolve, reject });
      worker.postMessage({ id: nextId++, name, values } satisfies Request);
    });
}
