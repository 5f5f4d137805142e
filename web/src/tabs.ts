/**
 * What the tabs of one origin, and its service worker, say to each other.  All hear one BroadcastChannel; each request has another one of
 * its own, so that nobody need carry ports: a service worker may be stopped at any time, and a tab's first visit has none.  Who is there
 * holds a Web Lock, which the browser frees when a tab is closed, crashes or is stopped.  Knows no engine.
 */

import type { WithoutId } from "./channel.js";
import type { FromWorker, ToWorker } from "./protocol.js";

/** What is asked of the engine, whoever has it. */
export type Asked = WithoutId<Exclude<ToWorker, { kind: "abort" | "close" | "credit" }>>;
export type Load = Extract<Asked, { kind: "load" }>;

/** A model that a tab uses; its name, once that is known. */
export interface Used {
  readonly load: Load;
  name?: string;
}

/** What all hear. */
export type ToAll =
  /** To whoever leads: the answer is expected on the request's channel. `uses`: what must be loaded; a service worker uses nothing itself. */
  | { readonly kind: "ask"; readonly id: string; readonly from: string; readonly asked: Asked; readonly uses: readonly Used[] | null }
  /** A tab, and what it uses. */
  | { readonly kind: "here"; readonly from: string; readonly uses: readonly Used[] }
  /** From now on. */
  | { readonly kind: "leads"; readonly leader: string };

/** On a request's channel. Streams flow by credits, as between page and worker. */
export type FromLeader = { readonly kind: "taken"; readonly leader: string } | WithoutId<Exclude<FromWorker, { kind: "ended" }>>;
export type ToLeader = { readonly kind: "credit"; readonly count: number } | { readonly kind: "abort" };

export const LEADER_LOCK = "fanlight-leader";
const WORDS = "fanlight 1"; // of this version: tabs with other words do not hear each other

export const allChannel = (): BroadcastChannel => new BroadcastChannel(WORDS);
export const requestChannel = (id: string): BroadcastChannel => new BroadcastChannel(`${WORDS} ${id}`);

/** Calls back with what comes on the channel. */
export function listen<T>(channel: BroadcastChannel, onMessage: (message: T) => void): void {
  channel.addEventListener("message", ({ data }: MessageEvent<T>) => onMessage(data));
}

/** Holds a tab's lock for as long as it lives, or until the signal fires. Resolves when it is held. */
export function beHere(id: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const hold = (): Promise<void> => {
      resolve();
      return new Promise((leave) => signal.addEventListener("abort", () => leave()));
    };
    navigator.locks.request(tabLock(id), hold).catch(reject);
  });
}

/** Calls back when a tab that was here is gone. */
export function whenGone(id: string, signal: AbortSignal, onGone: () => void): void {
  navigator.locks.request(tabLock(id), { signal }, onGone).catch(() => undefined); // nobody wants to know any more
}

const tabLock = (id: string): string => `fanlight-tab ${id}`;
