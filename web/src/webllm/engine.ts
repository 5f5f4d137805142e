/** `MLCEngine`: WebLLM's engine on Fanlight's.  Knows no worker of its user's; web-worker.ts and its sisters bring it there. */

import { type Engine, load } from "../client.js";
import { Clock, Gathered, type Head, chatChunks, head, textChunks } from "./answers.js";
import { prebuiltAppConfig } from "./catalogue.js";
import { renamed, webllmError } from "./errors.js";
import { Chat, Completions, Embeddings } from "./groups.js";
import { log, setLevel } from "./logger.js";
import { openModel } from "./loading.js";
import { type LoadedModel, modelToUse } from "./models.js";
import type * as api from "./openai.js";
import { type Answer, ask, type Piece } from "./pieces.js";
import { chatBody, checkChat, completionBody, postInitAndCheckFieldsCompletion, postInitAndCheckFieldsEmbedding } from "./requests.js";
import { Journal, resumed, Sessions } from "./resumable.js";
import {
  type AppConfig,
  type ChatOptions,
  type InitProgressCallback,
  type LogitProcessor,
  type LogLevel,
  type MLCEngineConfig,
  type MLCEngineInterface,
  ModelType,
  type ResumeChatCompletionOptions,
  type ResumeProbeResult,
  type ResumeResult,
} from "./types.js";

export async function CreateMLCEngine(modelId: string | string[], engineConfig?: MLCEngineConfig, chatOpts?: ChatOptions | ChatOptions[]): Promise<MLCEngine> {
  const engine = new MLCEngine(engineConfig);
  await engine.reload(modelId, chatOpts);
  return engine;
}

/** What is asked of a model, in both kinds of requests. */
interface Asked {
  readonly kind: "chat" | "completion";
  readonly body: Record<string, unknown>;
  readonly hasGrammar: boolean;
  readonly withLogprobs: boolean;
  readonly withUsage: boolean;
  readonly withBreakdown: boolean;
  readonly journal?: Journal | undefined;
}

export class MLCEngine implements MLCEngineInterface {
  readonly chat = new Chat(this);
  readonly completions = new Completions(this);
  readonly embeddings = new Embeddings(this);
  #appConfig: AppConfig;
  #onProgress: InitProgressCallback | undefined;
  #processors: ReadonlyMap<string, LogitProcessor>;
  #engine: Engine | null = null;
  #models = new Map<string, LoadedModel>();
  #loading: AbortController | null = null;
  #running = new Set<AbortController>();
  #sessions = new Sessions();

  /** open: how the first model is loaded; what follows is loaded beside it. */
  constructor(
    config: MLCEngineConfig = {},
    private readonly open: typeof load = load,
  ) {
    this.#appConfig = config.appConfig ?? prebuiltAppConfig;
    this.#onProgress = config.initProgressCallback;
    this.#processors = config.logitProcessorRegistry ?? new Map<string, LogitProcessor>();
    this.setLogLevel(config.logLevel ?? "WARN");
  }

  // --- settings ---
  setAppConfig(appConfig: AppConfig): void {
    this.#appConfig = appConfig;
  }

  setInitProgressCallback(initProgressCallback?: InitProgressCallback): void {
    this.#onProgress = initProgressCallback;
  }

  getInitProgressCallback(): InitProgressCallback | undefined {
    return this.#onProgress;
  }

  /** Counts for models that are loaded from here on. */
  setLogitProcessorRegistry(registry?: Map<string, LogitProcessor>): void {
    this.#processors = registry ?? new Map<string, LogitProcessor>();
  }

  setLogLevel(logLevel: LogLevel): void {
    setLevel(logLevel);
  }

