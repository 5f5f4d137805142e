/**
 * The tab that has the engine, for all of its origin.  Its worker is started with the first request, models are loaded when who uses them
 * first asks for something, and unloaded when nobody uses them any more.  Knows no OpenAI.
 */

import { type Answer, type Channel, WINDOW } from "./channel.js";
import { dataFromError, EngineClosed } from "./errors.js";
import type { Progress } from "./protocol.js";
import { allChannel, type Asked, type FromLeader, listen, type Load, requestChannel, type ToAll, type ToLeader, type Used, whenGone } from "./tabs.js";

const STAY_MS = 15_000; // a service worker is stopped after 30 s in which nothing happens to it

/** A tab, or a service worker, that asks. */
interface Guest {
  uses: readonly Used[];
  readonly asks: Set<AbortController>;
}

type Listening = [signal?: AbortSignal | undefined, onProgress?: ((progress: Progress) => void) | undefined];

interface Model {
  readonly answer: Promise<Answer>;
  readonly aborter: AbortController;
  readonly waiting: Set<(progress: Progress) => void>;
  name?: string;
}

export class Leader {
  #id: string;
  #open: () => Channel;
  #channel: Channel | null = null;
  #models = new Map<string, Model>(); // by what was asked for
  #guests = new Map<string, Guest>();
  #all = allChannel();
  #ending = new AbortController();
  #stayed = 0;

