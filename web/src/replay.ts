/**
 * Runs a Program on the page's GPU: fanlight.runtime.device.Device, method for method.  Everything is made once in `prepare`; a step, or
 * several of one kind, is then one write, one compute pass, one submit (two for a long step), and a copy of `sampled` into a ring of mapped
 * buffers.  Knows no model and no Python.
 */

import { createBuffers } from "./buffers.js";
import { DeviceError, DeviceLost, DoesNotFit, EngineClosed, FanlightError, FormatError, KernelFailed } from "./errors.js";
import { describeGpu, type Gpu } from "./gpu.js";
import { compileKernels, type Kernel } from "./pipelines.js";
import { encodeLaunches, type PreparedLaunch } from "./launch.js";
import { type BufferSpec, FORMAT_VERSION, type Launch, MAX_IN_FLIGHT, type Program, type Slice, type Step } from "./program.js";
import type { Source } from "./sources.js";
import { type LaunchTime, measureLaunches } from "./timings.js";
import { loadWeights } from "./weights.js";

const USAGE = { MAP_READ: 0x1, COPY_SRC: 0x4, COPY_DST: 0x8, STORAGE: 0x80 } as const; // GPUBufferUsage
const MAP_READ_MODE = 0x1; // GPUMapMode.READ
const LOST_WAIT_MS = 2000; // `device.lost` settles a little after the map that it broke

const RECORD_ALIGN = 256; // fanlight/kernels/inputs.py
const LOGPROB_WORDS = 42; // there too: what `logprobs` holds of a sample
const LONG_STEP_ROWS = 64; // whose launches take the GPU longer than they take to encode
const FIRST_LAUNCHES = 12; // of a long step, so that the GPU begins while the others are encoded
const NUDGES = 5; // a millisecond apart, from a little before a long step should be done
const NUDGE_LEAD_MS = 0.5;

interface Ticket {
  readonly step: Step;
  readonly submitted: number; // when; milliseconds of performance.now()
  readonly buffer: GPUBuffer;
  readonly count: number; // runs of the step
  readonly withLogprobs: boolean;
  readonly mapped: Promise<void>;
}

/** One Program on a GPU device, which is not its own: several may run there. What goes wrong with the device is told to all of them. */
export class Replayer {
  readonly gpu: Gpu;
  #device: GPUDevice;
  #program: Program | null = null;
  #buffers = new Map<string, GPUBuffer>();
  #kernels = new Map<string, Kernel>();
  #groups = new Map<string, GPUBindGroup>(); // by kernel and bindings: layers and steps share them
  #steps = new Map<string, readonly PreparedLaunch[]>(); // by name, and where its record begins
  #begun: Promise<void> = Promise.resolve(); // what `load` needs at once of what `prepare` leaves for later
  #completed: Promise<void> = Promise.resolve(); // all of it
  #ring: GPUBuffer[] = [];
  #tickets = new Map<number, Ticket>();
  #nextTicket = 1;
  #lastDone = 0; // when the last result came
  #took = new Map<Step, number>(); // milliseconds, the last time: of long steps
  #fault: FanlightError | null = null;
  #closing = new AbortController();

