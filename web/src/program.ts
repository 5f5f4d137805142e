/** The Program as fanlight/compiler/program.py writes it in JSON: what the replayer runs.  Field names are the Python ones. */

export interface BufferSpec {
  readonly name: string;
  readonly size: number;
  readonly kind: string;
}

export interface KernelSpec {
  readonly name: string;
  readonly wgsl: string;
  readonly access: readonly ("read" | "read_write")[];
  readonly features: readonly string[];
}

export interface Slice {
  readonly buffer: string;
  readonly offset: number;
  readonly size: number;
}

export interface Launch {
  readonly kernel: string;
  readonly bindings: readonly Slice[];
  readonly grid: readonly [number, number, number];
  readonly where: string;
  readonly only_for: string; // the output that alone needs it: left out where a submit does not ask for that
}

export interface Step {
  readonly name: string;
  readonly rows: number;
  readonly samples: number;
  readonly launches: readonly Launch[];
  readonly inputs: readonly string[];
  readonly outputs: readonly Output[];
}

/** What a step leaves from the start of a buffer: `Replayer.read` gives it, until the next step. */
export interface Output {
  readonly name: string;
  readonly buffer: string;
  readonly dtype: "u32" | "f32";
  readonly shape: readonly number[];
}

export interface Upload {
  readonly file: number;
  readonly offset: number;
  readonly size: number;
  readonly params: readonly number[];
  readonly launch: Launch;
}

export interface Constant {
  readonly buffer: string;
  readonly offset: number;
  readonly data: string; // base64
}

export interface Program {
  readonly version: number;
  readonly name: string;
  readonly max_num_seqs: number;
  readonly buffers: readonly BufferSpec[];
  readonly kernels: readonly KernelSpec[];
  readonly steps: readonly Step[];
  readonly uploads: readonly Upload[];
  readonly constants: readonly Constant[];
}

export const FORMAT_VERSION = 4; // fanlight/compiler/program.py
export const MAX_IN_FLIGHT = 16; // fanlight/runtime/device.py
