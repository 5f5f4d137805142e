/**
 * A file that is read while it is downloaded to the store: bytes go from the network to OPFS, and readers wait until theirs are there.  An
 * interrupted download goes on where it stopped, in this session or a later one.  In a worker only.
 */

import { SourceError } from "./errors.js";
import { openToWrite } from "./opfs.js";
import { checkRange, type RemoteSource, request, type Source, truncated } from "./sources.js";
import { fileKey, readRecord, type Store, writeRecord } from "./storage.js";

const PIECE_BYTES = 4 << 20; // of a request
const PIECES_AT_ONCE = 6;
const PIECES_KEPT = 16; // in memory, besides the store
const UNASKED_BYTES = 256 << 20; // what may be downloaded before `download` is called: the model may yet turn out not to fit
const MAX_RESUMES = 5; // of a piece, without a byte arriving in between
const STALL_MS = 30_000; // a connection on which nothing arrives for so long is given up, and the piece resumed

interface Waiter {
  readonly end: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** `remote`, kept in the store as it is downloaded. Null if another tab is writing the same file. */
export async function openDownload(store: Store, remote: RemoteSource, signal?: AbortSignal): Promise<Source | null> {
  const handle = await openHandle(store, `${await fileKey(remote.url)}.bin`);
  if (!handle) return null;
  const record = await readRecord(store, remote.url);
  const isSame = record !== null && record.size === remote.size && record.etag === remote.etag && handle.getSize() <= remote.size;
  if (!isSame) handle.truncate(0);
  await writeRecord(store, { url: remote.url, size: remote.size, etag: remote.etag, complete: false });
  return downloadSource(store, remote, handle, signal);
}

function downloadSource(store: Store, remote: RemoteSource, handle: FileSystemSyncAccessHandle, signal?: AbortSignal): Source {
  let have = handle.getSize(); // bytes from the start that are stored
  let started: Promise<void> | null = null;
  let isClosed = false;
  const waiters = new Set<Waiter>();
  const isSmall = !/\.(gguf|safetensors)$/i.test(remote.name); // a JSON file: fetched once, whole

  const advance = (count: number): void => {
    have += count;
    for (const waiter of waiters) {
      if (waiter.end > have) continue;
      waiters.delete(waiter);
      waiter.resolve();
    }
  };
  const pieces = new Map<number, Uint8Array<ArrayBuffer>>(); // by offset, the last ones
  let want = (): void => undefined;
  const wanted = new Promise<void>((resolve) => (want = resolve));

  /** Stores pieces in the file's order; those behind are under way meanwhile. */
  const fetchAll = async (): Promise<void> => {
    await checkSpace(remote.size - have, remote.url);
    const waiting: Promise<Uint8Array<ArrayBuffer>>[] = [];
    for (let at = have, next = have; at < remote.size; ) {
      while (next < remote.size && waiting.length < PIECES_AT_ONCE) {
        if (next >= UNASKED_BYTES) await wanted;
        const end = Math.min(remote.size, next + PIECE_BYTES);
        const piece = fetchPiece(remote, next, end, signal);
        piece.catch(() => undefined); // reported in its turn
        waiting.push(piece);
        next = end;
      }
      const piece = await (waiting.shift() as Promise<Uint8Array<ArrayBuffer>>);
      if (isClosed) throw new DOMException("The source was closed.", "AbortError");
      writeAll(handle, piece, at, remote.url);
      pieces.set(at, piece);
      if (pieces.size > PIECES_KEPT) pieces.delete(pieces.keys().next().value as number);
      at += piece.length;
      advance(piece.length);
    }
    handle.flush();
    await writeRecord(store, { url: remote.url, size: remote.size, etag: remote.etag, complete: true });
  };
  const start = (): void => {
    started ??= fetchAll();
    started.catch((error: unknown) => {
      for (const waiter of waiters) waiter.reject(error);
      waiters.clear();
    });
  };
  const copy = (offset: number, size: number): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(size);
    if (!copyPieces(pieces, offset, bytes) && handle.read(bytes, { at: offset }) !== size) throw truncated(remote.url, 0, size);
    return bytes;
  };
  const source: Source = {
    name: remote.name,
    size: remote.size,
    download() {
      want();
      start();
    },
    kept: async () => started ?? undefined,
    async read(offset, size) {
      signal?.throwIfAborted();
      checkRange(source, offset, size);
      if (isSmall) source.download?.();
      const end = offset + size;
      if (end > have) {
        if (!started) return remote.read(offset, size);
        await Promise.race([started, new Promise<void>((resolve, reject) => waiters.add({ end, resolve, reject }))]);
      }
      return copy(offset, size);
    },
    close() {
      isClosed = true;
      handle.close();
    },
  };
  if (!isSmall) start();
  return source;
}

