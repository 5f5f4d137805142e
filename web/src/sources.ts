/**
 * Bytes by range, of a File or a URL.  A read gives exactly what was asked for or throws a SourceError.  Files that are kept on the
 * device are in download.ts and storage.ts; what a model's files are called is in models.ts.
 */

import { SourceError } from "./errors.js";
import type { FileReference, Server } from "./server.js";

export const MODULE_FOLDER = /^\d+_[A-Z]\w*$/; // of sentence-transformers

export interface Source {
  readonly name: string;
  readonly size: number;
  read(offset: number, size: number): Promise<Uint8Array<ArrayBuffer>>;
  /** The same into memory that is there: new memory costs more than the read. For sources that can. */
  readInto?(bytes: Uint8Array<ArrayBuffer>, offset: number): Promise<void>;
  /** Where other workers of this site can read it themselves, what has `arrived`. */
  readonly shared?: Shared;
  /** Resolves when the bytes before `end` are there; false if they do not come before `download`. */
  arrived?(end: number): Promise<boolean>;
  /** The whole file will be needed now, from its start to its end. */
  download?(): void;
  /** Resolves when a started download is written to the store. */
  kept?(): Promise<void>;
  close?(): Promise<void> | void;
}

/** A file of the store. */
export interface Shared {
  readonly name: string;
  readonly mode: "read-only" | "readwrite-unsafe"; // of the browser's access handle
}

const BLOCK_BYTES = 1 << 20; // small reads of a URL are rounded to blocks of this size: headers are read in many small pieces
const MAX_BLOCKS = 24;
const RETRY_DELAYS_MS = [300, 1000, 3000];
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);
const WINDOW_MS = 20_000; // over which a connection's rate is judged
const KEPT = "Load again: what has arrived is kept.";
const OTHER_FILE = "The server gives another file than the one that was published.";
const MIN_WINDOW_BYTES = 20 << 10; // what brings less is given up

export function checkRange(source: Source, offset: number, size: number): void {
  if (offset < 0 || size < 0 || offset + size > source.size) {
    throw new SourceError(`bytes ${offset}..${offset + size} were asked for, but there are ${source.size}`, { where: source.name });
  }
}

export function blobSource(blob: Blob, name: string, signal?: AbortSignal): Source {
  const source: Source = {
    name,
    size: blob.size,
    async read(offset, size) {
      signal?.throwIfAborted();
      checkRange(source, offset, size);
      try {
        return new Uint8Array(await blob.slice(offset, offset + size).arrayBuffer());
      } catch (error) {
        throw new SourceError(`could not be read: ${String(error)}`, {
          where: name,
          hint: "The file was changed or moved since it was chosen: choose it again.",
        });
      }
    },
  };
  return source;
}

