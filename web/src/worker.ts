/**
 * The Web Worker: boots Python, opens the GPU and the models' files, and passes messages between the page and fanlight/api/worker.py.
 * No engine logic: Python decides, this file connects.
 */

import type { PyodideAPI } from "pyodide";
import type { PyCallable, PyProxy } from "pyodide/ffi";
import { dataFromError, EngineClosed, type ErrorData } from "./errors.js";
import { describeGpu, type Gpu, openGpu } from "./gpu.js";
import { askForLogits } from "./logits.js";
import { Opener } from "./opening.js";
import { reader } from "./picture-reader.js";
import type { FromWorker, Progress, ToWorker } from "./protocol.js";
import { bootPython } from "./python.js";
import { Replayer } from "./replay.js";
import { readState, writeState } from "./states.js";

type Load = Extract<ToWorker, { kind: "load" }>;
type Request = Extract<ToWorker, { args: readonly unknown[] }>;
type Glue = Record<Request["kind"] | "load" | "abort" | "credit" | "close", PyCallable> & PyProxy;

/** What fanlight.runtime.browser.BrowserAdapter asks. */
interface SharedGpu {
  describe(): string;
  replayer(): Replayer;
  readonly lost: Promise<unknown>;
}

const loads = new Map<number, Opener>();
let python: Promise<PyodideAPI> | null = null;
let glue: Glue | null = null;
let gpu: Promise<SharedGpu> | null = null;

/** What Python asks of the page. */
const page = { gpu: sharedGpu, states: { read: readState, write: writeState }, processor: askForLogits, pictures: reader };

const post = (message: FromWorker): void => self.postMessage(message);

self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  receive(data).catch((error: unknown) => post({ kind: "error", id: data.id, error: dataFromError(error) }));
});

async function receive(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case "load":
      return load(message);
    case "abort":
      loads.get(message.id)?.first.close();
      glue?.abort(message.id);
      return;
    case "credit":
      return void glue?.credit(message.id, message.count);
    case "close":
      glue?.close();
      return post({ kind: "value", id: message.id, json: "null" });
    default:
      if (!glue) throw new EngineClosed("No model is loaded.");
      return callPython(glue[message.kind], message.id, ...message.args);
  }
}

async function load({ id, model, assets, settings }: Load): Promise<void> {
  const opener = new Opener(assets, model, settings.store !== false);
  loads.set(id, opener);
  try {
    post({ kind: "progress", id, progress: { phase: "runtime", loadedBytes: 0, totalBytes: 0, text: "Starting Python" } });
    python ??= bootPython(assets).then(watched);
    // What is missing is said at once; else it is Python that waits, when it has read the model's description.
    const noGpu = new Promise<never>((_, reject) => sharedGpu().catch(reject));
    const [booted] = await Promise.race([noGpu, Promise.all([python, opener.first.sources()])]);
    opener.first.signal.throwIfAborted();
    glue = booted.pyimport("fanlight.api.worker") as Glue;
    await callPython(glue.load, id, opener, JSON.stringify(pythonSettings(settings)));
  } finally {
    loads.delete(id);
    opener.end();
  }
}

/** Python that dies, of a stack that is full, answers nobody any more: the page is told, and ends this worker. */
function watched(python: PyodideAPI): PyodideAPI {
  const { _api } = python as PyodideAPI & { _api: { on_fatal?: (error: unknown) => void } };
  _api.on_fatal = (error) => {
    const message = `Python ended: ${error instanceof Error ? error.message : String(error)}.`;
    const hint = "What a model's file or a request nests too deeply does that, a chat template for one. Load the model again, or another one.";
    post({ kind: "ended", id: 0, error: new EngineClosed(message, { hint }).toData() });
    for (const kind of ["error", "unhandledrejection"]) self.addEventListener(kind, (event) => event.preventDefault()); // the page knows
  };
  return python;
}

/** One device for all models, until it is lost. */
function sharedGpu(): Promise<SharedGpu> {
  if (!gpu) {
    const opening = (gpu = openGpu().then(shared));
    const forget = (): void => void (gpu = gpu === opening ? null : gpu);
    opening.then(({ lost }) => lost.then(forget), forget);
  }
  return gpu;
}

function shared(gpu: Gpu): SharedGpu {
  return { describe: () => describeGpu(gpu), replayer: () => new Replayer(gpu), lost: gpu.device.lost };
}

/** One of Python's functions that answer by posting; its task is a proxy, which would never be freed by itself. */
async function callPython(target: PyCallable, id: number, ...args: unknown[]): Promise<void> {
  const task = target(id, (kind: string, json: string) => relay(id, kind, json), page, ...args) as PyProxy & PromiseLike<unknown>;
  try {
    await task;
  } finally {
    task.destroy();
  }
}

/** What Python posts, as a message. */
function relay(id: number, kind: string, json: string): void {
  switch (kind) {
    case "progress":
      return post({ kind, id, progress: JSON.parse(json) as Progress });
    case "value":
    case "item":
      return post({ kind, id, json });
    case "end":
      return post({ kind, id });
    case "error":
      return post({ kind, id, error: JSON.parse(json) as ErrorData });
    default:
      throw new Error(`unknown kind '${kind}'`);
  }
}

/** Python's names; `store` is not its business, and what the page did not set is left out. */
function pythonSettings({ store: _, ...settings }: Load["settings"]): Record<string, unknown> {
  const named = Object.entries(settings).map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value] as const);
  return Object.fromEntries(named.filter(([, value]) => value !== undefined));
}
