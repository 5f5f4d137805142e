/**
 * Keeps the page's own files for opening it offline.  The network comes first, so a new version shows at once; what the cache has is for
 * when there is no network.  Models are not here: the package keeps them in OPFS.
 */

interface ExtendableEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends ExtendableEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
interface WorkerScope {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", listener: (event: ExtendableEvent) => void): void;
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
}

const worker = self as unknown as WorkerScope;
const CACHE = `fanlight-page-${FANLIGHT_BUILD}`;
const START = "index.html";

worker.addEventListener("install", (event) => event.waitUntil(keepFiles()));
worker.addEventListener("activate", (event) => event.waitUntil(replaceOlder()));
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  const isOurs = origin === location.origin && request.method === "GET" && !request.headers.has("Range") && !pathname.endsWith(".gguf");
  if (isOurs) event.respondWith(fetchOrKept(request));
});

/** files.json: the list of the build's files. */
async function keepFiles(): Promise<void> {
  const response = await fetch("files.json", { cache: "no-cache" });
  const names = (await response.json()) as string[];
  const cache = await caches.open(CACHE);
  await cache.addAll(names.map((name) => new Request(name, { cache: "no-cache" })));
  await worker.skipWaiting();
}

async function replaceOlder(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith("fanlight-page-") && name !== CACHE).map((name) => caches.delete(name)));
  await worker.clients.claim();
}

async function fetchOrKept(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const cache = await caches.open(CACHE);
    const isStart = request.mode === "navigate" && new URL("./", request.url).href === worker.registration.scope;
    const kept = isStart ? await cache.match(START) : await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
