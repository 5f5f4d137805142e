/**
 * Answers `/v1/...` with the engine that a tab shares, unless the page's own server does, and keeps the page's files for opening it offline.
 * The network comes first, so a new version shows at once; files whose name or address changes with their content are asked for once.
 * Nothing is fetched for the keeping: a file is kept as it is used, and what was used before, out of the browser's cache.  Models are not
 * here: the package keeps them in OPFS.
 */

import { isAsked, route } from "../src/service-worker.js";

interface ExtendableEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends ExtendableEvent {
  readonly request: Request;
  respondWith(response: Response | Promise<Response>): void;
}
interface WorkerScope {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", listener: (event: ExtendableEvent) => void): void;
  addEventListener(type: "message", listener: (event: ExtendableEvent & { readonly data: unknown }) => void): void;
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
}

const worker = self as unknown as WorkerScope;
const CACHE = `fanlight-page-${FANLIGHT_BUILD}`;
const START = "index.html";
const LIST = "files.json";
const LASTING = /-[A-Z0-9]{8}\.js$/; // esbuild's names of parts
const SERVER = "v1/models?of=server"; // as demo/served.ts asks: of the server, whoever else answers

worker.addEventListener("install", (event) => event.waitUntil(worker.skipWaiting()));
worker.addEventListener("activate", (event) => event.waitUntil(replaceOlder()));
worker.addEventListener("message", (event) => event.data === "keep" && event.waitUntil(keepUsed()));
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname, href } = new URL(request.url);
  if (href === new URL(SERVER, worker.registration.scope).href) return;
  if (isAsked(request)) return answer(event);
  const isOurs = origin === location.origin && request.method === "GET" && !request.headers.has("Range") && !pathname.endsWith(".gguf");
  if (isOurs) event.respondWith(fetchAndKeep(event));
});

// --- the engine ------------------------------------------------------------------------------------------------------
let served: Promise<boolean> | null = null;

/** `fanlight serve MODEL` answers itself. */
function isServed(): Promise<boolean> {
  return (served ??= fetch(SERVER).then(({ ok, status }) => ok || status === 401, () => false));
}

function answer(event: FetchEvent): void {
  const { request } = event;
  const routed = (): Promise<Response> =>
    new Promise((resolve) => void route({ request, respondWith: (response) => resolve(response), waitUntil: (work) => event.waitUntil(work) }));
  event.respondWith(isServed().then((isThere) => (isThere ? fetch(request) : routed())));
}

// --- offline ---------------------------------------------------------------------------------------------------------
/** What the page used before this worker saw it. files.json: the list of the build's files. */
async function keepUsed(): Promise<void> {
  const cache = await caches.open(CACHE);
  const list = (await cache.match(LIST)) ?? (await fetch(LIST));
  await keep(cache, LIST, list.clone());
  const names = (await list.json()) as string[];
  for (const name of names) {
    for (const used of name === START ? ["./", START] : [name, `${name}?v=${FANLIGHT_BUILD}`]) {
      const kept = name === START ? START : used;
      if (await cache.match(kept)) continue;
      const response = await fetch(used, { cache: "only-if-cached", mode: "same-origin" }).catch(() => null);
      if (response) await keep(cache, kept, response);
    }
  }
}

async function replaceOlder(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith("fanlight-page-") && name !== CACHE).map((name) => caches.delete(name)));
  await worker.clients.claim();
}

async function fetchAndKeep(event: FetchEvent): Promise<Response> {
  const { request } = event;
  const cache = await caches.open(CACHE);
  const isStart = request.mode === "navigate" && new URL("./", request.url).href === worker.registration.scope;
  const name = isStart ? START : request;
  const isLasting = LASTING.test(new URL(request.url).pathname) || request.url.endsWith(`?v=${FANLIGHT_BUILD}`);
  const lasting = isLasting && (await cache.match(name));
  if (lasting) return lasting;
  try {
    const response = await fetch(request);
    event.waitUntil(keep(cache, name, response.clone()));
    return response;
  } catch (error) {
    const kept = await cache.match(name, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

async function keep(cache: Cache, name: RequestInfo, response: Response): Promise<void> {
  if (response.ok && response.status === 200) await cache.put(name, response).catch(() => undefined); // it is full
}
