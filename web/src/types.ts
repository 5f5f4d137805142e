/** Requests and answers: the `openai` package's types, and the few fields that Fanlight knows beside OpenAI's. */

import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
} from "openai/resources/chat/completions";
import type { Completion, CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming } from "openai/resources/completions";
import type { CreateEmbeddingResponse, EmbeddingCreateParams } from "openai/resources/embeddings";
import type { Model } from "openai/resources/models";
import type { Response, ResponseCreateParamsNonStreaming, ResponseCreateParamsStreaming, ResponseStreamEvent } from "openai/resources/responses/responses";

type Json = Record<string, unknown>;

/** OpenAI's, WebLLM's and XGrammar's. */
export type ResponseFormat =
  | NonNullable<ChatCompletionCreateParamsNonStreaming["response_format"]>
  | { readonly type: "json_object"; readonly schema?: string | Json }
  | { readonly type: "grammar"; readonly grammar: string }
  | { readonly type: "regex"; readonly pattern: string }
  | ({ readonly type: "structural_tag" } & Json);

/** What an answer may be, under vLLM's names: one of these. */
export interface StructuredOutputs {
  readonly json?: string | Json;
  readonly regex?: string;
  readonly choice?: readonly string[];
  readonly grammar?: string;
  readonly json_object?: boolean;
  readonly structural_tag?: string | Json;
}

/** Sampling and output options under vLLM's names. */
export interface ExtraParams {
  /** Of several that are loaded; the first unless set. */
  model?: string;
  /** What becomes of a conversation that is longer than the context; as was loaded unless set. */
  context_overflow?: "error" | "drop_oldest" | "attention_sinks";
  /** The same in OpenAI's words: "auto" is "drop_oldest", "disabled" is "error". */
  truncation?: "auto" | "disabled";
  top_k?: number;
  min_p?: number;
  repetition_penalty?: number;
  stop_token_ids?: number[];
  prompt_logprobs?: number;
  ignore_eos?: boolean;
  return_token_ids?: boolean;
  chat_template_kwargs?: Record<string, unknown>;
  /** One of these says what the answer may be; its text is that, unless it was cut (`finish_reason: "length"`). */
  response_format?: ResponseFormat | null;
  structured_outputs?: StructuredOutputs | null;
  guided_json?: string | Json;
  guided_regex?: string;
  guided_choice?: readonly string[];
  guided_grammar?: string;
}

type With<T> = Omit<T, "model" | "response_format"> & ExtraParams;

export interface RequestOptions {
  readonly signal?: AbortSignal;
}

/** What a prompt is made of, and the name under which its state is kept. */
export type StateParams = { readonly name: string } & (
  | (Omit<With<ChatCompletionCreateParamsNonStreaming>, "stream"> & { prompt?: never })
  | (Omit<With<CompletionCreateParamsNonStreaming>, "stream"> & { messages?: never })
);

export interface RestoreOptions extends RequestOptions {
  /** Of several that are loaded; the first unless set. */
  readonly model?: string;
}

export interface ChatCompletions {
  create(body: With<ChatCompletionCreateParamsStreaming>, options?: RequestOptions): Promise<AsyncIterable<ChatCompletionChunk>>;
  create(body: With<ChatCompletionCreateParamsNonStreaming>, options?: RequestOptions): Promise<ChatCompletion>;
}

export interface Completions {
  create(body: With<CompletionCreateParamsStreaming>, options?: RequestOptions): Promise<AsyncIterable<Completion>>;
  create(body: With<CompletionCreateParamsNonStreaming>, options?: RequestOptions): Promise<Completion>;
}

/** OpenAI's Responses API. Nothing is kept: a conversation goes on by sending its items again. */
export interface Responses {
  create(body: ResponseCreateParamsStreaming, options?: RequestOptions): Promise<AsyncIterable<ResponseStreamEvent>>;
  create(body: ResponseCreateParamsNonStreaming, options?: RequestOptions): Promise<Response>;
}

/** Vectors of texts. An embedding model's: MiniLM, BGE, E5, ... */
export interface Embeddings {
  create(body: Omit<EmbeddingCreateParams, "model"> & EmbeddingExtras, options?: RequestOptions): Promise<CreateEmbeddingResponse>;
}

export interface EmbeddingExtras {
  model?: string;
  /** Cut texts to so many tokens; -1: to what the model takes. */
  truncate_prompt_tokens?: number;
  add_special_tokens?: boolean;
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
  readonly data: readonly { readonly index: number; readonly object: "score"; readonly score: number }[];
}

export interface ModelList {
  readonly object: "list";
  readonly data: Model[];
}

/** What the model takes on the GPU, in bytes: by kind of buffer (weight, kv, arena, io, staging), and in all. */
export interface MemoryPlan {
  readonly total: number;
  readonly [kind: string]: number;
}

/** Field names are Python's (fanlight/api/load.py). */
export interface EngineInfo {
  readonly model: string;
  readonly format: "gguf" | "safetensors";
  readonly context_length: number;
  readonly has_chat_template: boolean;
  /** Of a model that gives vectors, or scores of pairs of texts. */
  readonly embedding?: { readonly dimensions: number; readonly normalized: boolean; readonly scores: boolean };
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