  /** id: of the tab's own asker; uses: what the tab uses itself. */
  constructor(id: string, uses: readonly Used[], open: () => Channel) {
    this.#id = id;
    this.#open = open;
    this.#guest(id).uses = uses;
    listen<ToAll>(this.#all, (message) => {
      if (message.kind === "here") void this.#meet(message.from, message.uses).catch(() => undefined);
      if (message.kind === "ask") void this.#answer(message);
    });
    this.#all.postMessage({ kind: "leads", leader: id } satisfies ToAll);
  }

  /** Ends the engine, and all answers; who waits for them asks the next leader. */
  async end(): Promise<void> {
    this.#ending.abort();
    this.#all.close();
    const channel = this.#channel;
    this.#channel = null;
    await channel?.close();
  }

  /** As the engine answers, where what it needs is loaded. */
  async ask(from: string, asked: Asked, uses: readonly Used[] | null, ...rest: Listening): Promise<Answer> {
    if (uses) await this.#meet(from, uses);
    if (asked.kind === "load") return this.#load(asked, ...rest);
    if (asked.kind === "unload") return { kind: "value", json: "null" }; // `#meet` did what there is to do
    for (const { load } of uses ?? this.#needed(asked)) await this.#load(load, rest[0]);
    return this.#engine().request(asked, ...rest);
  }

  #engine(): Channel {
    if (this.#ending.signal.aborted) throw new EngineClosed("The engine was closed.");
    return (this.#channel ??= this.#open());
  }

  /** What a service worker's request may mean: the model that it names, or the first. */
  #needed(asked: Asked): readonly Used[] {
    const known = [this.#guests.get(this.#id), ...this.#guests.values()].flatMap((guest) => guest?.uses ?? []);
    const name = asked.kind === "handle" ? nameIn(asked.args[1]) : undefined;
    const named = known.filter((used) => name !== undefined && used.name === name);
    return (named.length || this.#models.size ? named : known).slice(0, 1);
  }

  /** Once for all who want it; it is given up when none does any more. */
  async #load(load: Load, signal?: AbortSignal, onProgress: (progress: Progress) => void = () => undefined): Promise<Answer> {
    const key = keyOf(load);
    const model = this.#models.get(key) ?? this.#begin(load, key);
    const waiter = (progress: Progress): void => onProgress(progress);
    model.waiting.add(waiter);
    const aborted = new Promise<never>((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason as Error)));
    try {
      return await Promise.race([model.answer, aborted]);
    } finally {
      model.waiting.delete(waiter);
      if (signal?.aborted && !model.waiting.size) model.aborter.abort();
    }
  }

  #begin(load: Load, key: string): Model {
    const [aborter, waiting] = [new AbortController(), new Set<(progress: Progress) => void>()];
    const tell = (progress: Progress): void => waiting.forEach((told) => told(progress));
    const model: Model = { answer: this.#engine().request(load, aborter.signal, tell), aborter, waiting };
    this.#models.set(key, model);
    model.answer.then(
      (answer) => answer.kind === "value" && (model.name = (JSON.parse(answer.json) as { model: string }).model),
      () => this.#models.delete(key),
    );
    return model;
  }

  // --- who is there --------------------------------------------------------------------------------------------------
  async #meet(from: string, uses: readonly Used[]): Promise<void> {
    this.#guest(from).uses = uses;
    await this.#sweep();
  }

  #guest(from: string): Guest {
    let guest = this.#guests.get(from);
    if (!guest) {
      this.#guests.set(from, (guest = { uses: [], asks: new Set() }));
      whenGone(from, this.#ending.signal, () => this.#forget(from));
    }
    return guest;
  }

  #forget(from: string): void {
    for (const ask of this.#guests.get(from)?.asks ?? []) ask.abort(new DOMException("Who asked is gone.", "AbortError"));
    this.#guests.delete(from);
    void this.#sweep().catch(() => undefined);
  }

  /** Unloads what nobody uses. */
  async #sweep(): Promise<void> {
    const used = new Set([...this.#guests.values()].flatMap(({ uses }) => uses.map(({ load }) => keyOf(load))));
    for (const [key, model] of this.#models) {
      if (used.has(key) || model.name === undefined) continue;
      this.#models.delete(key);
      await this.#channel?.request({ kind: "unload", args: [model.name] });
    }
  }

  // --- who asks from elsewhere -----------------------------------------------------------------------------------------
  async #answer({ id, from, asked, uses }: Extract<ToAll, { kind: "ask" }>): Promise<void> {
    const channel = requestChannel(id);
    const aborter = new AbortController();
    const window = new Window();
    const post = (message: FromLeader): void => {
      if (!aborter.signal.aborted) channel.postMessage(message);
      if (uses === null) this.#keepAwake();
    };
    listen<ToLeader>(channel, (message) => {
      if (message.kind === "credit") return window.add(message.count);
      aborter.abort(new DOMException("The operation was aborted.", "AbortError"));
    });
    this.#ending.signal.addEventListener("abort", () => aborter.abort(), { signal: aborter.signal });
    const guest = this.#guest(from);
    guest.asks.add(aborter);
    const awake = uses === null ? setInterval(() => this.#keepAwake(), STAY_MS) : undefined;
    post({ kind: "taken", leader: this.#id });
    try {
      const answer = await this.ask(from, asked, uses, aborter.signal, (progress) => post({ kind: "progress", progress }));
      if (answer.kind === "value") return post(answer);
      await window.send(answer.items, aborter.signal, (json) => post({ kind: "item", json }));
      post({ kind: "end" });
    } catch (error) {
      post({ kind: "error", error: dataFromError(error) });
    } finally {
      clearInterval(awake);
      guest.asks.delete(aborter);
      aborter.abort();
      channel.close();
    }
  }

  /** Whatever happens to a service worker lets it live on. */
  #keepAwake(): void {
    if (Date.now() - this.#stayed < STAY_MS / 2) return;
    this.#stayed = Date.now();
    void navigator.serviceWorker?.getRegistration().then((registration) => registration?.active?.postMessage({ fanlight: "stay" }));
  }
}

/** How many pieces a reader still takes. */
class Window {
  #left = WINDOW;
  #wake = (): void => undefined;

  add(count: number): void {
    this.#left += count;
    this.#wake();
  }

  async send(items: AsyncGenerator<string>, signal: AbortSignal, post: (json: string) => void): Promise<void> {
    signal.addEventListener("abort", () => this.#wake());
    for await (const json of items) {
      post(json);
      this.#left--;
      while (this.#left <= 0 && !signal.aborted) await new Promise<void>((resolve) => (this.#wake = resolve));
      if (signal.aborted) return;
    }
  }
}

function keyOf({ model, settings }: Load): string {
  const files = model.kind === "files" ? model.files.map(({ name, size, lastModified }) => [name, size, lastModified]) : model;
  return JSON.stringify([files, settings]);
}

function nameIn(body: string): string | undefined {
  try {
    return (JSON.parse(body) as { model?: string } | null)?.model;
  } catch {
    return undefined; // the engine says so
  }
}
