/** What an engine's functions take and give, besides OpenAI's (openai.ts, responses.ts). */

import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionCreateParams,
  ChatCompletionCreateParamsBase,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
  Completion,
  CompletionChunk,
  CompletionCreateParams,
  CompletionCreateParamsBase,
  CompletionCreateParamsNonStreaming,
  CompletionCreateParamsStreaming,
  CreateEmbeddingResponse,
  EmbeddingCreateParams,
  Transcription,
  TranscriptionCreateParams,
  TranslationCreateParams,
} from "./openai.js";
import type { Response, ResponseCreateParams, ResponseCreateParamsNonStreaming, ResponseCreateParamsStreaming, ResponseStreamEvent } from "./responses.js";

export interface RequestOptions {
  readonly signal?: AbortSignal;
}

/** What a prompt is made of, and the name under which its state is kept. */
export type StateParams = { readonly name: string } & (
  | (ChatCompletionCreateParamsBase & { prompt?: never })
  | (CompletionCreateParamsBase & { messages?: never })
);

export interface RestoreOptions extends RequestOptions {
  /** Of several that are loaded; the first unless set. */
  readonly model?: string;
}

export interface ChatCompletions {
  create(body: ChatCompletionCreateParamsStreaming, options?: RequestOptions): Promise<AsyncIterable<ChatCompletionChunk>>;
  create(body: ChatCompletionCreateParamsNonStreaming, options?: RequestOptions): Promise<ChatCompletion>;
  create(body: ChatCompletionCreateParams, options?: RequestOptions): Promise<AsyncIterable<ChatCompletionChunk> | ChatCompletion>;
}

export interface Completions {
  create(body: CompletionCreateParamsStreaming, options?: RequestOptions): Promise<AsyncIterable<CompletionChunk>>;
  create(body: CompletionCreateParamsNonStreaming, options?: RequestOptions): Promise<Completion>;
  create(body: CompletionCreateParams, options?: RequestOptions): Promise<AsyncIterable<CompletionChunk> | Completion>;
}

/** OpenAI's Responses API. Nothing is kept: a conversation goes on by sending its items again. */
export interface Responses {
  create(body: ResponseCreateParamsStreaming, options?: RequestOptions): Promise<AsyncIterable<ResponseStreamEvent>>;
  create(body: ResponseCreateParamsNonStreaming, options?: RequestOptions): Promise<Response>;
  create(body: ResponseCreateParams, options?: RequestOptions): Promise<AsyncIterable<ResponseStreamEvent> | Response>;
}

/** Vectors of texts. An embedding model's: MiniLM, BGE, E5, ... */
export interface Embeddings {
  create(body: EmbeddingCreateParams & { encoding_format: "base64" }, options?: RequestOptions): Promise<CreateEmbeddingResponse<string>>;
  create(body: EmbeddingCreateParams, options?: RequestOptions): Promise<CreateEmbeddingResponse>;
}

/** Of a model that hears: Whisper. With `response_format` text, srt or vtt the answer is a string. */
export interface Audio {
  readonly transcriptions: Transcriptions<TranscriptionCreateParams>;
  readonly translations: Transcriptions<TranslationCreateParams>;
}

export interface Transcriptions<Params> {
  create(body: Params & { response_format: "text" | "srt" | "vtt" }, options?: RequestOptions): Promise<string>;
  create(body: Params & { response_format?: "json" | "verbose_json" }, options?: RequestOptions): Promise<Transcription>;
  create(body: Params, options?: RequestOptions): Promise<Transcription | string>;
}

export interface RerankParams {
  model?: string;
  query: string;
  documents: readonly (string | { readonly text: string })[];
  top_n?: number;
  return_documents?: boolean;
  truncate_prompt_tokens?: number;
}

/** Best first. */
export interface Reranking {
  readonly id: string;
  readonly model: string;
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
  readonly warnings?: readonly string[];
  readonly results: readonly { readonly index: number; readonly relevance_score: number; readonly document?: { readonly text: string } }[];
}

/** One text against each of several, or two lists text by text. */
export interface ScoreParams {
  model?: string;
  text_1: string | readonly string[];
  text_2: string | readonly string[];
  truncate_prompt_tokens?: number;
}

export interface Scores {
  readonly id: string;
  readonly object: "list";
  readonly created: number;
  readonly model: string;
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
  readonly warnings?: readonly string[];
  readonly data: readonly { readonly index: number; readonly object: "score"; readonly score: number }[];
}

/** What the model takes on the GPU, in bytes: by kind of buffer (weight, kv, state, arena, io, staging), and in all. */
export interface MemoryPlan {
  readonly total: number;
  readonly [kind: string]: number;
}

/** Field names are Python's (fanlight/api/load.py). */
export interface EngineInfo {
  readonly model: string;
  readonly format: "gguf" | "safetensors" | "mlc";
  readonly context_length: number;
  readonly has_chat_template: boolean;
  /** Of a model that sees pictures. */
  readonly has_vision?: boolean;
  /** What is not known of an encoder of pictures or sounds beside the model, which reads texts alone then. */
  readonly encoder_not_read?: string;
  /** Of a model that hears the sounds of chats. */
  readonly hears?: boolean;
  /** Of a model that gives vectors, or scores of pairs of texts. */
  readonly embedding?: { readonly dimensions: number; readonly normalized: boolean; readonly scores: boolean };
  /** Of a model that writes down what it hears. */
  readonly audio?: { readonly languages: readonly string[]; readonly translates: boolean; readonly window_seconds: number };
  /** LoRAs that came with it, by the names that requests choose them by. */
  readonly loras?: readonly string[];
  /** Names the weights and kernels that answers are made with; every answer has it. */
  readonly system_fingerprint: string;
  /** How answers are drawn where a request does not say, where that stands, and what of it is not done. */
  readonly sampling: {
    readonly source: string;
    readonly temperature?: number;
    readonly top_k?: number;
    readonly top_p?: number;
    readonly min_p?: number;
    readonly repetition_penalty?: number;
    readonly ignored?: readonly string[];
  };
  readonly memory: MemoryPlan;
  /** Kernels that were tested on this adapter, what some got wrong, and what the model therefore runs without. */
  readonly kernels: { readonly checked: number; readonly wrong: readonly string[]; readonly without: readonly string[]; readonly tuned: Readonly<Record<string, readonly (number | boolean)[]>> };
  readonly adapter: { readonly vendor: string; readonly architecture: string; readonly device: string; readonly description: string };
}