/** Fills `bytes` from pieces in memory. False if one of them is not there. */
function copyPieces(pieces: ReadonlyMap<number, Uint8Array<ArrayBuffer>>, offset: number, bytes: Uint8Array<ArrayBuffer>): boolean {
  let filled = 0;
  for (const [at, piece] of pieces) {
    const from = Math.max(offset, at);
    const to = Math.min(offset + bytes.length, at + piece.length);
    if (from >= to) continue;
    bytes.set(piece.subarray(from - at, to - at), from - offset);
    filled += to - from;
  }
  return filled === bytes.length;
}

/** Bytes [start, end) of the file; a connection that breaks is taken up where it broke. */
async function fetchPiece(remote: RemoteSource, start: number, end: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(end - start);
  let have = 0;
  const append = (chunk: Uint8Array<ArrayBuffer>): void => {
    bytes.set(chunk.subarray(0, bytes.length - have), have);
    have = Math.min(bytes.length, have + chunk.length);
  };
  for (let idle = 0; have < bytes.length; idle++) {
    const before = have;
    const failure = await fetchOnwards(remote, start + have, end, append, signal);
    signal?.throwIfAborted();
    if (have > before) idle = 0;
    if (have < bytes.length && idle >= MAX_RESUMES) throw failure ?? truncated(remote.url, start + have, remote.size);
  }
  return bytes;
}

/** Hands on what arrives of bytes [start, end). A broken connection is the result; what cannot pass is thrown. */
async function fetchOnwards(
  remote: RemoteSource,
  start: number,
  end: number,
  append: (chunk: Uint8Array<ArrayBuffer>) => void,
  signal?: AbortSignal,
): Promise<SourceError | null> {
  const response = await request(remote.url, { headers: { Range: `bytes=${start}-${end - 1}` } }, signal);
  const etag = response.headers.get("ETag");
  if (etag !== remote.etag || (response.status === 200 && start > 0) || !response.body) {
    await response.body?.cancel();
    throw new SourceError("the file changed on the server while it was downloaded", { where: remote.url, hint: "Load again." });
  }
  const reader = response.body.getReader();
  try {
    for (;;) {
      const piece = await read(reader, remote.url);
      if (piece instanceof SourceError) return piece;
      if (piece.done) return null;
      append(piece.value);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

type Reader = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

async function read(reader: Reader, url: string): Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>> | SourceError> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stalled = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing arrived for ${STALL_MS / 1000} s`)), STALL_MS);
  });
  try {
    return await Promise.race([reader.read(), stalled]);
  } catch (error) {
    return new SourceError(`the connection broke: ${String(error)}`, { where: url, hint: "Load again: what has arrived is kept." });
  } finally {
    clearTimeout(timer);
  }
}

async function openHandle(store: Store, name: string): Promise<FileSystemSyncAccessHandle | null> {
  try {
    return await openToWrite(store, name);
  } catch (error) {
    if (error instanceof DOMException && error.name === "NoModificationAllowedError") return null;
    throw error;
  }
}

function writeAll(handle: FileSystemSyncAccessHandle, chunk: Uint8Array<ArrayBuffer>, at: number, url: string): void {
  let written: number;
  try {
    written = handle.write(chunk, { at });
  } catch (error) {
    if (error instanceof DOMException && error.name === "QuotaExceededError") throw noSpace(url, null);
    throw new SourceError(`could not be stored: ${String(error)}`, { where: url });
  }
  if (written !== chunk.length) throw noSpace(url, null);
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
