/** A whole service worker, for a site that has none; in one that is no module: `importScripts` of this file. */

import { route } from "./service-worker.js";

interface Scope {
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate" | "fetch", listener: (event: Parameters<typeof route>[0]) => void): void;
}

const worker = self as unknown as Scope;
worker.addEventListener("install", (event) => event.waitUntil(worker.skipWaiting()));
worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener("fetch", (event) => void route(event));
