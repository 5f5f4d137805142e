/** Requests and answers: the `openai` package's types, and the few fields that Fanlight knows beside OpenAI's. */

import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
} from "openai/resources/chat/completions";
import type { Completion, CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming } from "openai/resources/completions";
import type { Model } from "openai/resources/models";

/** Sampling and output options under vLLM's names. */
export interface ExtraParams {
  /** One model is loaded, so its name may be left out. */
  model?: string;
  top_k?: number;
  min_p?: number;
  repetition_penalty?: number;
  ignore_eos?: boolean;
  return_token_ids?: boolean;
  chat_template_kwargs?: Record<string, unknown>;
}

type With<T> = Omit<T, "model"> & ExtraParams;

export interface RequestOptions {
  readonly signal?: AbortSignal;
}

export interface ChatCompletions {
  create(body: With<ChatCompletionCreateParamsStreaming>, options?: RequestOptions): Promise<AsyncIterable<ChatCompletionChunk>>;
  create(body: With<ChatCompletionCreateParamsNonStreaming>, options?: RequestOptions): Promise<ChatCompletion>;
}

export interface Completions {
  create(body: With<CompletionCreateParamsStreaming>, options?: RequestOptions): Promise<AsyncIterable<Completion>>;
  create(body: With<CompletionCreateParamsNonStreaming>, options?: RequestOptions): Promise<Completion>;
}

export interface ModelList {
  readonly object: "list";
  readonly data: Model[];
}

/** What the engine needs on the GPU, in bytes. */
export interface MemoryPlan {
  readonly [part: string]: number;
}

export interface EngineInfo {
  readonly model: string;
  readonly context_length: number;
  readonly memory: MemoryPlan;
  readonly [name: string]: unknown;
}