/** What a source needs of a FileSystemSyncAccessHandle, which programs outside a worker have no type for. */
type Handle = {
  read(buffer: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  close(): void;
};

/** A file of the store that is `size` bytes long, or will be: then `coming` is the source of what has not arrived. In a worker only. */
export function handleSource(handle: Handle, name: string, size: number, coming?: Source): Source {
  const source: Source = {
    name,
    size,
    async readInto(bytes, offset) {
      checkRange(source, offset, bytes.length);
      const isHere = (await coming?.arrived?.(offset + bytes.length)) ?? true;
      if (!isHere && coming) return bytes.set(await coming.read(offset, bytes.length));
      const got = handle.read(bytes, { at: offset });
      if (got !== bytes.length) throw truncated(name, got, bytes.length);
    },
    async read(offset, count) {
      const bytes = new Uint8Array(count);
      await source.readInto?.(bytes, offset);
      return bytes;
    },
    close: () => handle.close(),
  };
  return source;
}

/** A file at an address that is no server's, as an extension's own: of a range of such, Chromium says that it is the whole (status 200). */
export async function openLocal(url: string, signal?: AbortSignal): Promise<Source> {
  const response = await request(url, {}, signal);
  return blobSource(await response.blob(), fileName(url), signal);
}

/** A file on a web server, read by Range requests. */
export interface RemoteSource extends Source {
  readonly url: string;
  readonly etag: string | null;
  readonly modified: string | null;
  /** Otherwise it can only be read once, from its start to its end. */
  readonly hasRanges: boolean;
  /** Its first bytes, where they came with its size. */
  readonly first: Uint8Array<ArrayBuffer> | null;
  /** Of its bytes, as digests.ts writes it, where somebody else knows it. */
  readonly digest: string | null;
  readonly server: Server;
}

/** Gives up a connection that brings almost nothing for a while. */
export interface Watch {
  readonly signal: AbortSignal;
  came(bytes: number): void;
  /** Nothing is expected meanwhile. */
  during(wait: Promise<unknown>): Promise<void>;
  stop(): void;
}

/** A connection that is given up ends with a SourceError, which is the signal's reason. */
export function watch(url: string, signal?: AbortSignal): Watch {
  const controller = new AbortController();
  let bytes = 0;
  let isWaiting = false;
  const timer = setInterval(() => {
    const message = `the connection stalled: ${bytes} bytes came in ${WINDOW_MS / 1000} s`;
    if (bytes < MIN_WINDOW_BYTES && !isWaiting) controller.abort(new SourceError(message, { where: url, hint: KEPT }));
    bytes = 0;
  }, WINDOW_MS);
  return {
    signal: signal ? AbortSignal.any([signal, controller.signal]) : controller.signal,
    came: (more) => void (bytes += more),
    async during(wait) {
      isWaiting = true;
      await wait;
      bytes += MIN_WINDOW_BYTES; // this window began before
      isWaiting = false;
    },
    stop: () => clearInterval(timer),
  };
}

/** Throws where the answer is of another file than the one that was opened. A server may hide some of this from other sites' pages. */
export function checkSame(remote: RemoteSource, response: Response): void {
  const { headers } = response;
  const total = /\/(\d+)$/.exec(headers.get("Content-Range") ?? "")?.[1];
  const versions = [[headers.get("ETag"), remote.etag], [headers.get("Last-Modified"), remote.modified]] as const;
  // Of a file whose digest is known, the servers of a mirror may each have their own tag.
  const pairs = [...(remote.digest ? [] : versions), [total, String(remote.size)]] as const;
  if (!pairs.every(([now, before]) => !now || !before || now === before)) throw changed(remote.url);
}

export function changed(url: string): SourceError {
  return new SourceError("the file changed on the server while it was downloaded", { where: url, hint: "Load again." });
}

/** Asks the server for the file's first bytes: that tells its size and whether ranges work. */
export async function openRemote(file: FileReference, server: Server = PLAIN, signal?: AbortSignal): Promise<RemoteSource> {
  const { url } = file;
  const name = fileName(url);
  const { response, first } = await readFirst(url, server, signal);
  const hasRanges = first !== null || response.status === 206;
  const size = hasRanges ? (totalSize(response, first?.length) ?? file.size ?? (await sizeFromHead(url, server, signal))) : (file.size ?? lengthOf(response, url));
  if (size !== (file.size ?? size)) throw new SourceError(`the file has ${size} bytes, expected ${file.size}`, { where: url, hint: OTHER_FILE });
  const isWhole = first?.length === Math.min(size, BLOCK_BYTES); // a server may give more or less than was asked for
  const blocks = new Map<number, Promise<Uint8Array<ArrayBuffer>>>(first && isWhole ? [[0, Promise.resolve(first)]] : []);
  const readBlock = (index: number): Promise<Uint8Array<ArrayBuffer>> => {
    let block = blocks.get(index);
    if (!block) {
      const start = index * BLOCK_BYTES;
      block = fetchRange(source, start, Math.min(BLOCK_BYTES, size - start), signal);
      blocks.set(index, block);
      block.catch(() => blocks.delete(index));
      if (blocks.size > MAX_BLOCKS) blocks.delete(blocks.keys().next().value as number);
    }
    return block;
  };
  const source: RemoteSource = {
    url,
    name,
    size,
    etag: response.headers.get("ETag"),
    modified: response.headers.get("Last-Modified"),
    hasRanges,
    first: isWhole ? first : null,
    digest: file.digest ?? null,
    server,
    async read(offset, count) {
      signal?.throwIfAborted();
      checkRange(source, offset, count);
      if (!hasRanges) throw noRanges(url);
      if (count >= BLOCK_BYTES) return fetchRange(source, offset, count, signal);
      const out = new Uint8Array(count);
      for (let at = offset; at < offset + count; ) {
        const index = Math.floor(at / BLOCK_BYTES);
        const piece = (await readBlock(index)).subarray(at - index * BLOCK_BYTES, offset + count - index * BLOCK_BYTES);
        out.set(piece, at - offset);
        at += piece.length;
      }
      return out;
    },
  };
  return source;
}

export const PLAIN: Server = { headers: () => ({}), refusal: () => null };

/** The response to a GET, retried while the failure may pass. Throws SourceError; an abort passes through. */
export async function request(url: string, init: RequestInit, signal?: AbortSignal, server: Server = PLAIN): Promise<Response> {
  for (let attempt = 0; ; attempt++) {
    const delay = RETRY_DELAYS_MS[attempt];
    let failure: SourceError;
    try {
      const headers = { ...(init.headers as Record<string, string> | undefined), ...server.headers(url) };
      const response = await fetch(url, { ...init, headers, cache: "no-store", signal: signal ?? null });
      if (response.ok) return response;
      failure = server.refusal(url, response) ?? statusError(url, response.status);
      if (!TRANSIENT.has(response.status)) throw failure;
    } catch (error) {
      if (error instanceof SourceError) throw error;
      signal?.throwIfAborted();
      failure = new SourceError(`could not be fetched: ${String(error)}`, {
        where: url,
        hint: "Check the network connection, and that the server allows this page to read it (CORS).",
      });
    }
    if (delay === undefined) throw failure;
    await new Promise((resolve) => setTimeout(resolve, delay));
    signal?.throwIfAborted();
  }
}

/** The first block; null where the server gives more: it ignored the range, and the file is larger. */
async function readFirst(url: string, server: Server, signal?: AbortSignal): Promise<{ response: Response; first: Uint8Array<ArrayBuffer> | null }> {
  const watched = watch(url, signal);
  try {
    const response = await request(url, { headers: { Range: `bytes=0-${BLOCK_BYTES - 1}` } }, watched.signal, server);
    return { response, first: await readUpTo(response, BLOCK_BYTES, watched, url) };
  } finally {
    watched.stop();
  }
}

async function fetchRange(remote: RemoteSource, offset: number, size: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  if (size === 0) return new Uint8Array(0);
  const { url } = remote;
  const watched = watch(url, signal);
  try {
    const response = await request(url, { headers: { Range: `bytes=${offset}-${offset + size - 1}` } }, watched.signal, remote.server);
    if (response.status === 206) checkSame(remote, response);
    const bytes = response.status === 206 ? await readUpTo(response, size, watched, url) : await readUpTo(response, 0, watched, url);
    if (response.status !== 206) throw noRanges(url);
    if (bytes?.length !== size) throw truncated(url, bytes?.length ?? size + 1, size);
    return bytes;
  } finally {
    watched.stop();
  }
}

/** The body, or null if it is longer than `limit`. */
async function readUpTo(response: Response, limit: number, watched: Watch, url: string): Promise<Uint8Array<ArrayBuffer> | null> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let received = 0;
  const reader = response.body?.getReader(); // Safari cannot iterate over a body
  try {
    for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) {
      pieces.push(piece.value);
      received += piece.value.length;
      watched.came(piece.value.length);
      if (received <= limit) continue;
      await reader?.cancel();
      return null;
    }
  } catch (error) {
    if (error instanceof SourceError || (error instanceof DOMException && error.name === "AbortError")) throw error;
    throw new SourceError(`the connection broke: ${String(error)}`, { where: url, hint: KEPT });
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

function lengthOf(response: Response, url: string): number {
  const length = Number(response.headers.get("Content-Length") ?? 0);
  if (length > 0) return length;
  throw noRanges(url);
}

/** From `Content-Range: bytes 0-9/100`; a server may hide that header from other sites' pages. */
function totalSize(response: Response, received = BLOCK_BYTES): number | null {
  if (response.status === 200) return received;
  const total = /\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "")?.[1];
  if (total !== undefined) return Number(total);
  return received < BLOCK_BYTES ? received : null;
}

