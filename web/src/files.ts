/**
 * The files' worker: opens a model's files, downloads and keeps them beside the engine's worker, which Python keeps busy for long
 * stretches, and reads those that the engine's worker cannot read itself.  files-client.ts is its other end.
 */

import { openModel } from "./models.js";
import type { ModelReference } from "./protocol.js";
import { serve } from "./rpc.js";
import type { Source } from "./sources.js";

export type OpenedFile = Pick<Source, "name" | "size" | "shared">;

let sources: Source[] = [];

serve({
  async open(model: ModelReference, store: boolean): Promise<OpenedFile[]> {
    sources = await openModel(model, store);
    return sources.map(({ name, size, shared }) => ({ name, size, ...(shared && { shared }) }));
  },
  read: (file: number, offset: number, size: number) => (sources[file] as Source).read(offset, size),
  arrived: (file: number, end: number) => sources[file]?.arrived?.(end),
  download: (file: number) => sources[file]?.download?.(),
  kept: (file: number) => sources[file]?.kept?.(),
  async close(): Promise<void> {
    await Promise.allSettled(sources.map((source) => source.close?.()));
    self.close();
  },
});
