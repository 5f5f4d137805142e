/**
 * An engine that several pages share through a service worker.  A service worker may start no worker, and is ended after half a minute
 * without events: so one of the pages hosts the engine, and the service worker only passes messages on.  Both talk WebLLM's protocol to
 * others; among themselves they have these two messages, which WebLLM's own ends pass over.
 */

import { log } from "./logger.js";
import type { WorkerRequest, WorkerResponse } from "./messages.js";
import { label } from "./progress.js";
import type { ChatOptions } from "./types.js";
import { WebWorkerMLCEngineHandler } from "./worker-handler.js";

/** To a page: who hosts?  With a port for `HostAnswer`. */
export const WHO_HOSTS = "fanlight:who-hosts";
/** To a page: host the engine for who speaks through this port. */
export const HOST = "fanlight:host";
export interface HostAnswer {
  readonly isHost: boolean;
}

const ANSWER_MS = 2000;

// --- in the page -----------------------------------------------------------------------------------------------------
/** The engine of a page, for all that speak through ports. */
export class Host extends WebWorkerMLCEngineHandler {
  readonly #ports = new Map<string, MessagePort>(); // by the request's uuid
  #loading: MessagePort | null = null;

  serve(port: MessagePort): void {
    port.onmessage = ({ data }: MessageEvent<WorkerRequest>) => {
      this.#ports.set(data.uuid, port);
      if (data.kind === "reload") this.#loading = port;
      this.onmessage(data);
    };
  }

  override postMessage(message: WorkerResponse): void {
    const port = message.kind === "initProgressCallback" ? this.#loading : this.#ports.get(message.uuid);
    this.#ports.delete(message.uuid);
    port?.postMessage(message);
  }

  /** What is loaded already for another page is not loaded again. */
  protected override async reload(modelId: string[], chatOpts?: ChatOptions[]): Promise<void> {
    if (JSON.stringify([modelId, chatOpts]) !== JSON.stringify([this.modelId, this.chatOpts])) return super.reload(modelId, chatOpts);
    const info = (await navigator.gpu.requestAdapter())?.info ?? { description: "", vendor: "" };
    this.engine.getInitProgressCallback()?.({ progress: 1, timeElapsed: 0, text: `Finish loading on ${label(info)}` });
  }
}

let host: Host | null = null;

/** From here on this page hosts the engine, if the service worker asks it to. */
export function offerToHost(container: ServiceWorkerContainer): void {
  if (offered) return;
  offered = true;
  container.addEventListener("message", ({ data, ports: [port] }: MessageEvent<{ kind?: string }>) => {
    if (data?.kind === WHO_HOSTS) port?.postMessage({ isHost: host !== null } satisfies HostAnswer);
    if (data?.kind === HOST && port) (host ??= new Host()).serve(port);
  });
  container.startMessages();
}
let offered = false;

// --- in the service worker -------------------------------------------------------------------------------------------
/** What of a service worker's scope is used: the types of this package are a page's. */
interface Client {
  readonly id: string;
  postMessage(message: unknown, transfer?: Transferable[]): void;
}
interface Clients {
  get(id: string): Promise<Client | undefined>;
  matchAll(options: { type: "window"; includeUncontrolled: boolean }): Promise<readonly Client[]>;
}

/** Passes a page's requests on to the page that hosts, and what that answers back. */
export class Relay {
  #host: { readonly id: string; readonly ports: Map<string, MessagePort> } | null = null; // a port for each asking page
  readonly #open = new Map<string, { readonly client: Client; done(): void }>(); // by the request's uuid

  constructor(private readonly clients: Clients) {}

  /** Resolves when the request is answered. */
  async pass(client: Client, message: WorkerRequest): Promise<void> {
    const isAnswered = !["setLogLevel", "setAppConfig", "customRequest"].includes(message.kind);
    try {
      const port = await this.#portFor(client);
      const answered = isAnswered ? new Promise<void>((done) => this.#open.set(message.uuid, { client, done })) : undefined;
      port.postMessage(message);
      await answered;
    } catch (error) {
      if (isAnswered) client.postMessage({ kind: "throw", uuid: message.uuid, content: String(error) } satisfies WorkerResponse);
    }
  }

  /** What waits for a page that is gone is told so. */
  async check(): Promise<void> {
    if (!this.#host || (await this.clients.get(this.#host.id))) return;
    this.#host = null;
    for (const [uuid, { client, done }] of this.#open) {
      client.postMessage({ kind: "throw", uuid, content: "Error: The page that ran the engine was closed. Ask again: another page loads the model." });
      done();
    }
    this.#open.clear();
  }

  async #portFor(client: Client): Promise<MessagePort> {
    await this.check();
    this.#host ??= { id: (await this.#chosen(client)).id, ports: new Map() };
    const known = this.#host.ports.get(client.id);
    if (known) return known;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }: MessageEvent<WorkerResponse>) => this.#answered(client, data);
    (await this.clients.get(this.#host.id))?.postMessage({ kind: HOST }, [port2]);
    this.#host.ports.set(client.id, port1);
    return port1;
  }

  #answered(client: Client, message: WorkerResponse): void {
    client.postMessage(message);
    if (message.kind === "initProgressCallback") return;
    this.#open.get(message.uuid)?.done();
    this.#open.delete(message.uuid);
  }

  /** The page that hosts already, as where this service worker was ended and started again; else who asks, if it can; else any. */
  async #chosen(client: Client): Promise<Client> {
    const pages = await this.clients.matchAll({ type: "window", includeUncontrolled: true });
    const answers = await Promise.all(pages.map(async (page) => ({ page, answer: await whetherHosts(page) })));
    const able = answers.filter(({ answer }) => answer !== null);
    const chosen = able.find(({ answer }) => answer?.isHost) ?? able.find(({ page }) => page.id === client.id) ?? able[0];
    if (!chosen) throw new Error("No page can run the engine: a service worker cannot, and none of its pages has imported ServiceWorkerMLCEngine of fanlight/webllm.");
    log.info("The engine runs in the page", chosen.page.id);
    return chosen.page;
  }
}

async function whetherHosts(page: Client): Promise<HostAnswer | null> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = ({ data }: MessageEvent<HostAnswer>) => resolve(data);
    setTimeout(() => resolve(null), ANSWER_MS);
    page.postMessage({ kind: WHO_HOSTS }, [port2]);
  });
}