async function sizeFromHead(url: string, server: Server, signal?: AbortSignal): Promise<number> {
  const response = await request(url, { method: "HEAD" }, signal, server);
  const length = Number(response.headers.get("Content-Length") ?? 0);
  if (length > 0) return length;
  throw new SourceError("the server does not say how large the file is", {
    where: url,
    hint: "Download the file and open it from the disk.",
  });
}

export function statusError(url: string, status: number): SourceError {
  const hints: Record<number, string> = {
    401: "The server wants a sign-in: download the file and open it from the disk.",
    403: "The server refuses: the model may ask for consent first. Download the file and open it from the disk.",
    404: "Check the address: it must be the link of the file itself.",
  };
  return new SourceError(`the server answered ${status}`, { where: url, hint: hints[status] ?? "Try again later." });
}

export function noRanges(url: string): SourceError {
  return new SourceError("the server does not answer Range requests, so the file cannot be read in parts", {
    where: url,
    hint: "Download the file and open it from the disk, or use a server with range support.",
  });
}

export function truncated(url: string, got: number, expected: number): SourceError {
  return new SourceError(`${got} bytes arrived, ${expected} were expected`, { where: url, hint: "Load again." });
}

export function fileName(url: string): string {
  return nameInModel(decodeURIComponent(new URL(url).pathname)) || url;
}

/** Of a path: the last part, and before it the folder of a module of sentence-transformers (1_Pooling/config.json). */
export function nameInModel(path: string): string {
  const parts = path.split("/");
  return parts.slice(MODULE_FOLDER.test(parts.at(-2) ?? "") ? -2 : -1).join("/");
}
