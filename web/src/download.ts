/**
 * A file that is read while it is downloaded to the store: bytes go from the network to OPFS, and readers wait until theirs are there.  An
 * interrupted download goes on where it stopped, in this session or a later one.  In a worker only.
 */

import { SourceError } from "./errors.js";
import { openShared, openToWrite } from "./opfs.js";
import { changed, checkRange, checkSame, noRanges, type RemoteSource, request, type Source, truncated, watch, type Watch } from "./sources.js";
import { binName, type FileRecord, readRecord, type Store, writeRecord } from "./storage.js";

const PIECE_BYTES = 4 << 20; // of a request
const PIECES_AT_ONCE = 6;
const UNASKED_BYTES = 256 << 20; // what may be downloaded before `download` is called: the model may yet turn out not to fit
const RETRY_DELAYS_MS = [500, 2000, 8000, 20_000]; // after a connection that broke or stalled

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
  const isSame = record !== null && isVersion(record, remote) && handle.getSize() <= remote.size;
  if (!isSame) handle.truncate(0);
  await writeRecord(store, recordOf(remote, false));
  const source = downloadSource(store, remote, handle, unlock, signal);
  return shared ? { ...source, shared: { name, mode: "readwrite-unsafe" } } : source;
}

function recordOf({ url, size, etag, modified }: RemoteSource, complete: boolean): FileRecord {
  return { url, size, etag, modified, complete };
}

function isVersion(record: FileRecord, { size, etag, modified }: RemoteSource): boolean {
  return record.size === size && record.etag === etag && (record.modified ?? modified) === modified;
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
  const wanted = new Promise<void>((resolve) => (want = resolve)).then(() => void (isWanted = true));

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
    await (remote.hasRanges ? fetchPieces() : fetchStream());
  };
  /** Once, from its start; what is there already is read again, and passed over. */
  const fetchStream = async (): Promise<void> => {
    for (let attempt = 0; have < remote.size; attempt++) {
      let at = 0;
      const before = have;
      const failure = await streamOnce(remote, signal, (piece) => {
        const seen = Math.max(0, have - at);
        at += piece.length;
        if (seen < piece.length) keep(piece.subarray(seen));
        return have >= UNASKED_BYTES && !isWanted ? wanted : undefined;
      });
      checkOpen();
      if (have > before) attempt = 0;
      if (failure) await pauseAfter(failure, attempt, signal);
    }
  };
  const fetchPieces = async (): Promise<void> => {
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
    await writeRecord(store, recordOf(remote, true));
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
      if (!(await source.arrived?.(offset + size))) {
        if (!remote.hasRanges) throw noRanges(remote.url);
        return remote.read(offset, size);
      }
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
  for (let attempt = 0; ; attempt++) {
    const room = memory.byteLength >= end - start ? memory : new ArrayBuffer(PIECE_BYTES); // a connection that broke took it along
    const piece = await fetchOnce(remote, start, end, room, signal);
    if (!(piece instanceof SourceError)) return piece;
    await pauseAfter(piece, attempt, signal);
  }
}

/** Throws the failure where it was the last that is put up with. */
async function pauseAfter(failure: SourceError, attempt: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const delay = RETRY_DELAYS_MS[attempt];
  if (delay === undefined) throw failure;
  await new Promise((resolve) => setTimeout(resolve, delay));
  signal?.throwIfAborted();
}

/** A connection that broke or stalled is the result; what cannot pass is thrown. */
async function fetchOnce(
  remote: RemoteSource,
  start: number,
  end: number,
  memory: ArrayBuffer,
  signal?: AbortSignal,
): Promise<Bytes | SourceError> {
  return watched(remote, signal, async (watching) => {
    const response = await request(remote.url, { headers: { Range: `bytes=${start}-${end - 1}` } }, watching.signal);
    await check(remote, response, end - start);
    const bytes = await readBody(response, memory, end - start, watching);
    return bytes.length === end - start ? bytes : truncated(remote.url, bytes.length, end - start);
  });
}

/** The whole file, piece by piece; null, or what broke the connection. */
async function streamOnce(
  remote: RemoteSource,
  signal: AbortSignal | undefined,
  take: (piece: Bytes) => Promise<void> | void,
): Promise<SourceError | null> {
  return watched(remote, signal, async (watching) => {
    const response = await request(remote.url, {}, watching.signal);
    await check(remote, response, remote.size);
    let got = 0;
    const reader = response.body?.getReader();
    for (let piece = await reader?.read(); piece && !piece.done && got < remote.size; piece = await reader?.read()) {
      got += piece.value.length;
      watching.came(piece.value.length);
      const waiting = take(piece.value);
      if (waiting) await watching.during(waiting);
    }
    return got === remote.size ? null : truncated(remote.url, got, remote.size);
  });
}

async function check(remote: RemoteSource, response: Response, asked: number): Promise<void> {
  try {
    checkSame(remote, response);
    if (response.status === 200 && asked < remote.size) throw changed(remote.url); // it had ranges
  } catch (error) {
    await response.body?.cancel();
    throw error;
  }
}

async function watched<T>(remote: RemoteSource, signal: AbortSignal | undefined, work: (watching: Watch) => Promise<T>): Promise<T | SourceError> {
  const watching = watch(remote.url, signal);
  try {
    return await work(watching);
  } catch (error) {
    if (error instanceof SourceError && error !== watching.signal.reason) throw error;
    if (error instanceof SourceError) return error;
    return new SourceError(`the connection broke: ${String(error)}`, { where: remote.url, hint: "Load again: what has arrived is kept." });
  } finally {
    watching.stop();
  }
}

/** The body in the memory given, which moves along; in new memory where the browser cannot fill what is there. */
async function readBody(response: Response, memory: ArrayBuffer, size: number, watching: Watch): Promise<Bytes> {
  const reader = byteReader(response);
  if (!reader) return new Uint8Array(await response.arrayBuffer());
  let filled = 0;
  while (filled < size) {
    const { value, done } = await reader.read(new Uint8Array(memory, filled, size - filled));
    if (value) memory = value.buffer;
    if (done || !value) break;
    filled += value.length;
    watching.came(value.length);
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