  // --- models ---
  /** Instead of what is loaded. Another `reload`, or `unload`, ends it, and then it resolves. */
  async reload(modelId: string | string[], chatOpts?: ChatOptions | ChatOptions[]): Promise<void> {
    const ids = [modelId].flat();
    const options = chatOpts === undefined || chatOpts === null ? [] : [chatOpts].flat();
    if (options.length && options.length !== ids.length) throw webllmError("ReloadArgumentSizeUnmatchedError", ids.length, options.length);
    if (new Set(ids).size < ids.length) throw webllmError("ReloadModelIdNotUniqueError", ids);
    await this.unload();
    const controller = (this.#loading = new AbortController());
    const { signal } = controller;
    const loading = { open: this.open, appConfig: this.#appConfig, onProgress: this.#onProgress, processors: this.#processors, signal };
    try {
      for (const [i, id] of ids.entries()) {
        const { engine, model } = await openModel(this.#engine, id, options[i] ?? {}, loading);
        if (controller.signal.aborted) return void engine.close();
        this.#engine = engine;
        this.#models.set(id, model);
      }
    } catch (error) {
      if (!controller.signal.aborted) throw renamed(error);
      log.warn("Reload was aborted.");
    } finally {
      if (this.#loading === controller) this.#loading = null;
    }
  }

  async unload(): Promise<void> {
    this.#loading?.abort();
    this.#loading = null;
    this.#models.clear();
    const engine = this.#engine;
    this.#engine = null;
    await engine?.close();
  }

  #opened(request: string, asked: string | null | undefined, type = ModelType.LLM): { readonly engine: Engine; readonly model: LoadedModel } {
    const model = this.#models.get(modelToUse([...this.#models.keys()], asked, request)) as LoadedModel;
    const isEmbedding = model.info.embedding !== undefined || model.type === ModelType.embedding;
    if (isEmbedding !== (type === ModelType.embedding)) {
      throw webllmError("IncorrectPipelineLoadedError", model.id, isEmbedding ? "LLMChatPipeline" : "EmbeddingPipeline", request);
    }
    return { engine: this.#engine as Engine, model };
  }

  // --- answers ---
  chatCompletion(request: api.ChatCompletionRequestNonStreaming): Promise<api.ChatCompletion>;
  chatCompletion(request: api.ChatCompletionRequestStreaming): Promise<AsyncIterable<api.ChatCompletionChunk>>;
  chatCompletion(request: api.ChatCompletionRequestBase): Promise<AsyncIterable<api.ChatCompletionChunk> | api.ChatCompletion>;
  async chatCompletion(request: api.ChatCompletionRequestBase): Promise<AsyncIterable<api.ChatCompletionChunk> | api.ChatCompletion> {
    const { engine, model } = this.#opened("ChatCompletionRequest", request.model);
    checkChat(request, model.id, model.type);
    const body = chatBody(request, model.name, model.options);
    const journal = await this.#sessions.begin(request, model);
    const asked: Asked = { ...this.#wanted(request), kind: "chat", body, hasGrammar: body["response_format"] !== undefined, journal };
    if (request.stream) return this.#chunks(engine, model, asked, chatChunks, "chat.completion.chunk") as AsyncIterable<api.ChatCompletionChunk>;
    const { whole, made, usage } = await this.#gathered(engine, model, asked);
    return { ...whole.chat(made, asked.withLogprobs), ...usage };
  }

  completion(request: api.CompletionCreateParamsNonStreaming): Promise<api.Completion>;
  completion(request: api.CompletionCreateParamsStreaming): Promise<AsyncIterable<api.Completion>>;
  completion(request: api.CompletionCreateParamsBase): Promise<AsyncIterable<api.Completion> | api.Completion>;
  async completion(request: api.CompletionCreateParamsBase): Promise<AsyncIterable<api.Completion> | api.Completion> {
    const { engine, model } = this.#opened("CompletionCreateParams", request.model);
    postInitAndCheckFieldsCompletion(request);
    const body = completionBody(request, model.name, model.options, model.info.context_length);
    const asked: Asked = { ...this.#wanted(request), kind: "completion", body, hasGrammar: false };
    if (request.stream) return this.#chunks(engine, model, asked, textChunks, "text_completion") as AsyncIterable<api.Completion>;
    const { whole, made, usage } = await this.#gathered(engine, model, asked);
    return { ...whole.completion(made, asked.withLogprobs), ...usage };
  }

  #wanted(request: api.ChatCompletionRequestBase | api.CompletionCreateParamsBase): Pick<Asked, "withLogprobs" | "withUsage" | "withBreakdown"> {
    return {
      withLogprobs: request.logprobs === true,
      withUsage: !request.stream || request.stream_options?.include_usage === true,
      withBreakdown: request.extra_body?.enable_latency_breakdown === true,
    };
  }

  async *#chunks<T extends api.ChatCompletionChunk | api.Completion>(
    engine: Engine,
    model: LoadedModel,
    asked: Asked,
    chunksOf: (made: Head, piece: Piece, withLogprobs: boolean) => T[],
    object: T["object"],
  ): AsyncGenerator<T> {
    const made = head(model.id);
    const round = this.#round(engine, model, asked);
    for await (const piece of round.pieces) yield* chunksOf(made, piece, asked.withLogprobs);
    if (asked.withUsage) yield { ...made, object, choices: [], ...round.extras() } as unknown as T;
  }

  async #gathered(engine: Engine, model: LoadedModel, asked: Asked): Promise<{ whole: Gathered; made: Head; usage: ReturnType<Round["extras"]> }> {
    const whole = new Gathered();
    const round = this.#round(engine, model, asked);
    for await (const piece of round.pieces) whole.take(piece);
    return { whole, made: head(model.id), usage: round.extras() };
  }

  /** The pieces of one request, while which it can be interrupted, and its usage, when they are over. */
  #round(engine: Engine, model: LoadedModel, asked: Asked): Round {
    const controller = new AbortController();
    const clock = new Clock();
    const answer = ask(engine, asked.kind, asked.body, controller.signal);
    const usage = (): api.CompletionUsage => clock.usage(answer, asked.hasGrammar, asked.withBreakdown ? model.processorSeconds : null);
    const running = this.#running;
    async function* pieces(): AsyncGenerator<Piece> {
      running.add(controller);
      model.message = "";
      model.processorSeconds = [];
      if (!asked.journal) model.processor?.resetState();
      try {
        for await (const piece of answer.pieces) {
          clock.take(piece);
          model.message = clock.texts.get(piece.index) ?? "";
          await asked.journal?.write(answer, piece);
          yield piece;
        }
      } finally {
        running.delete(controller);
        await asked.journal?.end();
        model.count(usage(), computedOf(answer));
      }
    }
    return { pieces: pieces(), extras: () => ({ usage: usage(), ...(answer.fingerprint && { system_fingerprint: answer.fingerprint }) }) };
  }

  async embedding(request: api.EmbeddingCreateParams): Promise<api.CreateEmbeddingResponse> {
    const { engine, model } = this.#opened("EmbeddingCreateParams", request.model, ModelType.embedding);
    postInitAndCheckFieldsEmbedding(request);
    const start = performance.now();
    try {
      const { data, usage } = await engine.embeddings.create({ input: request.input as string[], model: model.name });
      const seconds = (performance.now() - start) / 1000;
      const { prompt_tokens, total_tokens } = usage;
      const extra = { prefill_tokens_per_s: seconds > 0 ? prompt_tokens / seconds : 0 };
      return { data: data as api.Embedding[], model: model.id, object: "list", usage: { prompt_tokens, total_tokens, extra } };
    } catch (error) {
      throw renamed(error);
    }
  }

  /** Ends what is being answered, with finish_reason "abort". */
  interruptGenerate(): void {
    for (const controller of this.#running) controller.abort();
  }

  // --- one model's state ---
  async getMessage(modelId?: string): Promise<string> {
    return this.#opened("getMessage", modelId).model.message;
  }

  async runtimeStatsText(modelId?: string): Promise<string> {
    return this.#opened("runtimeStatsText", modelId).model.statsText();
  }

  /** Nothing happens where no model is loaded. */
  async resetChat(keepStats = false, modelId?: string): Promise<void> {
    const ids = [...this.#models.keys()];
    if (ids.length === 0 || (modelId && !ids.includes(modelId))) return;
    this.#opened("resetChat", modelId).model.reset(keepStats);
  }

  /** Goes on with these tokens behind those of earlier calls; `resetChat` begins anew. The token that comes next, which is not entered. */
  async forwardTokensAndSample(inputIds: Array<number>, isPrefill: boolean, modelId?: string): Promise<number> {
    const { engine, model } = this.#opened("forwardTokensAndSample", modelId);
    const start = performance.now();
    model.context.push(...inputIds);
    const body = { ...completionBody({ prompt: "", max_tokens: 1, ignore_eos: true }, model.name, model.options, 1), prompt: [...model.context] };
    let token = -1;
    for await (const piece of ask(engine, "completion", body, new AbortController().signal).pieces) token = piece.tokenIds.at(-1) ?? token;
    const seconds = (performance.now() - start) / 1000;
    if (isPrefill) model.spend(inputIds.length, seconds, 0, 0);
    else model.spend(0, 0, inputIds.length, seconds);
    return token;
  }

  // --- the device ---
  async getMaxStorageBufferBindingSize(): Promise<number> {
    return (await adapter()).limits.maxStorageBufferBindingSize;
  }

  async getGPUVendor(): Promise<string> {
    return (await adapter()).info.vendor;
  }

  // --- answers that outlive their page ---
  listResumableSessions(): Promise<ResumeProbeResult[]> {
    return this.#sessions.list();
  }

  async resumeChatCompletion(sessionId: string, options: ResumeChatCompletionOptions = {}): Promise<ResumeResult | AsyncIterable<api.ChatCompletionChunk>> {
    const session = await this.#sessions.open(sessionId);
    if (!options.continueGeneration) return resumed(session, 0);
    const { engine, model } = this.#opened("resumeChatCompletion", session.modelId);
    const journal = new Journal(session);
    const asked: Asked = { kind: "completion", body: session.continuation(), hasGrammar: false, withLogprobs: false, withUsage: false, withBreakdown: false, journal };
    if (options.stream) return this.#chunks(engine, model, asked, chatChunks, "chat.completion.chunk") as AsyncIterable<api.ChatCompletionChunk>;
    await this.#gathered(engine, model, asked);
    return resumed(session, session.tokenIds.length);
  }

  deleteResumableSession(sessionId: string): Promise<void> {
    return this.#sessions.delete(sessionId);
  }
}

interface Round {
  readonly pieces: AsyncGenerator<Piece>;
  extras(): { usage: api.CompletionUsage; system_fingerprint?: string };
}

function computedOf(answer: Answer): number {
  return answer.measured?.computedPromptTokens ?? answer.promptTokenIds.length;
}

async function adapter(): Promise<GPUAdapter> {
  const found = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!found) throw webllmError("WebGPUNotAvailableError", "");
  return found;
}
