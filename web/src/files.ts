/**
 * The files' worker: opens a model's files, downloads, keeps and reads them beside the engine's worker, which Python keeps busy for long
 * stretches.  files-client.ts is its other end.
 */

import { type ModelReference, openModel } from "./models.js";
import { serve } from "./rpc.js";
import type { Source } from "./sources.js";

export type OpenedFile = Pick<Source, "name" | "size">;

let sources: Source[] = [];

serve({
  async open(model: ModelReference, store: boolean): Promise<OpenedFile[]> {
    sources = await openModel(model, store);
    return sources.map(({ name, size }) => ({ name, size }));
  },
  read: (file: number, offset: number, size: number) => (sources[file] as Source).read(offset, size),
  download: (file: number) => sources[file]?.download?.(),
  kept: (file: number) => sources[file]?.kept?.(),
  async close(): Promise<void> {
    await Promise.allSettled(sources.map((source) => source.close?.()));
    self.close();
  },
});
