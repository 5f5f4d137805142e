/**
 * For a site's service worker: answers OpenAI's and Ollama's paths below its scope with the engine that a tab of the site shares
 * (`shareEngine`).  No model is computed here: a browser stops a service worker when it likes.
 */

import { Asker } from "./asker.js";
import { apiPath, type Call, makeFetch } from "./http.js";

const PATIENCE_MS = 1000; // without a tab that leads
const STAY_MS = 25_000; // a browser stops a service worker that waits for one event for minutes; who leads sends others

interface FetchEvent {
  readonly request: Request;
  respondWith(response: Response | Promise<Response>): void;
  waitUntil(work: Promise<unknown>): void;
}

let answer: typeof fetch | null = null;

/** Whether it answers the event: `addEventListener("fetch", (event) => { if (!route(event)) ... })`. */
export function route(event: FetchEvent): boolean {
  if (!isAsked(event.request)) return false;
  answer ??= makeFetch(call());
  event.respondWith(answer(event.request));
  event.waitUntil(new Promise((resolve) => setTimeout(resolve, STAY_MS)));
  return true;
}

/** Whether its path is one that an engine answers. */
export function isAsked({ url }: Request): boolean {
  const { registration } = self as unknown as { readonly registration: { readonly scope: string } };
  const href = url.split(/[?#]/)[0] as string;
  const path = `/${href.slice(registration.scope.length)}`;
  return href.startsWith(registration.scope) && apiPath(path) === path;
}

function call(): Call {
  const asker = new Asker({ patienceMs: PATIENCE_MS, uses: () => null });
  return (path, body, signal) => asker.ask({ kind: "handle", args: [path, body] }, signal);
}
