/** WebLLM's engine behind a service worker: both ends.  Where the engine really is: relay.ts. */

import { webllmError } from "./errors.js";
import { log } from "./logger.js";
import type { WorkerRequest } from "./messages.js";
import { offerToHost, Relay } from "./relay.js";
import type { ChatOptions, MLCEngineConfig } from "./types.js";
import { type ChatWorker, WebWorkerMLCEngine } from "./worker-engine.js";
import { WebWorkerMLCEngineHandler } from "./worker-handler.js";

const KEEP_ALIVE_MS = 10_000;

// --- in the service worker -------------------------------------------------------------------------------------------
interface Scope {
  readonly clients: ConstructorParameters<typeof Relay>[0];
  addEventListener(type: "message", listener: (event: ClientMessage) => void): void;
}
interface ClientMessage extends MessageEvent<WorkerRequest> {
  readonly source: (MessageEventSource & { readonly id: string }) | null;
  waitUntil(done: Promise<unknown>): void;
}

/** Make it while the script is first evaluated: a service worker that is started again hears no `activate`. */
export class ServiceWorkerMLCEngineHandler extends WebWorkerMLCEngineHandler {
  readonly #relay: Relay;

  constructor() {
    const scope = globalThis as unknown as Partial<Scope>;
    if (!scope.addEventListener || !scope.clients) throw webllmError("NonWorkerEnvironmentError", "ServiceWorkerMLCEngineHandler");
    super();
    this.#relay = new Relay(scope.clients);
    scope.addEventListener("message", (event) => event.waitUntil(new Promise((resolve) => this.onmessage(event, resolve))));
  }

  override onmessage(event: unknown, onComplete?: (value: unknown) => void): void {
    const { data, source } = event as ClientMessage;
    const client = source as unknown as Parameters<Relay["pass"]>[0] | null;
    if (!client || !data?.kind || !data.uuid) return onComplete?.(null);
    if (data.kind === "keepAlive") {
      client.postMessage({ kind: "heartbeat", uuid: data.uuid });
      void this.#relay.check().then(() => onComplete?.(null));
    } else if (data.content === undefined) {
      onComplete?.(null); // its host's own message
    } else {
      void this.#relay.pass(client, data).then(() => onComplete?.(null));
    }
  }
}

// --- in the page -----------------------------------------------------------------------------------------------------
export async function CreateServiceWorkerMLCEngine(
  modelId: string | string[],
  engineConfig?: MLCEngineConfig,
  chatOpts?: ChatOptions | ChatOptions[],
  keepAliveMs = KEEP_ALIVE_MS,
): Promise<ServiceWorkerMLCEngine> {
  const container = containerHere();
  const registration = await container.ready;
  if (!registration.active && !container.controller) throw webllmError("ServiceWorkerInitializationError");
  const engine = new ServiceWorkerMLCEngine(engineConfig, keepAliveMs);
  await engine.reload(modelId, chatOpts);
  return engine;
}

export class ServiceWorkerMLCEngine extends WebWorkerMLCEngine {
  /** Of what was sent to keep the service worker alive, how many in a row were not answered. */
  missedHeartbeat = 0;

  constructor(engineConfig?: MLCEngineConfig, keepAliveMs = KEEP_ALIVE_MS) {
    const container = containerHere();
    offerToHost(container);
    super(new ServiceWorker(container), engineConfig);
    setInterval(() => {
      this.worker.postMessage({ kind: "keepAlive", uuid: crypto.randomUUID() });
      this.missedHeartbeat += 1;
    }, keepAliveMs);
  }

  /** As WebLLM Chat spells it. */
  get missedHeatbeat(): number {
    return this.missedHeartbeat;
  }

  override onmessage(event: unknown): void {
    const { data } = event as MessageEvent<{ kind?: string }>;
    if (data?.kind === "heartbeat") {
      this.missedHeartbeat = 0;
      return;
    }
    try {
      super.onmessage(event);
    } catch (error) {
      log.debug("a message of another engine of this page", error);
    }
  }
}

/** The service worker as a worker. */
class ServiceWorker implements ChatWorker {
  #listener: (event: unknown) => void = () => undefined;

  constructor(private readonly container: ServiceWorkerContainer) {}

  set onmessage(listener: (event: unknown) => void) {
    this.#listener = listener;
    this.container.addEventListener("message", listener);
    this.container.startMessages();
  }

  /** A page that is not controlled, as at the first visit, speaks to the one that will be active. */
  postMessage(message: unknown): void {
    if (this.container.controller) this.container.controller.postMessage(message);
    else void this.#later(message as WorkerRequest);
  }

  async #later(message: WorkerRequest): Promise<void> {
    if (await this.container.getRegistration()) return (await this.container.ready).active?.postMessage(message);
    this.#listener({ data: { kind: "throw", uuid: message.uuid, content: "Error: There is no active service worker" } });
  }
}

function containerHere(): ServiceWorkerContainer {
  const container = (globalThis.navigator as Partial<Navigator> | undefined)?.serviceWorker;
  if (!container) throw webllmError("NoServiceWorkerAPIError");
  return container;
}
