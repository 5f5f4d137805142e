/**
 * A file that is read while it is downloaded to the store: bytes go from the network to OPFS, and readers wait until theirs are there.  An
 * interrupted download goes on where it stopped, in this session or a later one.  In a worker only.
 */

import { SourceError } from "./errors.js";
import { type KeptFile, openKept } from "./keeper-client.js";
import { checkRange, type RemoteSource, request, type Source, truncated } from "./sources.js";
import { fileKey, readRecord, type Store, writeRecord } from "./storage.js";

const PIECE_BYTES = 4 << 20; // of a request
const PIECES_AT_ONCE = 6;
const PIECES_IN_MEMORY = 12; // for readers, and as many on their way to the store
const UNASKED_BYTES = 256 << 20; // what may be downloaded before `download` is called: the model may yet turn out not to fit
const MAX_ATTEMPTS = 5; // at a piece
const STALL_MS = 120_000; // a piece that takes so long is asked for again

interface Waiter {
  readonly end: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** `remote`, kept in the store as it is downloaded. Null if another tab is writing the same file. */
export async function openDownload(store: Store, remote: RemoteSource, signal?: AbortSignal): Promise<Source | null> {
  const kept = await openKept(store, `${await fileKey(remote.url)}.bin`);
  if (!kept) return null;
  const record = await readRecord(store, remote.url);
  const isSame = record !== null && record.size === remote.size && record.etag === remote.etag && kept.size <= remote.size;
  if (!isSame) await kept.truncate(0);
  await writeRecord(store, { url: remote.url, size: remote.size, etag: remote.etag, complete: false });
  return downloadSource(store, remote, kept, isSame ? kept.size : 0, signal);
}

/** have: bytes from the start that are kept. */
function downloadSource(store: Store, remote: RemoteSource, kept: KeptFile, have: number, signal?: AbortSignal): Source {
  let started: Promise<void> | null = null;
  let sealed: Promise<void> | null = null; // flushed to the disk, and recorded
  let isClosed = false;
  const waiters = new Set<Waiter>();
  const isSmall = !/\.(gguf|safetensors)$/i.test(remote.name); // a JSON file: fetched once, whole
  const pieces = new Map<number, Uint8Array<ArrayBuffer>>(); // by offset, the last ones
  const writes: Promise<void>[] = []; // under way
  let want = (): void => undefined;
  const wanted = new Promise<void>((resolve) => (want = resolve));

  /** Readers get a piece at once; it is kept meanwhile. */
  const take = async (piece: Uint8Array<ArrayBuffer>): Promise<void> => {
    if (isClosed) throw new DOMException("The source was closed.", "AbortError");
    pieces.set(have, piece);
    if (pieces.size > PIECES_IN_MEMORY) pieces.delete(pieces.keys().next().value as number);
    const writing = write(kept, piece.slice(), have, remote.url);
    writing.catch(() => undefined); // reported in its turn
    writes.push(writing);
    have += piece.length;
    for (const waiter of waiters) {
      if (waiter.end > have) continue;
      waiters.delete(waiter);
      waiter.resolve();
    }
    if (writes.length >= PIECES_IN_MEMORY) await writes.shift();
  };
  const fetchAll = async (): Promise<void> => {
    await checkSpace(remote.size - have, remote.url);
    const coming: Promise<Uint8Array<ArrayBuffer>>[] = [];
    for (let next = have; have < remote.size; ) {
      while (next < remote.size && coming.length < PIECES_AT_ONCE) {
        if (next >= UNASKED_BYTES) await wanted;
        const end = Math.min(remote.size, next + PIECE_BYTES);
        const piece = fetchPiece(remote, next, end, signal);
        piece.catch(() => undefined); // reported in its turn
        coming.push(piece);
        next = end;
      }
      await take(await (coming.shift() as Promise<Uint8Array<ArrayBuffer>>));
    }
    await Promise.all(writes);
  };
  const seal = async (): Promise<void> => {
    await kept.flush();
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
  const readHere = async (offset: number, size: number): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = new Uint8Array(size);
    if (copyPieces(pieces, offset, bytes)) return bytes;
    const found = await kept.read(offset, size); // after the writes before it
    if (found.length !== size) throw truncated(remote.url, found.length, size);
    return found;
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
      return readHere(offset, size);
    },
    async close() {
      if (have < remote.size) isClosed = true;
      await sealed?.catch(() => undefined);
      kept.close();
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

/** Bytes [start, end) of the file; asked for again, whole, when the connection breaks or stalls. */
async function fetchPiece(remote: RemoteSource, start: number, end: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  for (let attempt = 1; ; attempt++) {
    const piece = await fetchOnce(remote, start, end, signal);
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
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer> | SourceError> {
  const stalled = AbortSignal.timeout(STALL_MS);
  const either = signal ? AbortSignal.any([signal, stalled]) : stalled;
  try {
    const response = await request(remote.url, { headers: { Range: `bytes=${start}-${end - 1}` } }, either);
    if (response.headers.get("ETag") !== remote.etag || (response.status === 200 && end - start < remote.size)) {
      await response.body?.cancel();
      throw new SourceError("the file changed on the server while it was downloaded", { where: remote.url, hint: "Load again." });
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    return bytes.length === end - start ? bytes : truncated(remote.url, bytes.length, end - start);
  } catch (error) {
    if (error instanceof SourceError) throw error;
    return new SourceError(`the connection broke: ${String(error)}`, { where: remote.url, hint: "Load again: what has arrived is kept." });
  }
}

async function write(kept: KeptFile, bytes: Uint8Array<ArrayBuffer>, at: number, url: string): Promise<void> {
  const size = bytes.length;
  const written = await kept.write(bytes, at);
  if (typeof written === "string") throw new SourceError(`could not be stored: ${written}`, { where: url });
  if (written !== size) throw noSpace(url, null);
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
