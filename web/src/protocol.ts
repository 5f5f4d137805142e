/** What page and worker say to each other: one type per message, keyed by `kind`.  Every request has its own id; answers are pushed. */

import type { Assets } from "./assets.js";
import type { ErrorData } from "./errors.js";
import type { MemoryPlan } from "./types.js";

/** How one model is loaded: fanlight.api.load.LoadOptions, and what fanlight.api.worker.load takes besides. */
export interface LoadSettings {
  /** By which requests choose it; its file's unless set. */
  readonly name?: string;
  readonly contextLength?: number;
  readonly maxNumSeqs?: number;
  /** GPU memory for the grammars of answers that run at once; 4 MiB unless set. */
  readonly grammarBytes?: number;
  /** Keep downloaded files on this device; true unless set. */
  readonly store?: boolean;
  /** Of products: "int8" where the adapter multiplies integers faster, or "f32": slower, exact, and what embedding models have unless set. */
  readonly activations?: "int8" | "f32";
  /** How a conversation is written, instead of the model's own way: MLC's words for it; parts are laid over the model's own. */
  readonly convTemplate?: object;
  /** Of keys and values in the cache: "f16" unless set; "f32" takes twice as much, "q8_0" about half, "q4_0" about a quarter. */
  readonly kvDtype?: "f16" | "f32" | "q8_0" | "q4_0";
  /** What becomes of conversations that are longer than the context, where a request does not say: "error" unless set. */
  readonly contextOverflow?: "error" | "drop_oldest" | "attention_sinks";
  /** Sequences that may wait for their turn; what comes then is refused (EngineBusy). */
  readonly maxWaiting?: number;
  /** Find out how the graphics adapter wants kernels cut, at its first large model and while weights load; true unless set. */
  readonly tune?: boolean;
  /** Seconds without a request after which it is unloaded, until it is asked for again; -1, for good, unless set. */
  readonly keepAlive?: number;
}

/** Of the first model: what holds for all of the engine. */
export interface SharedSettings {
  /** Where a model does not fit, unload the one that was not used for longest and does not answer. */
  readonly makesRoom?: boolean;
  /** What all models may take of the GPU's memory together; WebGPU does not tell how much there is. */
  readonly memoryBytes?: number;
}

type Names<T> = Record<keyof T, true>;
const OF_ONE: Names<LoadSettings> = {
  name: true,
  contextLength: true,
  contextOverflow: true,
  convTemplate: true,
  maxNumSeqs: true,
  grammarBytes: true,
  store: true,
  activations: true,
  kvDtype: true,
  maxWaiting: true,
  tune: true,
  keepAlive: true,
};
const OF_ALL: Names<SharedSettings> = { makesRoom: true, memoryBytes: true };

/** The names, where a program needs them. */
export const LOAD_SETTINGS: readonly string[] = Object.keys(OF_ONE);
export const SHARED_SETTINGS: readonly string[] = Object.keys(OF_ALL);

/** Where a model comes from and as whom it is asked for, and who must have signed it. */
export interface Access {
  /** The hub's address: a mirror's, or a company's; huggingface.co unless set. */
  readonly hub?: string;
  /** For gated and private models: sent to the hub alone, kept nowhere. */
  readonly token?: string;
  /** A bundle that `model-signing` made: its address, seen from the model's; or the file. */
  readonly signature?: string | Blob;
  /** In PEM, of who must have made it. Without `signature`, it is model.sig beside the model. */
  readonly publicKey?: string;
}

/** Which model, as it crosses to the worker. */
export type ModelReference = { readonly access?: Access } & (
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "hub"; readonly id: string }
  | { readonly kind: "files"; readonly files: readonly File[] }
  | { readonly kind: "stored"; readonly name: string }
);

export type ToWorker =
  | { readonly kind: "load"; readonly id: number; readonly model: ModelReference; readonly assets: Assets; readonly settings: LoadSettings & SharedSettings & { readonly logitChannel?: string } }
  /** The arguments of fanlight.api.worker's functions. */
  /** again: a seed, where another engine may have to give the same answer once more. */
  | { readonly kind: "handle"; readonly id: number; readonly args: readonly [path: string, body: string, again?: number] }
  | { readonly kind: "unload"; readonly id: number; readonly args: readonly [name: string] }
  | { readonly kind: "save_state"; readonly id: number; readonly args: readonly [name: string, body: string] }
  | { readonly kind: "restore_state"; readonly id: number; readonly args: readonly [saved: string | Blob, model: string | null] }
  | { readonly kind: "abort"; readonly id: number }
  /** So many more items of a stream are wanted. */
  | { readonly kind: "credit"; readonly id: number; readonly count: number }
  | { readonly kind: "close"; readonly id: number };

export interface Progress {
  /** runtime: Python starts. header: the model's description is read. Bytes are counted during weights only. */
  readonly phase: "runtime" | "header" | "compile" | "weights" | "ready";
  readonly loadedBytes: number;
  readonly totalBytes: number;
  readonly text: string;
  /** Once, before any weights are asked for: what the GPU will hold, and with how long a context. */
  readonly memoryPlan?: MemoryPlan;
  readonly contextLength?: number;
}

/** `json` is text that Python wrote; the page parses it, or passes it on as it is. */
export type FromWorker =
  | { readonly kind: "progress"; readonly id: number; readonly progress: Progress }
  | { readonly kind: "value"; readonly id: number; readonly json: string }
  | { readonly kind: "item"; readonly id: number; readonly json: string }
  | { readonly kind: "end"; readonly id: number }
  | { readonly kind: "error"; readonly id: number; readonly error: ErrorData }
  /** Of all that is open: Python is no more. */
  | { readonly kind: "ended"; readonly id: number; readonly error: ErrorData };
