/**
 * Streams model files into GPU buffers: runs Program.uploads.  Neighbouring uploads of one file are read together as a window, straight
 * into a mapped buffer of a short ring where the source can; so memory stays bounded whatever the model's size, and nothing is copied on
 * the way.  No weight byte enters Python.
 */

import { createBuffers } from "./buffers.js";
import { SourceError } from "./errors.js";
import { encodeLaunches, type PreparedLaunch } from "./launch.js";
import type { Launch, Upload } from "./program.js";
import type { Source } from "./sources.js";

const USAGE = { MAP_WRITE: 0x2, COPY_SRC: 0x4 } as const; // GPUBufferUsage
const MAP_WRITE_MODE = 0x2; // GPUMapMode.WRITE
const WINDOW_BYTES = 4 << 20; // read at once, unless one upload alone is larger; also how fine the progress is
const MAX_GAP_BYTES = 64 << 10; // read over a gap rather than start another window
const RING_BUFFERS = 4;
const WINDOWS_AHEAD = 8; // read before their turn, of sources that make new memory for each read

interface Window {
  readonly file: number;
  readonly offset: number;
  readonly end: number;
  readonly uploads: readonly Upload[];
}

/** What uploads need of a prepared Program (replay.ts). */
interface Prepared {
  buffer(name: string): GPUBuffer;
  write(buffer: string, offset: number, data: Uint8Array): void;
  prepareLaunch(launch: Launch): PreparedLaunch;
}

/** A mapped buffer, and when it will be mapped again. */
interface Slot {
  readonly buffer: GPUBuffer;
  mapped: Promise<void>;
}

/** The uploads in file order, gathered into ranges that are read at once. In a range, uploads begin at whole words and all but the last
 * end at them. */
export function planWindows(uploads: readonly Upload[]): Window[] {
  const sorted = [...uploads].sort((a, b) => a.file - b.file || a.offset - b.offset);
  const windows: { file: number; offset: number; end: number; uploads: Upload[] }[] = [];
  for (const upload of sorted) {
    const end = upload.offset + upload.size;
    const last = windows.at(-1);
    const joins =
      last !== undefined &&
      last.file === upload.file &&
      upload.offset >= last.end &&
      upload.offset <= last.end + MAX_GAP_BYTES &&
      (last.end - last.offset) % 4 === 0 &&
      (upload.offset - last.offset) % 4 === 0 &&
      end - last.offset <= WINDOW_BYTES;
    if (joins) {
      last.end = end;
      last.uploads.push(upload);
    } else {
      windows.push({ file: upload.file, offset: upload.offset, end, uploads: [upload] });
    }
  }
  return windows;
}

export async function loadWeights(
  program: Prepared,
  device: GPUDevice,
  uploads: readonly Upload[],
  sources: readonly Source[],
  onLoad: (loaded: number, total: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const windows = planWindows(uploads);
  for (const source of sources) source.download?.();
  const total = uploads.reduce((sum, upload) => sum + upload.size, 0);
  const fill = fillers(windows, sources);
  const ring = await makeRing(device, windows);
  let loaded = 0;
  onLoad(0, total);
  try {
    for (const [i, window] of windows.entries()) {
      const slot = ring[i % ring.length] as Slot;
      await slot.mapped;
      signal?.throwIfAborted();
      const bytes = new Uint8Array(slot.buffer.getMappedRange());
      await fill(i, bytes);
      bytes.fill(0, window.end - window.offset, roundUp(window.end - window.offset));
      slot.buffer.unmap();
      for (const upload of window.uploads) queueUpload(program, device, upload, slot.buffer, upload.offset - window.offset);
      slot.mapped = slot.buffer.mapAsync(MAP_WRITE_MODE);
      slot.mapped.catch(() => undefined); // reported when its turn comes, or by the device
      loaded += window.uploads.reduce((sum, { size }) => sum + size, 0);
      onLoad(loaded, total);
    }
    await Promise.all([device.queue.onSubmittedWorkDone(), ...sources.map((source) => source.kept?.())]);
  } finally {
    for (const { buffer } of ring) buffer.destroy();
  }
  signal?.throwIfAborted();
}

async function makeRing(device: GPUDevice, windows: readonly Window[]): Promise<Slot[]> {
  const size = roundUp(Math.max(4, ...windows.map(({ offset, end }) => end - offset)));
  const usage = USAGE.MAP_WRITE | USAGE.COPY_SRC;
  const wanted = Array.from({ length: Math.min(RING_BUFFERS, windows.length) }, (_, i) => ({ size, usage, mappedAtCreation: true, label: `weights ${i}` }));
  return (await createBuffers(device, wanted)).map((buffer) => ({ buffer, mapped: Promise.resolve() }));
}

/** Fills memory with window `index`. Sources that cannot read into memory that is there are read ahead. */
function fillers(windows: readonly Window[], sources: readonly Source[]): (index: number, bytes: Uint8Array<ArrayBuffer>) => Promise<void> {
  const reads: Promise<Uint8Array<ArrayBuffer>>[] = [];
  let next = 0;
  const readAhead = (until: number): void => {
    for (; next < Math.min(windows.length, until); next++) {
      const { file, offset, end } = windows[next] as Window;
      const source = sourceOf(sources, file);
      if (source.readInto) continue;
      const read = source.read(offset, end - offset);
      read.catch(() => undefined); // reported when its turn comes
      reads[next] = read;
    }
  };
  return async (index, bytes) => {
    readAhead(index + WINDOWS_AHEAD);
    const { file, offset, end } = windows[index] as Window;
    const source = sourceOf(sources, file);
    const read = reads[index];
    if (!read) return source.readInto?.(bytes.subarray(0, end - offset), offset);
    delete reads[index];
    bytes.set(await read);
  };
}

function sourceOf(sources: readonly Source[], file: number): Source {
  const source = sources[file];
  if (!source) throw new SourceError(`the program reads file ${file}, but only ${sources.length} were given`);
  return source;
}

/** The upload lies at `at` of a buffer, padded with zeros to whole words. */
function queueUpload(program: Prepared, device: GPUDevice, upload: Upload, from: GPUBuffer, at: number): void {
  if (upload.params.length) program.write("upload_params", 0, new Uint8Array(Uint32Array.from(upload.params).buffer));
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(from, at, program.buffer("staging"), 0, roundUp(upload.size));
  encodeLaunches(encoder, [program.prepareLaunch(upload.launch)]);
  device.queue.submit([encoder.finish()]);
}

const roundUp = (size: number): number => Math.ceil(size / 4) * 4;
