/** `monitor`: what is told of a download while a session is created. */

import type { Progress } from "../protocol.js";
import type { CreateMonitor } from "./types.js";

const STEPS = 0x10000; // of `loaded`, from 0 to 1

type EventHandler<E extends Event> = ((event: E) => void) | null;

/** An `on…` attribute: a listener from when it is first set. */
export class Handler<E extends Event = Event> {
  #value: EventHandler<E> = null;
  #listen: (() => void) | null;

  constructor(target: EventTarget, type: string) {
    this.#listen = () => target.addEventListener(type, (event) => this.#value?.call(target, event as E));
  }

  get value(): EventHandler<E> {
    return this.#value;
  }

  set value(handler: unknown) {
    this.#value = typeof handler === "function" ? (handler as EventHandler<E>) : null;
    if (!this.#value) return;
    this.#listen?.();
    this.#listen = null;
  }
}

class Monitor extends EventTarget implements CreateMonitor {
  readonly #handler = new Handler<ProgressEvent>(this, "downloadprogress");

  get ondownloadprogress(): CreateMonitor["ondownloadprogress"] {
    return this.#handler.value;
  }

  set ondownloadprogress(handler) {
    this.#handler.value = handler;
  }
}

/** Tells a monitor; of what was told, nothing is told again. */
export class Download {
  readonly #monitor = new Monitor();
  readonly #signal: AbortSignal | undefined;
  #last = -1;

  /** Throws what `listen` throws. */
  constructor(listen: ((monitor: CreateMonitor) => void) | undefined, signal: AbortSignal | undefined) {
    this.#signal = signal;
    listen?.(this.#monitor);
  }

  readonly report = ({ phase, loadedBytes, totalBytes }: Progress): void => {
    if (phase === "weights" && totalBytes > 0) this.tell(loadedBytes / totalBytes);
  };

  tell(part: number): void {
    const loaded = Math.floor(part * STEPS) / STEPS;
    if (loaded <= this.#last || this.#signal?.aborted) return;
    this.#last = loaded;
    this.#monitor.dispatchEvent(new ProgressEvent("downloadprogress", { loaded, total: 1, lengthComputable: true }));
  }
}
