/**
 * The GPU, the files and the tokenizer of a Python that somebody else booted: JupyterLite's, PyScript's, marimo's.  One file, without
 * imports, since it comes as text out of the wheel; fanlight/runtime/javascript.py loads it, into Python's own thread or, where the page
 * forbids that, into a worker, and is its other end.  No engine logic.
 */

import { type Encoder, openEncoder } from "./encoder.js";
import { describeGpu, openGpu as openDevice } from "./gpu.js";
import { openModel } from "./models.js";
import { Notes } from "./notes.js";
import { reader } from "./picture-reader.js";
import type { Pixels } from "./pictures.js";
import type { ModelReference } from "./protocol.js";
import { Replayer } from "./replay.js";
import { serve } from "./rpc.js";
import type { Source } from "./sources.js";

export { Notes, openEncoder, reader };

/** Of which build this is: its Python must be of the same. */
export const build = FANLIGHT_BUILD;

const WORKER = "fanlight replay"; // what fanlight/runtime/javascript.py calls the worker

/** What fanlight.runtime.browser.BrowserAdapter asks, and fanlight.api.browser. */
export interface SharedGpu {
  describe(): string;
  replayer(): Replayer;
  isLost(): Promise<boolean>;
}

export async function openGpu(): Promise<SharedGpu> {
  const gpu = await openDevice();
  let isLost = false;
  void gpu.device.lost.then(() => (isLost = true));
  return { describe: () => describeGpu(gpu), replayer: () => new Replayer(gpu), isLost: async () => isLost };
}

/** The model's files. Downloads are kept where this thread can write. */
export function openSources(model: ModelReference, signal?: AbortSignal): Promise<Source[]> {
  return openModel(model, true, signal);
}

/** As a worker: what it has is known by numbers, which the other end chooses; calls are begun in the order in which they come. */
function serveAsWorker(): void {
  let gpu: SharedGpu;
  const replayers = new Map<number, Replayer>();
  const tickets = new Map<number, number>(); // theirs -> ours
  const loaded = new Map<number, readonly [number, number]>();
  const sources: Source[] = [];
  const encoders: Encoder[] = [];
  const pictures: (Pixels | undefined)[] = [];
  const notes = new Notes();
  const opening = new AbortController();
  const replayer = (which: number): Replayer => replayers.get(which) as Replayer;
  serve({
    async gpu(): Promise<string> {
      gpu = await openGpu();
      return gpu.describe();
    },
    isLost: () => gpu.isLost(),
    notes: () => [notes.version, notes.build],
    note: (method: "read" | "write", name: string, text: string) => notes[method](name, text),
    replayer: (which: number) => void replayers.set(which, gpu.replayer()),
    prepare: (which: number, program: Uint8Array, wait: boolean) => replayer(which).prepare(program, wait),
    prepared: (which: number) => replayer(which).prepared(),
    load: (which: number, files: readonly number[]) =>
      replayer(which).load(files.map((file) => sources[file] as Source), (done, total) => void loaded.set(which, [done, total])),
    loaded: (which: number) => loaded.get(which) ?? [0, 0],
    write: (which: number, buffer: string, offset: number, data: Uint8Array) => replayer(which).write(buffer, offset, data),
    clear: (which: number, buffer: string, offset: number, size: number) => replayer(which).clear(buffer, offset, size),
    copy: (which: number, copies: string) => replayer(which).copy(copies),
    launch: (which: number, launches: string, count: number) => replayer(which).launch(launches, count),
    submit: (which: number, ticket: number, step: string, inputs: Uint8Array, count: number, withLogprobs: boolean) =>
      void tickets.set(ticket, replayer(which).submit(step, inputs, count, withLogprobs)),
    result(which: number, ticket: number): Promise<Uint32Array> {
      const ours = tickets.get(ticket) ?? -1;
      tickets.delete(ticket);
      return replayer(which).result(ours);
    },
    read: (which: number, buffer: string, offset: number, size: number) => replayer(which).read(buffer, offset, size),
    timings: (which: number, step: string, inputs: Uint8Array) => replayer(which).timings(step, inputs),
    close(which: number): void {
      replayer(which).close();
      replayers.delete(which);
    },
    async open(model: ModelReference): Promise<[number, string, number][]> {
      const opened = await openSources(model, opening.signal);
      return opened.map((source) => [sources.push(source) - 1, source.name, source.size]);
    },
    readSource: (file: number, offset: number, size: number) => (sources[file] as Source).read(offset, size),
    download: (file: number) => sources[file]?.download?.(),
    closeSource: (file: number) => sources[file]?.close?.(),
    fetchPicture: (url: string) => reader.fetch(url),
    async openPicture(data: Uint8Array<ArrayBuffer>): Promise<[number, number, number]> {
      const picture = await reader.open(data);
      return [pictures.push(picture) - 1, picture.width, picture.height];
    },
    tilesOf(which: number, plan: string): Promise<Uint8Array> {
      const picture = pictures[which] as Pixels;
      pictures[which] = undefined;
      return reader.tiles(picture, plan);
    },
    encoder: (json: Uint8Array) => encoders.push(openEncoder(json)) - 1,
    renamed: async (which: number, names: string) => encoders.push(await (encoders[which] as Encoder).renamed(names)) - 1,
    encode: (which: number, text: string, addSpecialTokens: boolean) => (encoders[which] as Encoder).encode(text, addSpecialTokens),
    encodePair: (which: number, text: string, pair: string) => (encoders[which] as Encoder).encodePair(text, pair),
  });
  self.postMessage({ id: 0, value: build }); // it runs
}

if ("DedicatedWorkerGlobalScope" in globalThis && self.name === WORKER) serveAsWorker();
