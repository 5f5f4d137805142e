/** The page's end of the worker protocol: a request gets its answer, or its items as they are pushed.  Knows no model and no OpenAI. */

import { EngineClosed, errorFromData, FanlightError } from "./errors.js";
import type { FromWorker, Progress, ToWorker } from "./protocol.js";

export type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;

/** What a request was answered with: one JSON text, or a stream of them. */
export type Answer = { readonly kind: "value"; readonly json: string } | { readonly kind: "items"; readonly items: AsyncGenerator<string> };

type Reply = Exclude<FromWorker, { kind: "ended" }>;

interface Listener {
  onMessage(message: Reply): void;
  onFailure(error: Error): void;
}

/** Rejects with the signal's reason when it fires; who answers is told. */
export type Ask<T> = (asked: T, signal?: AbortSignal, onProgress?: (progress: Progress) => void) => Promise<Answer>;

export interface Channel {
  readonly request: Ask<WithoutId<ToWorker>>;
  /** Ends the worker; whatever is open fails. */
  end(error?: Error): void;
  /** The same, when the engine has let go of the GPU. */
  close(): Promise<void>;
}

export const WINDOW = 64; // items of a stream that are under way; what goes beyond waits until its reader has taken some
const CLOSE_WAIT_MS = 2000;

/** `url`: where the worker is from. */
export function openChannel(worker: Worker, url: string): Channel {
  const listeners = new Map<number, Listener>();
  let nextId = 1;
  let ended: Error | null = null;

  const end = (error: Error = new EngineClosed("The engine was closed.")): void => {
    ended ??= error;
    worker.terminate();
    for (const listener of listeners.values()) listener.onFailure(ended);
    listeners.clear();
  };
  worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
    if (data.kind === "ended") end(errorFromData(data.error));
    else listeners.get(data.id)?.onMessage(data);
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault(); // who waits is told, and the page's own handlers need not be
    const message = event.message ? `The worker failed: ${event.message}` : "The worker did not start.";
    const hint = `Is ${url} served, to this page too (CORS) where it is another site's, and does the page's Content-Security-Policy allow it (worker-src 'self', and blob: for another site's)?`;
    end(new FanlightError(message, { hint }));
  });

  const request: Channel["request"] = (message, signal, onProgress) => {
    if (ended) return Promise.reject(ended);
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    const id = nextId++;
    return new Promise((resolve, reject) => {
      const credit = (count: number): void => {
        if (!ended) worker.postMessage({ kind: "credit", id, count } satisfies ToWorker);
      };
      const queue = pushQueue<string>(() => close(true), crediting(credit));
      const onAbort = (): void => {
        close(true);
        fail(signal?.reason as Error);
      };
      const close = (tellWorker: boolean): void => {
        signal?.removeEventListener("abort", onAbort);
        if (!listeners.delete(id) || !tellWorker || ended) return;
        worker.postMessage({ kind: "abort", id } satisfies ToWorker);
      };
      const fail = (error: Error): void => {
        reject(error);
        queue.fail(error);
      };
      listeners.set(id, {
        onFailure: fail,
        onMessage(reply) {
          if (reply.kind === "progress") return onProgress?.(reply.progress);
          if (reply.kind === "item") queue.push(reply.json);
          if (reply.kind !== "item") close(false);
          if (reply.kind === "error") fail(errorFromData(reply.error));
          if (reply.kind === "end") queue.end();
          resolve(reply.kind === "value" ? { kind: "value", json: reply.json } : { kind: "items", items: queue.items });
        },
      });
      signal?.addEventListener("abort", onAbort);
      worker.postMessage({ ...message, id });
    });
  };
  const close = async (): Promise<void> => {
    const closing = request({ kind: "close" }).catch(() => undefined);
    await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, CLOSE_WAIT_MS))]);
    end();
  };
  return { request, end, close };
}

/** To be called for each item that is taken; tells of them several at a time. */
export function crediting(send: (count: number) => void): () => void {
  let taken = 0;
  return () => {
    if (++taken < WINDOW / 2) return;
    send(taken);
    taken = 0;
  };
}

interface PushQueue<T> {
  readonly items: AsyncGenerator<T>;
  push(item: T): void;
  end(): void;
  fail(error: Error): void;
}

/** What is pushed, as an async iterable; `onLeave` is called when its reader breaks out early, `onTake` for each item. */
export function pushQueue<T>(onLeave: () => void, onTake: () => void): PushQueue<T> {
  const waiting: T[] = [];
  let isDone = false;
  let failure: Error | null = null;
  let wake = (): void => undefined;
  async function* read(): AsyncGenerator<T> {
    try {
      for (;;) {
        while (waiting.length) {
          onTake();
          yield waiting.shift() as T;
        }
        if (failure) throw failure;
        if (isDone) return;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      if (!isDone && !failure) onLeave();
    }
  }
  return {
    items: read(),
    push(item) {
      waiting.push(item);
      wake();
    },
    end() {
      isDone = true;
      wake();
    },
    fail(error) {
      failure = error;
      wake();
    },
  };
}