  constructor(gpu: Gpu) {
    this.gpu = gpu;
    this.#device = gpu.device;
    void gpu.device.lost.then((info) => {
      this.#fault ??= new DeviceLost(`The graphics adapter went away: ${info.message || info.reason}.`, {
        hint: "Load the model again. If it happens again, close other programs that use the graphics card.",
      });
    });
    const onError = (event: GPUUncapturedErrorEvent): void => void (this.#fault ??= faultFromGpu(event.error));
    gpu.device.addEventListener("uncapturederror", onError, { signal: this.#closing.signal });
  }

  describe(): string {
    return describeGpu(this.gpu);
  }

  /**
   * Allocate the buffers, compile the pipelines, make the bind groups, write the constants. json: its text, or that in UTF-8. Without
   * `wait` all that goes on after the return; `load` waits for what it needs, and for the rest at its end.
   */
  async prepare(json: string | Uint8Array, wait = true): Promise<void> {
    this.#check();
    const program = JSON.parse(typeof json === "string" ? json : new TextDecoder().decode(json)) as Program;
    if (program.version !== FORMAT_VERSION) {
      throw new FormatError(`program format ${program.version}, this Fanlight reads ${FORMAT_VERSION}`, { hint: "Compile it again." });
    }
    await this.#completed.catch(() => undefined);
    this.#check();
    this.release();
    this.#program = program;
    const early = new Set(program.uploads.map((upload) => upload.launch.kernel));
    const first = compileKernels(this.#device, program.kernels.filter((kernel) => early.has(kernel.name)));
    const rest = compileKernels(this.#device, program.kernels.filter((kernel) => !early.has(kernel.name)));
    rest.catch(() => undefined); // reported by #complete
    this.#begun = this.#begin(program, first);
    this.#completed = this.#begun.then(() => this.#complete(program, rest));
    this.#completed.catch(() => undefined); // reported where it is waited for
    if (wait) await this.prepared();
    this.#check();
  }

  /** Waits for what `prepare` left for later. */
  async prepared(): Promise<void> {
    await this.#completed;
    this.#check();
  }

  async #begin(program: Program, first: Promise<ReadonlyMap<string, Kernel>>): Promise<void> {
    const [kernels] = await Promise.all([first, this.#allocate(program.buffers)]);
    this.#check();
    this.#kernels = new Map(kernels);
    await this.#makeRing();
    for (const { buffer, offset, data } of program.constants) this.write(buffer, offset, decodeBase64(data));
  }

  async #complete(program: Program, rest: Promise<ReadonlyMap<string, Kernel>>): Promise<void> {
    const compiled = await rest;
    this.#check();
    for (const [name, kernel] of compiled) this.#kernels.set(name, kernel);
    this.#device.pushErrorScope("validation");
    for (const step of program.steps) {
      this.#runOf(step.name, 0, 0);
    }
    const error = await this.#device.popErrorScope();
    if (error) throw new KernelFailed(error.message, { where: `program ${program.name}` });
  }

  /** Run the program's uploads: stream the model files into the weight buffers. */
  async load(sources: readonly Source[], onLoad: (loaded: number, total: number) => void, signal?: AbortSignal): Promise<void> {
    if (!this.#program) throw new DeviceError("load before prepare");
    try {
      await this.#begun;
      await Promise.all([loadWeights(this, this.#device, this.#program.uploads, sources, onLoad, signal), this.#completed]);
    } catch (error) {
      if (error instanceof DOMException && !signal?.aborted) await this.#lost();
      this.#check();
      throw error;
    }
    this.#check();
  }

  write(buffer: string, offset: number, data: Uint8Array): void {
    this.#device.queue.writeBuffer(this.buffer(buffer), offset, data);
  }

  clear(buffer: string, offset: number, size: number): void {
    const encoder = this.#device.createCommandEncoder();
    encoder.clearBuffer(this.buffer(buffer), offset, size);
    this.#device.queue.submit([encoder.finish()]);
  }

  /** Queue copies between buffers: JSON of [Slice, Slice][], to and from. */
  copy(json: string): void {
    this.#check();
    const encoder = this.#device.createCommandEncoder();
    for (const [to, from] of JSON.parse(json) as [Slice, Slice][]) {
      encoder.copyBufferToBuffer(this.buffer(from.buffer), from.offset, this.buffer(to.buffer), to.offset, to.size);
    }
    this.#device.queue.submit([encoder.finish()]);
  }

  /** Queue a step, `count` times on as many records of `inputs`, with what makes `logprobs` or without; the ticket is for `result`. */
  submit(stepName: string, inputs: Uint8Array, count = 1, withLogprobs = false): number {
    const readback = this.#ring.pop();
    if (!readback) {
      this.#check();
      throw new DeviceError(`more than ${MAX_IN_FLIGHT} steps in flight`);
    }
    this.run(stepName, inputs, count, readback, withLogprobs);
    const mapped = readback.mapAsync(MAP_READ_MODE, 0, this.#resultBytes(withLogprobs));
    mapped.catch(() => undefined); // reported by `result`
    const ticket = this.#nextTicket++;
    this.#tickets.set(ticket, { step: this.#step(stepName), submitted: performance.now(), buffer: readback, count, withLogprobs, mapped });
    return ticket;
  }

  /** Queue a step with nothing to wait for, except a copy of `sampled` to `readback`. */
  run(stepName: string, inputs: Uint8Array | null, count = 1, readback?: GPUBuffer, withLogprobs = false): void {
    this.#check();
    const recordBytes = inputs ? inputs.byteLength / count : 0;
    const launches = Array.from({ length: count }, (_, i) => this.#runOf(stepName, i, recordBytes, withLogprobs)).flat();
    if (inputs) this.write("inputs", 0, inputs);
    const first = this.#step(stepName).rows > LONG_STEP_ROWS ? FIRST_LAUNCHES : 0;
    if (first) this.#submit(launches.slice(0, first));
    this.#submit(launches.slice(first), readback, withLogprobs);
  }

  #submit(launches: readonly PreparedLaunch[], readback?: GPUBuffer, withLogprobs = false): void {
    const encoder = this.#device.createCommandEncoder();
    encodeLaunches(encoder, launches);
    const sampled = this.#buffers.get("sampled");
    if (readback && sampled) {
      encoder.copyBufferToBuffer(sampled, 0, readback, 0, sampled.size);
      const logprobs = withLogprobs ? this.buffer("logprobs") : null;
      if (logprobs) encoder.copyBufferToBuffer(logprobs, 0, readback, sampled.size, logprobs.size);
    }
    this.#device.queue.submit([encoder.finish()]);
  }

  /** Queue launches outside any step (JSON of Launch[]), all of them `count` times. */
  launch(json: string, count: number): void {
    this.#check();
    const launches = (JSON.parse(json) as Launch[]).map((launch) => this.prepareLaunch(launch));
    this.#submit(Array.from({ length: count }, () => launches).flat());
  }

  /** `sampled` as it was after each run of that step, one after the other, then `logprobs` where it was asked for. Closes the ticket. */
  async result(ticket: number): Promise<Uint32Array<ArrayBuffer>> {
    const open = this.#tickets.get(ticket);
    if (!open) {
      this.#check();
      throw new DeviceError(`no open ticket ${ticket}`);
    }
    this.#tickets.delete(ticket);
    const bytes = await this.#onTime(open);
    open.buffer.unmap();
    if (this.#fault) open.buffer.destroy();
    this.#check();
    this.#ring.push(open.buffer);
    const places = [{ ...this.#record("sampled"), at: 0 }];
    if (open.withLogprobs) places.push({ ...this.#record("logprobs"), at: this.buffer("sampled").size });
    const found = places.flatMap(({ length, stride, at }) =>
      Array.from({ length: open.count }, (_, i) => new Uint32Array(bytes, at + i * stride, length)),
    );
    const words = new Uint32Array(found.reduce((sum, part) => sum + part.length, 0));
    let end = 0;
    for (const part of found) {
      words.set(part, end);
      end += part.length;
    }
    return words;
  }

  /**
   * The ticket's bytes. Chromium looks whether the GPU is done every 2 ms, or when something is submitted: so an empty submit is made, a few
   * times, about when a long step should be done (docs/log.md).
   */
  async #onTime({ step, submitted, buffer, mapped, withLogprobs }: Ticket): Promise<ArrayBuffer> {
    const began = Math.max(submitted, this.#lastDone);
    const took = this.#took.get(step);
    let left = NUDGES;
    const nudge = (): void => {
      this.#device.queue.submit([]);
      if (--left) timer = setTimeout(nudge, 1);
    };
    let timer = took === undefined ? undefined : setTimeout(nudge, began + took - NUDGE_LEAD_MS - performance.now());
    try {
      return await this.#mapped(buffer, mapped, this.#resultBytes(withLogprobs));
    } finally {
      clearTimeout(timer);
      this.#lastDone = performance.now();
      if (step.rows > LONG_STEP_ROWS) this.#took.set(step, this.#lastDone - began);
    }
  }

  /** The bytes after everything queued so far: for tests and tools. */
  async read(buffer: string, offset: number, size: number): Promise<Uint8Array<ArrayBuffer>> {
    this.#check();
    const readback = this.#device.createBuffer({ size, usage: USAGE.MAP_READ | USAGE.COPY_DST, label: "read" });
    try {
      const encoder = this.#device.createCommandEncoder();
      encoder.copyBufferToBuffer(this.buffer(buffer), offset, readback, 0, size);
      this.#device.queue.submit([encoder.finish()]);
      const bytes = new Uint8Array(await this.#mapped(readback, readback.mapAsync(MAP_READ_MODE)));
      this.#check();
      return bytes;
    } finally {
      readback.destroy();
    }
  }

  /** Run one step with a measurement around each launch. */
  async timings(stepName: string, inputs: Uint8Array): Promise<LaunchTime[]> {
    this.#check();
    this.write("inputs", 0, inputs);
    const times = await measureLaunches(this.#device, this.#runOf(stepName, 0, 0));
    this.#check();
    return times;
  }

  /** Frees what it has of the GPU device. */
  close(): void {
    this.#fault ??= new EngineClosed("The device was closed.");
    this.#closing.abort();
    this.release();
  }

  buffer(name: string): GPUBuffer {
    const found = this.#buffers.get(name);
    if (!found) throw new KernelFailed(`the program has no buffer '${name}'`);
    return found;
  }

  prepareLaunch(launch: Launch): PreparedLaunch {
    const kernel = this.#kernels.get(launch.kernel);
    if (!kernel) throw new KernelFailed(`the program has no kernel '${launch.kernel}'`, { where: launch.where });
    const key = [launch.kernel, ...launch.bindings.map((b) => `${b.buffer}:${b.offset}:${b.size}`)].join("|");
    let group = this.#groups.get(key);
    if (!group) {
      group = this.#device.createBindGroup({
        label: `${launch.kernel} ${launch.where}`,
        layout: kernel.layout,
        entries: launch.bindings.map(({ buffer, offset, size }, binding) => ({
          binding,
          resource: { buffer: this.buffer(buffer), offset, size },
        })),
      });
      this.#groups.set(key, group);
    }
    return { pipeline: kernel.pipeline, group, grid: launch.grid, kernel: launch.kernel, where: launch.where };
  }

  async #allocate(specs: readonly BufferSpec[]): Promise<void> {
    const usage = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST;
    const buffers = await this.#create(specs.map(({ name, size }) => ({ size, usage, label: name })));
    specs.forEach(({ name }, i) => this.#buffers.set(name, buffers[i] as GPUBuffer));
  }

  async #makeRing(): Promise<void> {
    if (!this.#buffers.has("sampled")) return; // a program of one kernel, in a test
    const [size, usage] = [this.#resultBytes(this.#buffers.has("logprobs")), USAGE.MAP_READ | USAGE.COPY_DST];
    this.#ring = await this.#create(Array.from({ length: MAX_IN_FLIGHT }, (_, i) => ({ size, usage, label: `sampled ${i}` })));
  }

  /** Nothing is left of them where this was closed meanwhile. */
  async #create(wanted: readonly GPUBufferDescriptor[]): Promise<GPUBuffer[]> {
    const made = await createBuffers(this.#device, wanted);
    if (this.#fault) for (const buffer of made) buffer.destroy();
    this.#check();
    return made;
  }

  #step(name: string): Step {
    const found = this.#program?.steps.find((step) => step.name === name);
    if (!found) throw new DeviceError(`the program has no step '${name}'`);
    return found;
  }

  /** The step's launches on the i-th record of `inputs`, leaving what they give in the i-th of `sampled` and `logprobs`. */
  #runOf(name: string, i: number, recordBytes: number, withLogprobs = false): readonly PreparedLaunch[] {
    const key = `${name} ${i * recordBytes} ${withLogprobs}`;
    let launches = this.#steps.get(key);
    if (!launches) {
      const [sampled, logprobs] = [i * this.#record("sampled").stride, i * this.#record("logprobs").stride];
      const asked = this.#step(name).launches.filter((launch) => !launch.only_for || withLogprobs);
      launches = asked.map((launch) => this.prepareLaunch(moved(launch, { inputs: i * recordBytes, sampled, logprobs })));
      this.#steps.set(key, launches);
    }
    return launches;
  }

  /** What one run leaves in a buffer of results: how many words, and bytes from one run's to the next one's. */
  #record(name: "sampled" | "logprobs"): { length: number; stride: number } {
    const length = (this.#program?.max_num_seqs ?? 0) * (name === "logprobs" ? LOGPROB_WORDS : 1);
    return { length, stride: Math.ceil((4 * length) / RECORD_ALIGN) * RECORD_ALIGN };
  }

  #resultBytes(withLogprobs: boolean): number {
    return this.buffer("sampled").size + (withLogprobs ? this.buffer("logprobs").size : 0);
  }

  /** A copy of the buffer's start once it is mapped. A device that is lost may unmap it even then. */
  async #mapped(buffer: GPUBuffer, mapping: Promise<void>, size = buffer.size): Promise<ArrayBuffer> {
    try {
      await mapping;
      return buffer.getMappedRange(0, size).slice(0);
    } catch (error) {
      await this.#lost();
      this.#check();
      throw new DeviceError(`reading back from the GPU failed: ${String(error)}`);
    }
  }

  /** Waits until a map that failed can be told from a device that is lost. */
  async #lost(): Promise<void> {
    await Promise.race([this.#device.lost, new Promise((resolve) => setTimeout(resolve, LOST_WAIT_MS))]);
  }

  #check(): void {
    if (this.#fault) throw this.#fault;
  }

  /** Frees every buffer; `prepare` may follow. */
  release(): void {
    for (const buffer of [...this.#buffers.values(), ...this.#ring, ...[...this.#tickets.values()].map((t) => t.buffer)]) {
      buffer.destroy();
    }
    this.#buffers.clear();
    this.#kernels.clear();
    this.#groups.clear();
    this.#steps.clear();
    this.#took.clear();
    this.#tickets.clear();
    this.#ring = [];
  }
}

/** The launch on later parts of some buffers, so many bytes on. */
function moved(launch: Launch, by: Readonly<Record<string, number>>): Launch {
  const bindings = launch.bindings.map(({ buffer, offset, size }) => {
    const shift = by[buffer] ?? 0;
    return { buffer, offset: offset + shift, size: size - shift };
  });
  return { ...launch, bindings };
}

function faultFromGpu(error: GPUError): FanlightError {
  return error instanceof GPUOutOfMemoryError ? new DoesNotFit(error.message) : new KernelFailed(error.message);
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
