/** The page's end of WebLLM's protocol: `MLCEngine`'s interface, for an engine that is elsewhere. */

import { errorFromText, webllmError } from "./errors.js";
import { Chat, Completions, Embeddings } from "./groups.js";
import { log, setLevel } from "./logger.js";
import { type Calls, type Kind, messageOf, type Notices, type WorkerResponse } from "./messages.js";
import { modelToUse } from "./models.js";
import type * as api from "./openai.js";
import type {
  AppConfig,
  ChatOptions,
  InitProgressCallback,
  LogLevel,
  MLCEngineConfig,
  MLCEngineInterface,
  ResumeChatCompletionOptions,
  ResumeProbeResult,
  ResumeResult,
} from "./types.js";

/** A worker, or what looks like one. */
export interface ChatWorker {
  // biome-ignore lint: WebLLM's own type
  onmessage: any;
  postMessage: (message: unknown) => void;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export async function CreateWebWorkerMLCEngine(
  worker: ChatWorker,
  modelId: string | string[],
  engineConfig?: MLCEngineConfig,
  chatOpts?: ChatOptions | ChatOptions[],
): Promise<WebWorkerMLCEngine> {
  const engine = new WebWorkerMLCEngine(worker, engineConfig);
  await engine.reload(modelId, chatOpts);
  return engine;
}

export class WebWorkerMLCEngine implements MLCEngineInterface {
  worker: ChatWorker;
  readonly chat = new Chat(this);
  readonly completions = new Completions(this);
  readonly embeddings = new Embeddings(this);
  modelId?: string[];
  chatOpts?: ChatOptions[];
  #onProgress: InitProgressCallback | undefined;
  readonly #waiting = new Map<string, Waiting>();

  constructor(worker: ChatWorker, config: MLCEngineConfig = {}) {
    this.worker = worker;
    worker.onmessage = (event: unknown) => this.onmessage(event);
    if (config.appConfig) this.setAppConfig(config.appConfig);
    if (config.logLevel) this.setLogLevel(config.logLevel);
    this.#onProgress = config.initProgressCallback;
    if (config.logitProcessorRegistry) {
      log.warn("logitProcessorRegistry is passed over here: functions cannot be posted. Set it in the worker, by its handler's setLogitProcessorRegistry.");
    }
  }

  setInitProgressCallback(initProgressCallback?: InitProgressCallback): void {
    this.#onProgress = initProgressCallback;
  }

  getInitProgressCallback(): InitProgressCallback | undefined {
    return this.#onProgress;
  }

  setAppConfig(appConfig: AppConfig): void {
    this.#tell("setAppConfig", appConfig);
  }

  setLogLevel(logLevel: LogLevel): void {
    setLevel(logLevel);
    this.#tell("setLogLevel", logLevel);
  }

  #tell<K extends keyof Notices>(kind: K, content: Notices[K]): void {
    this.worker.postMessage({ kind, uuid: crypto.randomUUID(), content });
  }

  #ask<K extends Kind>(kind: K, content: Calls[K][0]): Promise<Calls[K][1]> {
    const uuid = crypto.randomUUID();
    const answer = new Promise<Calls[K][1]>((resolve, reject) => this.#waiting.set(uuid, { resolve: resolve as Waiting["resolve"], reject }));
    try {
      this.worker.postMessage({ kind, uuid, content });
    } catch (error) {
      this.#waiting.delete(uuid);
      return Promise.reject(error);
    }
    return answer;
  }

  onmessage(event: unknown): void {
    const message = messageOf<WorkerResponse>(event);
    if (message.kind === "initProgressCallback") return this.#onProgress?.(message.content);
    if (message.kind !== "return" && message.kind !== "throw") {
      const { kind, content } = message as { kind: string; content?: unknown };
      throw webllmError("UnknownMessageKindError", kind, content);
    }
    const waiting = this.#waiting.get(message.uuid);
    if (!waiting) throw new Error(`return from a unknown uuid msg=${message.uuid}`);
    this.#waiting.delete(message.uuid);
    if (message.kind === "return") waiting.resolve(message.content);
    else waiting.reject(errorFromText(message.content));
  }

  // --- models ---
  async reload(modelId: string | string[], chatOpts?: ChatOptions | ChatOptions[]): Promise<void> {
    const [ids, options] = [[modelId].flat(), chatOpts === undefined || chatOpts === null ? undefined : [chatOpts].flat()];
    await this.#ask("reload", { modelId: ids, ...(options && { chatOpts: options }) });
    this.modelId = ids;
    if (options) this.chatOpts = options;
    else delete this.chatOpts;
  }

  async unload(): Promise<void> {
    await this.#ask("unload", null);
    delete this.modelId;
    delete this.chatOpts;
  }

