/**
 * A file that is read while it is downloaded: bytes go from the network to the store, or to memory where nothing is to be kept, and readers
 * wait until theirs are there.  An interrupted download goes on where it stopped, in this session or a later one; what it has by then is
 * checked block by block, and the whole file by the digest that is known of it.  In a worker only.
 */

import { BLOCK_BYTES, BlockDigests, checkDigest, openHasher, sha256 } from "./digests.js";
import { openShared, openToWrite } from "./opfs.js";
import { checkSpace, fileShelf, memoryShelf, type Shelf } from "./shelf.js";
import { changed, checkRange, noRanges, type RemoteSource, type Source } from "./sources.js";
import { binName, blocksName, type FileRecord, readRecord, type Store, writeRecord } from "./storage.js";
import { fetchPiece, pauseAfter, streamOnce } from "./transfer.js";

const PIECES_AT_ONCE = 6; // of a block's size
const UNASKED_BYTES = 256 << 20; // what may be downloaded before `download` is called: the model may yet turn out not to fit

type Bytes = Uint8Array<ArrayBuffer>;

interface Waiter {
  readonly end: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** Where a download's bytes go, and what is recorded of them. */
interface Place {
  readonly shelf: Shelf;
  readonly blocks: BlockDigests;
  /** Goes through what is here from before; `onGood` learns how many bytes may stay. */
  resume(onGood: (end: number) => void): Promise<void>;
  checkSpace(missing: number): Promise<void>;
  /** All of it is here, and is what it should be. */
  complete(): Promise<void>;
  close(): void;
}

/** `remote`, kept in the store as it is downloaded. Null if another tab is writing the same file. */
export async function openDownload(store: Store, remote: RemoteSource, signal?: AbortSignal): Promise<Source | null> {
  const name = await binName(remote.url);
  const unlock = await lock(name);
  if (!unlock) return null;
  try {
    const shared = await openShared(store, name, "readwrite-unsafe");
    const place = await storePlace(store, remote, shared ?? (await openToWrite(store, name)), unlock);
    const source = downloadSource(remote, place, signal);
    return shared ? { ...source, shared: { name, mode: "readwrite-unsafe" } } : source;
  } catch (error) {
    unlock();
    throw error;
  }
}

/** `remote`, in this visit's memory: so that all of it is checked, or that it can be read at all where it comes as a stream. */
export async function openInMemory(remote: RemoteSource, signal?: AbortSignal): Promise<Source> {
  const nothing = async (): Promise<void> => undefined;
  const place: Place = {
    shelf: memoryShelf(remote.url),
    blocks: new BlockDigests(null, remote.digest ? await openHasher(remote.digest, remote.size) : null),
    resume: nothing,
    checkSpace: nothing,
    complete: nothing,
    close: () => undefined,
  };
  return downloadSource(remote, place, signal);
}

async function storePlace(store: Store, remote: RemoteSource, handle: FileSystemSyncAccessHandle, unlock: () => void): Promise<Place> {
  const { url, size, digest } = remote;
  const kept = await openToWrite(store, await blocksName(url));
  const shelf = fileShelf(handle, url);
  const blocks = new BlockDigests(kept, digest ? await openHasher(digest, size) : null);
  const record = await readRecord(store, url);
  if (!record || !isVersion(record, remote)) {
    blocks.clear();
    shelf.truncate(0);
  }
  await writeRecord(store, recordOf(remote, false));
  return {
    shelf,
    blocks,
    async resume(onGood) {
      await blocks.resume(shelf.size(), size, shelf.readNow, onGood);
    },
    checkSpace: (missing) => checkSpace(missing, url),
    async complete() {
      await blocks.settled();
      shelf.flush();
      kept.flush();
      await writeRecord(store, recordOf(remote, true));
    },
    close() {
      kept.close();
      unlock();
    },
  };
}

function recordOf({ url, size, etag, modified, digest }: RemoteSource, complete: boolean): FileRecord {
  return { url, size, etag, modified, complete, ...(digest && { digest }) };
}

/** Where a digest is known, it alone says which file it is. */
function isVersion(record: FileRecord, { size, etag, modified, digest }: RemoteSource): boolean {
  if (record.size !== size || (record.digest ?? null) !== digest) return false;
  return digest !== null || (record.etag === etag && (record.modified ?? modified) === modified);
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

function downloadSource(remote: RemoteSource, place: Place, signal?: AbortSignal): Source {
  const { shelf, blocks } = place;
  let have = 0; // of what may be read
  let checked: Promise<void> | null = null; // downloaded, and as it should be
  let sealed: Promise<void> | null = null; // recorded as such
  let isClosed = false;
  const waiters = new Set<Waiter>();
  const early: { readonly offset: number; readonly size: number; readonly digest: Promise<Bytes> }[] = []; // reads past what is here
  const isSmall = !/\.(gguf|safetensors)$/i.test(remote.name); // a JSON file: fetched once, whole
  let isWanted = false;
  let want = (): void => undefined;
  const wanted = new Promise<void>((resolve) => (want = resolve)).then(() => void (isWanted = true));

  const checkOpen = (): void => {
    if (isClosed) throw new DOMException("The source was closed.", "AbortError");
  };
  const arrive = (end: number): void => {
    have = end;
    for (const waiter of waiters) {
      if (waiter.end > have) continue;
      waiters.delete(waiter);
      waiter.resolve();
    }
  };
  const keep = (block: Bytes): void => {
    checkOpen();
    shelf.append(block);
    blocks.add(Math.floor(have / BLOCK_BYTES), block);
    arrive(have + block.length);
  };
  const fetchAll = async (): Promise<void> => {
    await place.resume(arrive);
    shelf.truncate(have);
    await place.checkSpace(remote.size - have);
    await (remote.hasRanges ? fetchPieces() : fetchStream());
  };
  /** Once, from its start; what is there already is read again, and passed over. */
  const fetchStream = async (): Promise<void> => {
    for (let attempt = 0; have < remote.size; attempt++) {
      const before = have;
      const gather = gatherer(have, remote.size, keep);
      const failure = await streamOnce(remote, signal, (piece) => {
        gather(piece);
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
        const end = Math.min(remote.size, next + BLOCK_BYTES);
        const piece = fetchMissing(remote, next, end, free.pop() ?? new ArrayBuffer(end - next), signal);
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
  /** Throws where the bytes are others than they should be; then none of them stay. */
  const check = async (): Promise<void> => {
    try {
      if (remote.digest && blocks.hasher) checkDigest(blocks.hasher, remote.digest, remote.url);
      for (const { offset, size, digest } of early) {
        const [before, now] = [await digest, await sha256(await shelf.read(offset, size))];
        if (!now.every((byte, i) => byte === before[i])) throw changed(remote.url);
      }
    } catch (error) {
      blocks.clear();
      shelf.truncate(0);
      throw error;
    }
  };
  const start = (): void => {
    if (checked) return;
    checked = fetchAll().then(check);
    sealed = checked.then(() => place.complete());
    sealed.catch(() => undefined); // an unsealed file is taken up again
    checked.catch((error: unknown) => {
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
    kept: async () => checked ?? undefined,
    async arrived(end) {
      if (isSmall) {
        source.download?.();
        await checked;
      }
      if (end > UNASKED_BYTES && !isWanted) return end <= have;
      if (end > have) {
        start();
        await Promise.race([checked, new Promise<void>((resolve, reject) => waiters.add({ end, resolve, reject }))]);
      }
      return true;
    },
    async read(offset, size) {
      signal?.throwIfAborted();
      checkRange(source, offset, size);
      if (await source.arrived?.(offset + size)) return shelf.read(offset, size);
      if (!remote.hasRanges) throw noRanges(remote.url);
      const bytes = await remote.read(offset, size);
      early.push({ offset, size, digest: sha256(bytes) });
      return bytes;
    },
    async close() {
      if (have < remote.size) isClosed = true;
      want(); // whoever waits for it goes on, and ends
      await sealed?.catch(() => undefined);
      await blocks.settled().catch(() => undefined);
      shelf.close();
      place.close();
    },
  };
  if (!isSmall) start();
  return source;
}

/** A piece; what came of it when the file was opened is not asked for again. */
async function fetchMissing(remote: RemoteSource, start: number, end: number, memory: ArrayBuffer, signal?: AbortSignal): Promise<Bytes> {
  const first = start === 0 ? remote.first : null;
  if (!first) return fetchPiece(remote, start, end, memory, signal);
  const bytes = new Uint8Array(memory, 0, end);
  if (first.length < end) bytes.set(await fetchPiece(remote, first.length, end, new ArrayBuffer(end - first.length), signal), first.length);
  bytes.set(first);
  return bytes;
}

/** Takes a stream's pieces, and gives whole blocks from byte `from` on. */
function gatherer(from: number, size: number, take: (block: Bytes) => void): (piece: Bytes) => void {
  let at = 0; // of the stream
  let filled = 0;
  let block = new Uint8Array(Math.min(BLOCK_BYTES, size - from));
  return (piece) => {
    let rest = piece.subarray(Math.max(0, from - at));
    at += piece.length;
    while (rest.length && block.length) {
      const part = rest.subarray(0, block.length - filled);
      block.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
      if (filled < block.length) return;
      take(block);
      from += block.length;
      filled = 0;
      block = new Uint8Array(Math.min(BLOCK_BYTES, size - from));
    }
  };
}
