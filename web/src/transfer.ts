/**
 * Bytes of a file on a web server, asked for again when a connection breaks or stalls: a piece by its range, or the whole file as a
 * stream.  Knows no store.
 */

import { SourceError } from "./errors.js";
import { changed, checkSame, type RemoteSource, request, truncated, watch, type Watch } from "./sources.js";

const RETRY_DELAYS_MS = [500, 2000, 8000, 20_000]; // after a connection that broke or stalled

type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes [start, end) of the file; asked for again, whole, when the connection breaks or stalls. memory: to be used if it can. */
export async function fetchPiece(remote: RemoteSource, start: number, end: number, memory: ArrayBuffer, signal?: AbortSignal): Promise<Bytes> {
  for (let attempt = 0; ; attempt++) {
    const room = memory.byteLength >= end - start ? memory : new ArrayBuffer(end - start); // a connection that broke took it along
    const piece = await fetchOnce(remote, start, end, room, signal);
    if (!(piece instanceof SourceError)) return piece;
    await pauseAfter(piece, attempt, signal);
  }
}

/** Throws the failure where it was the last that is put up with. */
export async function pauseAfter(failure: SourceError, attempt: number, signal?: AbortSignal): Promise<void> {
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
    const response = await request(remote.url, { headers: { Range: `bytes=${start}-${end - 1}` } }, watching.signal, remote.server);
    const failure = await check(remote, response, { start, end });
    if (failure) return failure;
    const bytes = await readBody(response, memory, end - start, watching);
    return bytes.length === end - start ? bytes : truncated(remote.url, bytes.length, end - start);
  });
}

/** The whole file, piece by piece; null, or what broke the connection. */
export async function streamOnce(
  remote: RemoteSource,
  signal: AbortSignal | undefined,
  take: (piece: Bytes) => Promise<void> | void,
): Promise<SourceError | null> {
  return watched(remote, signal, async (watching) => {
    const response = await request(remote.url, {}, watching.signal, remote.server);
    await check(remote, response);
    let got = 0;
    const reader = response.body?.getReader();
    for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) {
      got += piece.value.length;
      if (got > remote.size) {
        await reader?.cancel();
        throw changed(remote.url);
      }
      watching.came(piece.value.length);
      const waiting = take(piece.value);
      if (waiting) await watching.during(waiting);
    }
    return got === remote.size ? null : truncated(remote.url, got, remote.size);
  });
}

/** Throws where the answer is of another file; gives what may pass where it is of other bytes than were asked for. */
async function check(remote: RemoteSource, response: Response, asked?: { start: number; end: number }): Promise<SourceError | null> {
  try {
    checkSame(remote, response);
    const start = /^bytes (\d+)-/.exec(response.headers.get("Content-Range") ?? "")?.[1];
    const isAsked = !asked || asked.end - asked.start === remote.size || (response.status === 206 && Number(start ?? asked.start) === asked.start);
    if (isAsked) return null;
    await response.body?.cancel();
    return new SourceError(`the server answered ${response.status} from byte ${start ?? 0}, asked for byte ${asked.start}`, { where: remote.url, hint: "Load again." });
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