  #loaded(): { modelId: string[]; chatOpts?: ChatOptions[] } {
    if (!this.modelId) throw webllmError("WorkerEngineModelNotLoadedError", "WebWorkerMLCEngine");
    return { modelId: this.modelId, ...(this.chatOpts && { chatOpts: this.chatOpts }) };
  }

  // --- answers ---
  chatCompletion(request: api.ChatCompletionRequestNonStreaming): Promise<api.ChatCompletion>;
  chatCompletion(request: api.ChatCompletionRequestStreaming): Promise<AsyncIterable<api.ChatCompletionChunk>>;
  chatCompletion(request: api.ChatCompletionRequestBase): Promise<AsyncIterable<api.ChatCompletionChunk> | api.ChatCompletion>;
  async chatCompletion(request: api.ChatCompletionRequestBase): Promise<AsyncIterable<api.ChatCompletionChunk> | api.ChatCompletion> {
    const loaded = this.#loaded();
    const selectedModelId = modelToUse(loaded.modelId, request.model, "ChatCompletionRequest");
    if (!request.stream) return this.#ask("chatCompletionNonStreaming", { ...loaded, request: request as api.ChatCompletionRequestNonStreaming });
    const streamId = crypto.randomUUID();
    const init = { ...loaded, request: request as api.ChatCompletionRequestStreaming, selectedModelId, streamId };
    await this.#ask("chatCompletionStreamInit", init);
    return this.asyncGenerate(streamId) as AsyncIterable<api.ChatCompletionChunk>;
  }

  completion(request: api.CompletionCreateParamsNonStreaming): Promise<api.Completion>;
  completion(request: api.CompletionCreateParamsStreaming): Promise<AsyncIterable<api.Completion>>;
  completion(request: api.CompletionCreateParamsBase): Promise<AsyncIterable<api.Completion> | api.Completion>;
  async completion(request: api.CompletionCreateParamsBase): Promise<AsyncIterable<api.Completion> | api.Completion> {
    const loaded = this.#loaded();
    const selectedModelId = modelToUse(loaded.modelId, request.model, "CompletionCreateParams");
    if (!request.stream) return this.#ask("completionNonStreaming", { ...loaded, request: request as api.CompletionCreateParamsNonStreaming });
    const streamId = crypto.randomUUID();
    await this.#ask("completionStreamInit", { ...loaded, request: request as api.CompletionCreateParamsStreaming, selectedModelId, streamId });
    return this.asyncGenerate(streamId) as AsyncIterable<api.Completion>;
  }

  /** Pulls a stream that the other end holds; leaving the loop ends it there. */
  async *asyncGenerate(streamId: string): AsyncGenerator<api.ChatCompletionChunk | api.Completion, void, void> {
    let isOver = false;
    try {
      for (;;) {
        const chunk = await this.#ask("completionStreamNextChunk", { streamId });
        if (typeof chunk !== "object" || chunk === null) break;
        yield chunk;
      }
      isOver = true;
    } catch (error) {
      isOver = true;
      throw error;
    } finally {
      if (!isOver) await this.#ask("completionStreamReturn", { streamId });
    }
  }

  async embedding(request: api.EmbeddingCreateParams): Promise<api.CreateEmbeddingResponse> {
    return this.#ask("embedding", { ...this.#loaded(), request });
  }

  interruptGenerate(): void {
    this.#ask("interruptGenerate", null).catch(() => undefined);
  }

  // --- one model's state ---
  getMessage(modelId?: string): Promise<string> {
    return this.#ask("getMessage", named(modelId));
  }

  runtimeStatsText(modelId?: string): Promise<string> {
    return this.#ask("runtimeStatsText", named(modelId));
  }

  async resetChat(keepStats = false, modelId?: string): Promise<void> {
    await this.#ask("resetChat", { keepStats, ...named(modelId) });
  }

  forwardTokensAndSample(inputIds: Array<number>, isPrefill: boolean, modelId?: string): Promise<number> {
    return this.#ask("forwardTokensAndSample", { inputIds, isPrefill, ...named(modelId) });
  }

  // --- the device ---
  getMaxStorageBufferBindingSize(): Promise<number> {
    return this.#ask("getMaxStorageBufferBindingSize", null);
  }

  getGPUVendor(): Promise<string> {
    return this.#ask("getGPUVendor", null);
  }

  // --- answers that outlive their page ---
  listResumableSessions(): Promise<ResumeProbeResult[]> {
    return this.#ask("listResumableSessions", null);
  }

  async resumeChatCompletion(sessionId: string, options: ResumeChatCompletionOptions = {}): Promise<ResumeResult | AsyncIterable<api.ChatCompletionChunk>> {
    if (!options.stream) return this.#ask("resumeChatCompletion", { sessionId, options });
    const streamId = crypto.randomUUID();
    const found = await this.#ask("resumeChatCompletionStreamInit", { sessionId, options, streamId });
    return found ?? (this.asyncGenerate(streamId) as AsyncIterable<api.ChatCompletionChunk>);
  }

  async deleteResumableSession(sessionId: string): Promise<void> {
    await this.#ask("deleteResumableSession", { sessionId });
  }
}

const named = (modelId: string | undefined): { modelId?: string } => (modelId === undefined ? {} : { modelId });
