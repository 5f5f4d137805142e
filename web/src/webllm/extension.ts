/**
 * WebLLM's engine behind an extension's background script: both ends, which speak through a port.  A background script that is a service
 * worker may start no worker: it then asks the page, if that is this package's, to run the engine itself.
 */

import { log } from "./logger.js";
import type { WorkerRequest, WorkerResponse } from "./messages.js";
import type { ChatOptions, MLCEngineConfig } from "./types.js";
import { type ChatWorker, WebWorkerMLCEngine } from "./worker-engine.js";
import { HandlerHere, WebWorkerMLCEngineHandler } from "./worker-handler.js";

const KEEP_ALIVE_MS = 10_000;
const PORT = "web_llm_service_worker";
const HERE = "fanlight:runs-here"; // from the page: it can run an engine
const RUN = "fanlight:run"; // to the page: run the engine, and begin with this request

/** What of chrome.runtime is used. */
export interface ExtensionPort {
  postMessage(message: unknown): void;
  readonly onMessage: { addListener(listener: (message: never) => void): void };
  readonly onDisconnect: { addListener(listener: (port: never) => void): void };
}
interface Runtime {
  connect(...given: [{ name: string }] | [string, { name: string }]): ExtensionPort;
}
export interface ExtensionMLCEngineConfig extends MLCEngineConfig {
  extensionId?: string;
  onDisconnect?: () => void;
}

/** In the background script. */
export class ServiceWorkerMLCEngineHandler extends WebWorkerMLCEngineHandler {
  port: ExtensionPort | null = null;
  readonly #isRelay = typeof Worker === "undefined";
  #canPage = false;

  constructor(port: ExtensionPort) {
    super();
    this.setPort(port);
  }

  setPort(port: ExtensionPort): void {
    this.port = port;
    this.#canPage = false;
    port.onDisconnect.addListener(() => this.onPortDisconnect(port));
  }

  onPortDisconnect(port: ExtensionPort): void {
    if (port === this.port) this.port = null;
  }

  override postMessage(message: WorkerResponse): void {
    this.port?.postMessage(message);
  }

  override onmessage(event: unknown): void {
    const message = event as WorkerRequest;
    const { kind, uuid, content } = message as unknown as { kind?: string; uuid?: string; content?: unknown };
    if (kind === HERE) this.#canPage = true;
    if (kind === HERE || kind === "keepAlive") return;
    if (!this.#isRelay) return super.onmessage(event);
    if (this.#canPage) return this.port?.postMessage({ kind: RUN, uuid: "", request: message });
    if (content !== undefined && uuid) {
      const why = "Error: A background script that is a service worker cannot run the engine, and the page is not one of fanlight/webllm.";
      this.postMessage({ kind: "throw", uuid, content: why });
    }
  }

  /** What is loaded already is not loaded again. */
  protected override async reload(modelId: string[], chatOpts?: ChatOptions[]): Promise<void> {
    if (JSON.stringify([modelId, chatOpts]) === JSON.stringify([this.modelId, this.chatOpts])) return;
    await super.reload(modelId, chatOpts);
  }
}

export async function CreateServiceWorkerMLCEngine(
  modelId: string | string[],
  engineConfig?: ExtensionMLCEngineConfig,
  chatOpts?: ChatOptions | ChatOptions[],
  keepAliveMs = KEEP_ALIVE_MS,
): Promise<ServiceWorkerMLCEngine> {
  const engine = new ServiceWorkerMLCEngine(engineConfig, keepAliveMs);
  await engine.reload(modelId, chatOpts);
  return engine;
}

/** In a page of the extension. */
export class ServiceWorkerMLCEngine extends WebWorkerMLCEngine {
  port: ExtensionPort;
  extensionId?: string;
  #local: HandlerHere | null = null;

  constructor(engineConfig: ExtensionMLCEngineConfig = {}, keepAliveMs = KEEP_ALIVE_MS) {
    const { extensionId, onDisconnect, ...config } = engineConfig;
    const { runtime } = (globalThis as unknown as { chrome: { runtime: Runtime } }).chrome;
    const port = extensionId === undefined ? runtime.connect({ name: PORT }) : runtime.connect(extensionId, { name: PORT });
    port.postMessage({ kind: HERE, uuid: "" });
    super(new PortWorker(port), config);
    this.port = port;
    if (extensionId !== undefined) this.extensionId = extensionId;
    const keepAlive = setInterval(() => this.worker.postMessage({ kind: "keepAlive", uuid: crypto.randomUUID() }), keepAliveMs);
    port.onDisconnect.addListener(() => {
      clearInterval(keepAlive);
      onDisconnect?.();
    });
  }

  override onmessage(event: unknown): void {
    const { kind, request } = event as { kind?: string; request?: WorkerRequest };
    if (kind !== RUN) return super.onmessage(event);
    if (!this.#local) log.info("The engine runs in this page, since the background script cannot start a worker: it ends with the page.");
    this.#local ??= new HandlerHere((message) => super.onmessage(message));
    this.#local.onmessage(request);
  }
}

/** A port as a worker. */
class PortWorker implements ChatWorker {
  onmessage: ((message: unknown) => void) | null = null;

  constructor(private readonly port: ExtensionPort) {
    port.onMessage.addListener((message: never) => this.onmessage?.(message));
  }

  postMessage(message: unknown): void {
    this.port.postMessage(message);
  }
}
