/**
 * The Web Worker: boots Python, opens the GPU and the model's files, and passes messages between the page and fanlight/api/worker.py.
 * No engine logic: Python decides, this file connects.
 */

import type { PyodideAPI } from "pyodide";
import type { PyCallable, PyProxy } from "pyodide/ffi";
import { dataFromError, EngineClosed, type ErrorData } from "./errors.js";
import { type Gpu, openGpu } from "./gpu.js";
import { openFiles } from "./files-client.js";
import { Notes } from "./notes.js";
import type { FromWorker, LoadSettings, Progress, ToWorker } from "./protocol.js";
import { bootPython } from "./python.js";
import { Replayer } from "./replay.js";
import { type Ask, connect } from "./rpc.js";
import type { Source } from "./sources.js";

type Load = Extract<ToWorker, { kind: "load" }>;
type Call = Extract<ToWorker, { kind: "call" }>;

/** What one engine has here, besides what Python has. */
interface Held {
  replayer?: Replayer;
  tokenizer?: Worker;
}
type Glue = Record<"load" | "handle" | "abort" | "close", PyCallable> & PyProxy;

const ASSETS = new URL("./", import.meta.url);
const loads = new Map<number, AbortController>();
let python: Promise<PyodideAPI> | null = null;
let glue: Glue | null = null;
let gpu: Promise<Gpu> | null = null;
const engines = new Map<number, Held>();

const post = (message: FromWorker): void => self.postMessage(message);
const postError = (id: number, error: unknown): void => post({ kind: "error", id, error: dataFromError(error) });

self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  receive(data).catch((error: unknown) => postError(data.id, error));
});

async function receive(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case "load":
      return load(message);
    case "call":
      return call(message);
    case "abort":
      loads.get(message.id)?.abort();
      glue?.abort(message.id);
      return;
    case "close":
      close(message.engine);
      return post({ kind: "value", id: message.id, json: "null" });
  }
}

async function load({ id, engine, model, settings }: Load): Promise<void> {
  const aborter = new AbortController();
  const { signal } = aborter;
  const held: Held = {};
  const opening = sharedGpu().then((opened) => (held.replayer = new Replayer(opened)));
  let isLoaded = false;
  loads.set(id, aborter);
  engines.set(engine, held);
  let sources: Source[] = [];
  const report = (phase: Progress["phase"], text: string): void =>
    post({ kind: "progress", id, progress: { phase, loadedBytes: 0, totalBytes: 0, text } });
  try {
    report("runtime", "Starting Python");
    python ??= bootPython(ASSETS, FANLIGHT_BUILD);
    // What is missing is said at once; else it is Python that waits, when it has read the model's description.
    const noGpu = new Promise<never>((_, reject) => opening.catch(reject));
    const files = openFiles(ASSETS, model, settings.store !== false, signal);
    const [booted] = await Promise.race([noGpu, Promise.all([python, files.then((opened) => (sources = opened))])]);
    signal.throwIfAborted();
    glue = booted.pyimport("fanlight.api.worker") as Glue;
    const options = JSON.stringify(pythonOptions(settings));
    const notes = settings.store === false ? null : new Notes();
    const post = (kind: string, json: string): void => {
      isLoaded ||= kind === "value";
      relay(id, kind, json);
    };
    await callPython(glue.load, engine, opening, sources, options, encoderMaker(held), post, notes);
  } finally {
    loads.delete(id);
    if (!isLoaded || signal.aborted) opening.then(() => close(engine), () => close(engine));
    for (const source of sources) source.close?.();
  }
}

/** One device for all engines, until it is lost. */
function sharedGpu(): Promise<Gpu> {
  if (!gpu) {
    const opening = (gpu = openGpu());
    const forget = (): void => void (gpu = gpu === opening ? null : gpu);
    opening.then(({ device }) => device.lost.then(forget), forget);
  }
  return gpu;
}

/** Ends an engine, also while it loads. */
function close(engine: number): void {
  glue?.close(engine);
  const held = engines.get(engine);
  held?.replayer?.close();
  held?.tokenizer?.terminate();
  engines.delete(engine);
}

async function call({ id, engine, path, body }: Call): Promise<void> {
  if (!glue) throw new EngineClosed("No model is loaded.");
  await callPython(glue.handle, engine, id, path, body, (kind: string, json: string) => relay(id, kind, json));
}

/** The result of one of Python's coroutine functions; its task is a proxy, which would never be freed by itself. */
async function callPython(target: PyCallable, ...args: unknown[]): Promise<void> {
  const task = target(...args) as PyProxy & PromiseLike<unknown>;
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

/** Python's names; what the page did not set is left out. */
function pythonOptions(settings: LoadSettings): Record<string, unknown> {
  const { contextLength, maxNumSeqs, grammarBytes, tune, activations, kvDtype, contextOverflow, maxWaiting } = settings;
  const named = {
    context_length: contextLength,
    max_num_seqs: maxNumSeqs,
    grammar_bytes: grammarBytes,
    tune,
    activations,
    kv_dtype: kvDtype,
    context_overflow: contextOverflow,
    max_waiting: maxWaiting,
  };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
}

/** What fanlight.text.tokenizer.BrowserEncoder asks. */
interface Encoder {
  encode(text: string, addSpecialTokens: boolean): Promise<unknown>;
  encodePair(text: string, pair: string): Promise<unknown>;
  renamed(names: string): Promise<Encoder>;
}

const ENCODING_MS = 60_000; // a split pattern of a hostile file can take for ever

/** From a tokenizer.json, in UTF-8. A worker that takes too long for a text is ended, and another one started. */
function encoderMaker(held: Held): (tokenizerJson: Uint8Array) => Encoder {
  return (tokenizerJson) => {
    const renames: string[] = [];
    const start = (): Ask => {
      held.tokenizer = new Worker(new URL("tokenizer.js", ASSETS), { type: "module", name: "fanlight tokenizer" });
      const ask = connect(held.tokenizer);
      const opened = renames.reduce((before, names) => before.then(() => ask("renamed", [names])), ask("open", [tokenizerJson]));
      opened.catch(() => undefined); // reported by the first `encode`
      return (name, values) => opened.then(() => ask(name, values));
    };
    let ask = start();
    const inTime = async (name: string, values: readonly unknown[]): Promise<unknown> => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          held.tokenizer?.terminate();
          ask = start();
          reject(new Error(`it takes more than ${ENCODING_MS / 1000} s`));
        }, ENCODING_MS);
      });
      return Promise.race([ask(name, values), late]).finally(() => clearTimeout(timer));
    };
    const encoder = (which: number): Encoder => ({
      encode: (text, addSpecialTokens) => inTime("encode", [text, addSpecialTokens, which]),
      encodePair: (text, pair) => inTime("encodePair", [text, pair]),
      renamed: async (names) => {
        const made = (await inTime("renamed", [names])) as number;
        renames.push(names);
        return encoder(made);
      },
    });
    return encoder(0);
  };
}
