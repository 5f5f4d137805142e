/**
 * Streams model files into GPU buffers: runs Program.uploads.  Neighbouring uploads of one file are read together as a window; a few
 * windows are read ahead, and the GPU is waited for every few submits, so memory stays bounded whatever the model's size.  No weight
 * byte enters Python.
 */

import { SourceError } from "./errors.js";
import type { Upload } from "./program.js";
import { encodeLaunches } from "./launch.js";
import type { Replayer } from "./replay.js";
import type { Source } from "./sources.js";

const WINDOW_BYTES = 4 << 20; // read at once, unless one upload alone is larger; also how fine the progress is
const MAX_GAP_BYTES = 64 << 10; // read over a gap rather than start another window
const WINDOWS_AHEAD = 8;
const QUEUED_BYTES = 16 << 20; // handed to the GPU before waiting for as many that were handed over before

interface Window {
  readonly file: number;
  readonly offset: number;
  readonly end: number;
  readonly uploads: readonly Upload[];
}

/** The uploads in file order, gathered into ranges that are read at once. */
export function planWindows(uploads: readonly Upload[]): Window[] {
  const sorted = [...uploads].sort((a, b) => a.file - b.file || a.offset - b.offset);
  const windows: { file: number; offset: number; end: number; uploads: Upload[] }[] = [];
  for (const upload of sorted) {
    const end = upload.offset + upload.size;
    const last = windows.at(-1);
    const joins =
      last !== undefined &&
      last.file === upload.file &&
      upload.offset <= last.end + MAX_GAP_BYTES &&
      end - last.offset <= WINDOW_BYTES;
    if (joins) {
      last.end = Math.max(last.end, end);
      last.uploads.push(upload);
    } else {
      windows.push({ file: upload.file, offset: upload.offset, end, uploads: [upload] });
    }
  }
  return windows;
}

export async function loadWeights(
  replayer: Replayer,
  device: GPUDevice,
  uploads: readonly Upload[],
  sources: readonly Source[],
  onLoad: (loaded: number, total: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const windows = planWindows(uploads);
  for (const source of sources) source.download?.();
  const total = uploads.reduce((sum, upload) => sum + upload.size, 0);
  const reads: Promise<Uint8Array<ArrayBuffer>>[] = [];
  const startRead = (index: number): void => {
    const window = windows[index];
    if (!window) return;
    const read = readWindow(sources, window);
    read.catch(() => undefined); // reported when its turn comes
    reads[index] = read;
  };
  for (let i = 0; i < WINDOWS_AHEAD; i++) startRead(i);
  let loaded = 0;
  let queued = 0;
  let before: Promise<unknown> = Promise.resolve();
  onLoad(0, total);
  for (const [i, window] of windows.entries()) {
    signal?.throwIfAborted();
    startRead(i + WINDOWS_AHEAD);
    const bytes = await (reads[i] as Promise<Uint8Array<ArrayBuffer>>);
    delete reads[i];
    for (const upload of window.uploads) {
      queueUpload(replayer, device, upload, bytes.subarray(upload.offset - window.offset));
      loaded += upload.size;
      queued += upload.size;
      if (queued >= QUEUED_BYTES) {
        await before;
        before = device.queue.onSubmittedWorkDone();
        queued = 0;
      }
    }
    onLoad(loaded, total);
  }
  await Promise.all([device.queue.onSubmittedWorkDone(), ...sources.map((source) => source.kept?.())]);
  signal?.throwIfAborted();
}

async function readWindow(sources: readonly Source[], window: Window): Promise<Uint8Array<ArrayBuffer>> {
  const source = sources[window.file];
  if (!source) throw new SourceError(`the program reads file ${window.file}, but only ${sources.length} were given`);
  return source.read(window.offset, window.end - window.offset);
}

/** `bytes` starts at the upload and may be longer. The staging buffer wants a multiple of 4, zero-padded. */
function queueUpload(replayer: Replayer, device: GPUDevice, upload: Upload, bytes: Uint8Array<ArrayBuffer>): void {
  const whole = upload.size & ~3;
  const staging = replayer.buffer("staging");
  if (whole) device.queue.writeBuffer(staging, 0, bytes, 0, whole);
  if (whole !== upload.size) {
    const tail = new Uint8Array(4);
    tail.set(bytes.subarray(whole, upload.size));
    device.queue.writeBuffer(staging, whole, tail);
  }
  if (upload.params.length) replayer.write("upload_params", 0, new Uint8Array(Uint32Array.from(upload.params).buffer));
  const encoder = device.createCommandEncoder();
  encodeLaunches(encoder, [replayer.prepareLaunch(upload.launch)]);
  device.queue.submit([encoder.finish()]);
}
