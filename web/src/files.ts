/**
 * The files' worker: opens a model's files, downloads, keeps and reads them beside the engine's worker, which Python keeps busy for long
 * stretches.  files-client.ts is its other end.
 */

import { dataFromError, type ErrorData } from "./errors.js";
import { type ModelReference, openModel } from "./models.js";
import type { Source } from "./sources.js";

export type ToFiles =
  | { readonly kind: "open"; readonly id: number; readonly model: ModelReference; readonly store: boolean }
  | { readonly kind: "read"; readonly id: number; readonly file: number; readonly offset: number; readonly size: number }
  | { readonly kind: "download"; readonly id: number; readonly file: number }
  | { readonly kind: "close"; readonly id: number };

export type OpenedFile = Pick<Source, "name" | "size">;
export type FromFiles =
  | { readonly id: number; readonly value: readonly OpenedFile[] | Uint8Array<ArrayBuffer> | null }
  | { readonly id: number; readonly error: ErrorData };

let sources: Source[] = [];

self.addEventListener("message", ({ data }: MessageEvent<ToFiles>) => void answer(data));

async function answer(asked: ToFiles): Promise<void> {
  try {
    const value = await handle(asked);
    const moved = value instanceof Uint8Array ? [value.buffer] : [];
    self.postMessage({ id: asked.id, value } satisfies FromFiles, { transfer: moved });
  } catch (error) {
    self.postMessage({ id: asked.id, error: dataFromError(error) } satisfies FromFiles);
  }
}

async function handle(asked: ToFiles): Promise<readonly OpenedFile[] | Uint8Array<ArrayBuffer> | null> {
  switch (asked.kind) {
    case "open":
      sources = await openModel(asked.model, asked.store);
      return sources.map(({ name, size }) => ({ name, size }));
    case "read":
      return (sources[asked.file] as Source).read(asked.offset, asked.size);
    case "download":
      sources[asked.file]?.download?.();
      return null;
    case "close":
      await Promise.allSettled(sources.map((source) => source.kept?.()));
      for (const source of sources) source.close?.();
      self.close();
      return null;
  }
}
