/**
 * `fanlight/replay`: the replayer alone, for pages that run Programs without the Python engine.  What it gives is declared here, so that a
 * user's compiler needs no types of WebGPU: those that it has, it uses.
 */

import { openGpu as open } from "./gpu.js";
import { Replayer as OnDevice } from "./replay.js";

export { checkWebGPU } from "./check.js";

/** WebGPU's GPUDevice, where the compiler knows it. */
export type Device = typeof globalThis extends { GPUDevice: { prototype: infer Known } } ? Known : object;

/** A device with all that the page's adapter offers. */
export interface Gpu {
  readonly device: Device;
  readonly info: { readonly vendor: string; readonly architecture: string; readonly device: string; readonly description: string; readonly backend: "webgpu" };
  readonly limits: Readonly<Record<string, number>>;
  readonly features: readonly string[];
}

/** A file of a model: its bytes [offset, offset + size), or as many as fit into memory that is there. */
export interface Source {
  readonly name: string;
  readonly size: number;
  read(offset: number, size: number): Promise<Uint8Array>;
  readInto?(bytes: Uint8Array, offset: number): Promise<void>;
}

export interface LaunchTime {
  readonly kernel: string;
  readonly where: string;
  readonly microseconds: number;
}

/** One Program on a GPU device, which is not its own: several may run there. */
export interface Replayer {
  /** The adapter, its limits and features, as JSON: what a Program is compiled for. */
  describe(): string;
  /** Allocates the buffers, compiles the kernels, writes the constants. json: the Program as `fanlight.compiler` writes it. */
  prepare(json: string | Uint8Array): Promise<void>;
  /** Streams the model's files into the buffers of weights. */
  load(sources: readonly Source[], onLoad: (loaded: number, total: number) => void, signal?: AbortSignal): Promise<void>;
  write(buffer: string, offset: number, data: Uint8Array): void;
  clear(buffer: string, offset: number, size: number): void;
  /** Queues copies between buffers: JSON of pairs, to and from, each with `buffer`, `offset` and `size`. */
  copy(json: string): void;
  /** Queues a step, `count` times on as many records of `inputs`; the ticket is for `result`. */
  submit(stepName: string, inputs: Uint8Array, count?: number, withLogprobs?: boolean): number;
  /** What the step sampled, after each of its runs; then `logprobs` where it was asked for. Closes the ticket. */
  result(ticket: number): Promise<Uint32Array>;
  /** Queues a step with nothing to wait for. */
  run(stepName: string, inputs: Uint8Array | null, count?: number): void;
  /** A buffer's bytes after everything queued so far. */
  read(buffer: string, offset: number, size: number): Promise<Uint8Array>;
  /** Runs one step with a measurement around each launch. */
  timings(stepName: string, inputs: Uint8Array): Promise<LaunchTime[]>;
  /** Frees every buffer; `prepare` may follow. */
  release(): void;
  /** Frees what it has of the GPU device. */
  close(): void;
}

/** Raises NoAdapter, which says why there is none. */
export const openGpu: () => Promise<Gpu> = open;
export const Replayer: new (gpu: Gpu) => Replayer = OnDevice;
