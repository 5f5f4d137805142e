/** The engine's end of WebLLM's protocol, in a worker of its user's: `self.onmessage = (event) => handler.onmessage(event)`. */

import { MLCEngine } from "./engine.js";
import { webllmError } from "./errors.js";
import { log } from "./logger.js";
import { type Calls, type Kind, messageOf, type WorkerRequest, type WorkerResponse } from "./messages.js";
import type * as api from "./openai.js";
import type { AppConfig, ChatOptions, LogitProcessor, LogLevel } from "./types.js";

type Chunks = AsyncIterator<api.ChatCompletionChunk | api.Completion>;
type Handlers = { [K in Kind]: (content: Calls[K][0]) => Promise<Calls[K][1]> };

export class WebWorkerMLCEngineHandler {
  /** What is loaded. */
  modelId?: string[];
  chatOpts?: ChatOptions[];
  readonly #streams = new Map<string, Chunks>();
  readonly #handlers: Handlers;

  constructor(public engine = new MLCEngine()) {
    this.#handlers = this.#made();
    this.engine.setInitProgressCallback((report) => this.postMessage({ kind: "initProgressCallback", uuid: "", content: report }));
  }

  postMessage(message: WorkerResponse): void {
    (globalThis as unknown as { postMessage(message: unknown): void }).postMessage(message);
  }

  setLogitProcessorRegistry(logitProcessorRegistry?: Map<string, LogitProcessor>): void {
    this.engine.setLogitProcessorRegistry(logitProcessorRegistry);
  }

  /** Errors cross as what `toString()` makes of them. */
  async handleTask(uuid: string, task: () => Promise<unknown>): Promise<void> {
    try {
      this.postMessage({ kind: "return", uuid, content: (await task()) as never });
    } catch (error) {
      this.postMessage({ kind: "throw", uuid, content: String(error) });
    }
  }

  onmessage(event: unknown, onComplete?: (value: unknown) => void, onError?: () => void): void {
    const { kind, uuid, content } = messageOf<WorkerRequest>(event) ?? {};
    const handler = Object.hasOwn(this.#handlers, kind) ? (this.#handlers[kind as Kind] as (content: unknown) => Promise<unknown>) : undefined;
    if (handler) {
      const whole = (): Promise<unknown> => handler(content).then((value) => (onComplete?.(value), value));
      void this.handleTask(uuid, whole).then(() => onComplete?.(null));
    } else if (kind === "setLogLevel") {
      this.engine.setLogLevel(content as LogLevel);
      onComplete?.(null);
    } else if (kind === "setAppConfig") {
      this.engine.setAppConfig(content as AppConfig);
      onComplete?.(null);
    } else if (kind === "customRequest" || !kind || !content) {
      onComplete?.(null); // also what is not meant for this
    } else {
      onError?.();
      throw webllmError("UnknownMessageKindError", kind, content);
    }
  }

  /** A worker may have been ended, and with it what it had loaded, while its page goes on. */
  async reloadIfUnmatched(expectedModelId: string[], expectedChatOpts?: ChatOptions[]): Promise<void> {
    if (this.modelId?.join("\n") === expectedModelId.join("\n")) return;
    log.warn("The page expects models that are not loaded here, perhaps since this worker was ended meanwhile: they are loaded again.");
    await this.reload(expectedModelId, expectedChatOpts);
  }

  protected async reload(modelId: string[], chatOpts?: ChatOptions[]): Promise<void> {
    await this.engine.reload(modelId, chatOpts);
    this.modelId = modelId;
    if (chatOpts) this.chatOpts = chatOpts;
    else delete this.chatOpts;
  }

  #made(): Handlers {
    const matched = async <T>({ modelId, chatOpts }: { modelId: string[]; chatOpts?: ChatOptions[] }, then: () => Promise<T>): Promise<T> => {
      await this.reloadIfUnmatched(modelId, chatOpts);
      return then();
    };
    const nothing = async (done: unknown): Promise<null> => (await done, null);
    const kept = (streamId: string, chunks: AsyncIterable<api.ChatCompletionChunk | api.Completion>): null => {
      this.#streams.set(streamId, chunks[Symbol.asyncIterator]());
      return null;
    };
    return {
      reload: ({ modelId, chatOpts }) => nothing(this.reload(modelId, chatOpts)),
      chatCompletionNonStreaming: (given) => matched(given, () => this.engine.chatCompletion(given.request)),
      completionNonStreaming: (given) => matched(given, () => this.engine.completion(given.request)),
      embedding: (given) => matched(given, () => this.engine.embedding(given.request)),
      chatCompletionStreamInit: (given) => matched(given, async () => kept(given.streamId, await this.engine.chatCompletion(given.request))),
      completionStreamInit: (given) => matched(given, async () => kept(given.streamId, await this.engine.completion(given.request))),
      completionStreamNextChunk: ({ streamId }) => this.#next(streamId),
      completionStreamReturn: ({ streamId }) => nothing(this.#leave(streamId)),
      resumeChatCompletion: async ({ sessionId, options }) => (await this.engine.resumeChatCompletion(sessionId, options)) as Calls["resumeChatCompletion"][1],
      resumeChatCompletionStreamInit: async ({ sessionId, options, streamId }) => {
        const found = await this.engine.resumeChatCompletion(sessionId, options);
        return Symbol.asyncIterator in found ? kept(streamId, found) : found;
      },
      listResumableSessions: () => this.engine.listResumableSessions(),
      deleteResumableSession: ({ sessionId }) => nothing(this.engine.deleteResumableSession(sessionId)),
      forwardTokensAndSample: ({ inputIds, isPrefill, modelId }) => this.engine.forwardTokensAndSample(inputIds, isPrefill, modelId),
      runtimeStatsText: ({ modelId }) => this.engine.runtimeStatsText(modelId),
      getMessage: ({ modelId }) => this.engine.getMessage(modelId),
      resetChat: ({ keepStats, modelId }) => nothing(this.engine.resetChat(keepStats, modelId)),
      unload: () => nothing(this.#unload()),
      interruptGenerate: () => nothing(this.engine.interruptGenerate()),
      getMaxStorageBufferBindingSize: () => this.engine.getMaxStorageBufferBindingSize(),
      getGPUVendor: () => this.engine.getGPUVendor(),
    };
  }

  async #next(streamId: string): Promise<Calls["completionStreamNextChunk"][1]> {
    const chunks = this.#streams.get(streamId);
    if (!chunks) throw new Error("InternalError: Chunk generator in worker should be instantiated by now.");
    try {
      const { value, done } = await chunks.next();
      if (done) this.#streams.delete(streamId);
      return value;
    } catch (error) {
      this.#streams.delete(streamId);
      throw error;
    }
  }

  async #leave(streamId: string): Promise<void> {
    const chunks = this.#streams.get(streamId);
    this.#streams.delete(streamId);
    await chunks?.return?.();
  }

  async #unload(): Promise<void> {
    await this.engine.unload();
    delete this.modelId;
    delete this.chatOpts;
    this.#streams.clear();
  }
}

/** The same in the page itself, for the page's end. */
export class HandlerHere extends WebWorkerMLCEngineHandler {
  constructor(
    private readonly answer: (message: WorkerResponse) => void,
    engine?: MLCEngine,
  ) {
    super(engine);
  }

  override postMessage(message: WorkerResponse): void {
    this.answer(message);
  }
}
