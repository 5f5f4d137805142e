/**
 * WebLLM's engine behind a service worker: both ends.  A service worker may start no worker, and is ended after half a minute without events:
 * the engine is in one of the pages, which share it (../share.ts), and the service worker only says that it is there.
 */

import { shareEngine } from "../share.js";
import { MLCEngine } from "./engine.js";
import { webllmError } from "./errors.js";
import type { WorkerRequest, WorkerResponse } from "./messages.js";
import type { ChatOptions, MLCEngineConfig } from "./types.js";
import { type ChatWorker, WebWorkerMLCEngine } from "./worker-engine.js";
import { HandlerHere, WebWorkerMLCEngineHandler } from "./worker-handler.js";

const KEEP_ALIVE_MS = 10_000;
const NOTICES: readonly string[] = ["setLogLevel", "setAppConfig", "customRequest"];
const ELSEWHERE = "Error: A service worker cannot run the engine. Import ServiceWorkerMLCEngine of fanlight/webllm in the page, too: the page then runs it.";

// --- in the service worker -------------------------------------------------------------------------------------------
interface Scope {
  readonly clients: object;
  addEventListener(type: "message", listener: (event: MessageEvent<WorkerRequest>) => void): void;
}

/** Make it while the script is first evaluated: a service worker that is started again hears no `activate`. */
export class ServiceWorkerMLCEngineHandler extends WebWorkerMLCEngineHandler {
  constructor() {
    const scope = globalThis as unknown as Partial<Scope>;
    if (!scope.addEventListener || !scope.clients) throw webllmError("NonWorkerEnvironmentError", "ServiceWorkerMLCEngineHandler");
    super();
    scope.addEventListener("message", (event) => this.onmessage(event));
  }

  override onmessage(event: unknown, onComplete?: (value: unknown) => void): void {
    const { data, source } = event as MessageEvent<WorkerRequest | undefined>;
    const answer = (message: WorkerResponse): void => source?.postMessage(message);
    if (data?.uuid && data.kind === "keepAlive") answer({ kind: "heartbeat", uuid: data.uuid });
    else if (data?.uuid && data.content !== undefined && !NOTICES.includes(data.kind)) answer({ kind: "throw", uuid: data.uuid, content: ELSEWHERE });
    onComplete?.(null);
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
    super(sharedWorker(), engineConfig);
    container.addEventListener("message", ({ data }: MessageEvent<{ kind?: string } | undefined>) => {
      if (data?.kind === "heartbeat") this.missedHeartbeat = 0;
    });
    container.startMessages();
    setInterval(() => {
      void beat(container);
      this.missedHeartbeat += 1;
    }, keepAliveMs);
  }

  /** As WebLLM Chat spells it. */
  get missedHeatbeat(): number {
    return this.missedHeartbeat;
  }
}

/** The engine that this origin's pages share, as if it were in a worker of this page's. */
function sharedWorker(): ChatWorker {
  const handler = new HandlerHere((message) => worker.onmessage({ data: message }), new MLCEngine({}, shareEngine));
  const worker: ChatWorker = {
    onmessage: null,
    postMessage: (message) => handler.onmessage({ data: structuredClone(message) }),
  };
  return worker;
}

/** A page that is not controlled, as at the first visit, speaks to the one that is active. */
async function beat(container: ServiceWorkerContainer): Promise<void> {
  const to = container.controller ?? (await container.getRegistration())?.active;
  to?.postMessage({ kind: "keepAlive", uuid: crypto.randomUUID() });
}

function containerHere(): ServiceWorkerContainer {
  const container = (globalThis.navigator as Partial<Navigator> | undefined)?.serviceWorker;
  if (!container) throw webllmError("NoServiceWorkerAPIError");
  return container;
}
