/**
 * Asks the engine of this origin, in whichever tab it is; used by tabs and by the service worker.  Where another tab comes to lead, what is
 * open is asked of it once more, and a stream goes on.  Knows no model.
 */

import { type Answer, type Ask, crediting, pushQueue } from "./channel.js";
import { Continuation } from "./continuation.js";
import { EngineClosed, errorFromData } from "./errors.js";
import { allChannel, type Asked, beHere, type FromLeader, LEADER_LOCK, listen, requestChannel, type ToAll, type ToLeader, type Used } from "./tabs.js";

export interface AskerOptions {
  /** How long nobody may lead, or answer, before a request is given up. */
  readonly patienceMs: number;
  /** What this tab uses; null of a service worker, which can never lead. */
  readonly uses: () => readonly Used[] | null;
}

interface Open {
  ask(): void;
}

export class Asker {
  readonly id = crypto.randomUUID();
  #options: AskerOptions;
  #all = allChannel();
  #open = new Set<Open>();
  #here: Promise<void> | null = null;
  #leaving = new AbortController();

  constructor(options: AskerOptions) {
    this.#options = options;
    listen<ToAll>(this.#all, (message) => {
      if (message.kind !== "leads") return;
      void this.tell();
      for (const request of this.#open) request.ask();
    });
  }

  /** Resolves when others can see that it is here. */
  here(): Promise<void> {
    return (this.#here ??= beHere(this.id, this.#leaving.signal));
  }

  /** What this tab uses now. */
  async tell(): Promise<void> {
    const uses = this.#options.uses();
    if (!uses) return;
    await this.here();
    if (!this.#leaving.signal.aborted) this.#all.postMessage({ kind: "here", from: this.id, uses } satisfies ToAll);
  }

  /** Nothing is asked any more, and whoever leads may forget this tab. */
  close(): void {
    this.#leaving.abort();
    this.#all.close();
  }

  readonly ask: Ask<Asked> = async (asked, signal, onProgress) => {
    signal?.throwIfAborted();
    await this.here();
    const repeatable = asked.kind === "handle" ? seeded(asked) : asked;
    return new Promise<Answer>((resolve, reject) => {
      const continuation = new Continuation();
      const over = new AbortController();
      let channel: BroadcastChannel | null = null;
      let timer: ReturnType<typeof setTimeout> | undefined;
      let count = 0;
      const send = (message: ToLeader): void => channel?.postMessage(message);
      const taken = crediting((count) => send({ kind: "credit", count }));
      const queue = pushQueue<string>(() => end({ kind: "abort" }), taken);
      const end = (message?: ToLeader): void => {
        if (over.signal.aborted) return;
        over.abort();
        if (message) send(message);
        clearTimeout(timer);
        channel?.close();
        this.#open.delete(request);
      };
      const fail = (error: Error): void => {
        end({ kind: "abort" });
        reject(error);
        queue.fail(error);
      };
      const beImpatient = (): void => {
        clearTimeout(timer);
        timer = setTimeout(() => fail(nobody(count)), this.#options.patienceMs);
      };
      /** A service worker never leads itself: it sees that nobody does any more. */
      const watch = (): void => {
        if (this.#options.uses() !== null) return;
        navigator.locks.request(LEADER_LOCK, { signal: over.signal }, beImpatient).catch(() => undefined); // the answer is over
      };
      const onMessage = (reply: FromLeader): void => {
        switch (reply.kind) {
          case "taken":
            clearTimeout(timer);
            return watch();
          case "progress":
            return onProgress?.(reply.progress);
          case "value":
            end();
            return resolve({ kind: "value", json: reply.json });
          case "error":
            return fail(errorFromData(reply.error));
          case "end":
            end();
            queue.end();
            return resolve({ kind: "items", items: queue.items });
          case "item": {
            const piece = continuation.next(reply.json);
              if (piece === null) return taken();
            count++;
            queue.push(piece);
            return resolve({ kind: "items", items: queue.items });
          }
        }
      };
      const request: Open = {
        ask: () => {
          channel?.close();
          const id = crypto.randomUUID();
          const opened = (channel = requestChannel(id));
          listen<FromLeader>(opened, (reply) => {
            if (channel !== opened || over.signal.aborted) return;
            try {
              onMessage(reply);
            } catch (error) {
              fail(error as Error);
            }
          });
          continuation.again();
          beImpatient();
          this.#all.postMessage({ kind: "ask", id, from: this.id, asked: repeatable, uses: this.#options.uses() } satisfies ToAll);
        },
      };
      this.#open.add(request);
      signal?.addEventListener("abort", () => fail(signal.reason as Error), { signal: over.signal });
      this.#leaving.signal.addEventListener("abort", () => fail(new EngineClosed("The engine was closed.")), { signal: over.signal });
      request.ask();
    });
  };
}

/** So that another engine draws the same: what a request leaves to chance is drawn here. */
function seeded(asked: Extract<Asked, { kind: "handle" }>): Asked {
  const [path, body] = asked.args;
  return { kind: "handle", args: [path, body, Math.floor(Math.random() * 2 ** 48)] };
}

function nobody(count: number): EngineClosed {
  const message = count
    ? `The tab that computed the answer is gone after ${count} pieces of it, and no other one takes it up.`
    : "No tab of this page has a model loaded.";
  const error = { message, type: "server_error", param: null, code: "engine_closed" };
  return new EngineClosed(message, { hint: "Open the page, and load a model there.", http: { status: 503, body: { error } } });
}
