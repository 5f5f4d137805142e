/**
 * A file that is read while it is downloaded to the store: bytes go from the network to OPFS, and readers wait until theirs are there.  An
 * interrupted download goes on where it stopped, in this session or a later one.  In a worker only.
 */

import { SourceError } from "./errors.js";
import { openShared, openToWrite } from "./opfs.js";
import { checkRange, type RemoteSource, request, type Source, truncated } from "./sources.js";
import { binName, readRecord, type Store, writeRecord } from "./storage.js";

const PIECE_BYTES = 4 << 20; // of a request
const PIECES_AT_ONCE = 6;
const UNASKED_BYTES = 256 << 20; // what may be downloaded before `download` is called: the model may yet turn out not to fit
const MAX_ATTEMPTS = 5; // at a piece
const STALL_MS = 120_000; // a piece that takes so long is asked for again

type Bytes = Uint8Array<ArrayBuffer>;

interface Waiter {
  readonly end: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** `remote`, kept in the store as it is downloaded. Null if another tab is writing the same file. */
export async function openDownload(store: Store, remote: RemoteSource, signal?: AbortSignal): Promise<Source | null> {
  const name = await binName(remote.url);
  const unlock = await lock(name);
  if (!unlock) return null;
  const shared = await openShared(store, name, "readwrite-unsafe");
  const handle = shared ?? (await openToWrite(store, name));
  const record = await readRecord(store, remote.url);
  const isSame = record !== null && record.size === remote.size && record.etag === remote.etag && handle.getSize() <= remote.size;
  if (!isSame) handle.truncate(0);
  await writeRecord(store, { url: remote.url, size: remote.size, etag: remote.etag, complete: false });
  const source = downloadSource(store, remote, handle, unlock, signal);
  return shared ? { ...source, shared: { name, mode: "readwrite-unsafe" } } : source;
}

/** Held by one worker of this site at a time. Resolves with what gives it back, or null if another has it. */
function lock(name: string): Promise<(() => void) | null> {
  return new Promise((resolve, reject) => {
    const held = navigator.locks.request(`fanlight ${name}`, { ifAvailable: true }, (lock) =>
      lock ? new Promise<void>((unlock) => resolve(unlock)) : resolve(null),
    );
    held.catch(reject);
  });
}

/** What the handle has from the start is kept. */
function downloadSource(
  store: Store,
  remote: RemoteSource,
  handle: FileSystemSyncAccessHandle,
  unlock: () => void,
  signal?: AbortSignal,
): Source {
  let have = handle.getSize();
  let started: Promise<void> | null = null;
  let sealed: Promise<void> | null = null; // flushed to the disk, and recorded
  let isClosed = false;
  const waiters = new Set<Waiter>();
  const isSmall = !/\.(gguf|safetensors)$/i.test(remote.name); // a JSON file: fetched once, whole
  let isWanted = false;
  let want = (): void => undefined;
  const wanted = new Promise<void>((resolve) => (want = resolve)).then(() => (isWanted = true));

  const checkOpen = (): void => {
    if (isClosed) throw new DOMException("The source was closed.", "AbortError");
  };
  const keep = (piece: Bytes): void => {
    checkOpen();
    write(handle, piece, have, remote.url);
    have += piece.length;
    for (const waiter of waiters) {
      if (waiter.end > have) continue;
      waiters.delete(waiter);
      waiter.resolve();
    }
  };
  const fetchAll = async (): Promise<void> => {
    await checkSpace(remote.size - have, remote.url);
    const coming: Promise<Bytes>[] = [];
    const free: ArrayBuffer[] = []; // memory of pieces that are written
    for (let next = have; have < remote.size; ) {
      while (next < remote.size && coming.length < PIECES_AT_ONCE && (next < UNASKED_BYTES || isWanted)) {
        const end = Math.min(remote.size, next + PIECE_BYTES);
        const piece = fetchPiece(remote, next, end, free.pop() ?? new ArrayBuffer(PIECE_BYTES), signal);
        piece.catch(() => undefined); // reported in its turn
        coming.push(piece);
        next = end;
      }
      const piece = await coming.shift();
      if (!piece) {
        await wanted;
        checkOpen();
        continue;
      }
      keep(piece);
      free.push(piece.buffer);
    }
  };
  const seal = async (): Promise<void> => {
    handle.flush();
    await writeRecord(store, { url: remote.url, size: remote.size, etag: remote.etag, complete: true });
  };
  const start = (): void => {
    started ??= fetchAll();
    sealed ??= started.then(seal);
    sealed.catch(() => undefined); // an unsealed file is taken up again
    started.catch((error: unknown) => {
      for (const waiter of waiters) waiter.reject(error);
      waiters.clear();
    });
  };
  const source: Source = {
    name: remote.name,
    size: remote.size,
    download() {
      want();
      start();
    },
    kept: async () => started ?? undefined,
    async arrived(end) {
      if (isSmall) source.download?.();
      if (end > UNASKED_BYTES && !isWanted) return end <= have;
      if (end > have) {
        start();
        await Promise.race([started, new Promise<void>((resolve, reject) => waiters.add({ end, resolve, reject }))]);
      }
      return true;
    },
    async read(offset, size) {
      signal?.throwIfAborted();
      checkRange(source, offset, size);
      if (!(await source.arrived?.(offset + size))) return remote.read(offset, size);
      const bytes = new Uint8Array(size);
      const got = handle.read(bytes, { at: offset });
      if (got !== size) throw truncated(remote.url, got, size);
      return bytes;
    },
    async close() {
      if (have < remote.size) isClosed = true;
      want(); // whoever waits for it goes on, and ends
      await sealed?.catch(() => undefined);
      handle.close();
      unlock();
    },
  };
  if (!isSmall) start();
  return source;
}

/** Bytes [start, end) of the file; asked for again, whole, when the connection breaks or stalls. memory: to be used if it can. */
async function fetchPiece(remote: RemoteSource, start: number, end: number, memory: ArrayBuffer, signal?: AbortSignal): Promise<Bytes> {
  for (let attempt = 1; ; attempt++) {
    const room = memory.byteLength >= end - start ? memory : new ArrayBuffer(PIECE_BYTES); // a connection that broke took it along
    const piece = await fetchOnce(remote, start, end, room, signal);
    if (!(piece instanceof SourceError)) return piece;
    signal?.throwIfAborted();
    if (attempt === MAX_ATTEMPTS) throw piece;
  }
}

/** A connection that broke or stalled is the result; what cannot pass is thrown. */
async function fetchOnce(
  remote: RemoteSource,
  start: number,
  end: number,
  memory: ArrayBuffer,
  signal?: AbortSignal,
): Promise<Bytes | SourceError> {
  const stalled = AbortSignal.timeout(STALL_MS);
  const either = signal ? AbortSignal.any([signal, stalled]) : stalled;
  try {
    const response = await request(remote.url, { headers: { Range: `bytes=${start}-${end - 1}` } }, either);
    if (response.headers.get("ETag") !== remote.etag || (response.status === 200 && end - start < remote.size)) {
      await response.body?.cancel();
      throw new SourceError("the file changed on the server while it was downloaded", { where: remote.url, hint: "Load again." });
    }
    const bytes = await readBody(response, memory, end - start);
    return bytes.length === end - start ? bytes : truncated(remote.url, bytes.length, end - start);
  } catch (error) {
    if (error instanceof SourceError) throw error;
    return new SourceError(`the connection broke: ${String(error)}`, { where: remote.url, hint: "Load again: what has arrived is kept." });
  }
}

/** The body in the memory given, which moves along; in new memory where the browser cannot fill what is there. */
async function readBody(response: Response, memory: ArrayBuffer, size: number): Promise<Bytes> {
  const reader = byteReader(response);
  if (!reader) return new Uint8Array(await response.arrayBuffer());
  let filled = 0;
  while (filled < size) {
    const { value, done } = await reader.read(new Uint8Array(memory, filled, size - filled));
    if (value) memory = value.buffer;
    if (done || !value) break;
    filled += value.length;
  }
  const { done } = await reader.read(new Uint8Array(1)); // a connection whose end was seen serves the next request
  if (!done) await reader.cancel();
  return new Uint8Array(memory, 0, filled);
}

function byteReader(response: Response): ReadableStreamBYOBReader | null {
  try {
    return response.body?.getReader({ mode: "byob" }) ?? null;
  } catch {
    return null;
  }
}

function write(handle: FileSystemSyncAccessHandle, bytes: Bytes, at: number, url: string): void {
  let written = 0;
  try {
    written = handle.write(bytes, { at });
  } catch (error) {
    const isFull = error instanceof DOMException && error.name === "QuotaExceededError";
    if (!isFull) throw new SourceError(`could not be stored: ${String(error)}`, { where: url });
  }
  if (written !== bytes.length) throw noSpace(url, null);
}

async function checkSpace(needed: number, url: string): Promise<void> {
  const { quota, usage } = await navigator.storage.estimate();
  if (quota !== undefined && usage !== undefined && quota - usage < needed) {
    throw noSpace(url, `${needed} bytes are needed, and the browser grants ${Math.max(0, quota - usage)} more`);
  }
}

function noSpace(url: string, details: string | null): SourceError {
  return new SourceError(`the model does not fit into the browser's storage${details ? `: ${details}` : ""}`, {
    where: url,
    hint: "Delete stored models, free disk space, or load without storing ({ store: false }).",
  });
}
