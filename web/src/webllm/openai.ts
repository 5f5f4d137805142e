/** Requests and answers under WebLLM's type names: OpenAI's of 2024, as its users' code declares them. */

import type { LatencyBreakdown, ResumableGenerationConfig } from "./types.js";

// --- messages --------------------------------------------------------------------------------------------------------
export interface ChatCompletionContentPartText {
  text: string;
  type: "text";
}
export namespace ChatCompletionContentPartImage {
  export interface ImageURL {
    url: string;
    detail?: "auto" | "low" | "high";
  }
}
export interface ChatCompletionContentPartImage {
  image_url: ChatCompletionContentPartImage.ImageURL;
  type: "image_url";
}
export interface ChatCompletionAudioInputWav {
  data: string;
  format: "wav";
}
export interface ChatCompletionAudioInputPCM {
  data: Float32Array;
  format: "pcm_f32";
  sample_rate: number;
}
export type ChatCompletionAudioInput = ChatCompletionAudioInputWav | ChatCompletionAudioInputPCM;
export interface ChatCompletionContentPartInputAudio {
  input_audio: ChatCompletionAudioInput;
  type: "input_audio";
}
export type ChatCompletionContentPart = ChatCompletionContentPartText | ChatCompletionContentPartImage | ChatCompletionContentPartInputAudio;

export namespace ChatCompletionMessageToolCall {
  export interface Function {
    arguments: string;
    name: string;
  }
}
export interface ChatCompletionMessageToolCall {
  id: string;
  function: ChatCompletionMessageToolCall.Function;
  type: "function";
}
export type ChatCompletionRole = "system" | "user" | "assistant" | "tool" | "function";
export interface ChatCompletionSystemMessageParam {
  content: string;
  role: "system";
}
export interface ChatCompletionUserMessageParam {
  content: string | Array<ChatCompletionContentPart>;
  role: "user";
  name?: string;
}
export interface ChatCompletionAssistantMessageParam {
  role: "assistant";
  content?: string | null;
  name?: string;
  tool_calls?: Array<ChatCompletionMessageToolCall>;
}
export interface ChatCompletionToolMessageParam {
  content: string;
  role: "tool";
  tool_call_id: string;
}
export type ChatCompletionMessageParam =
  | ChatCompletionSystemMessageParam
  | ChatCompletionUserMessageParam
  | ChatCompletionAssistantMessageParam
  | ChatCompletionToolMessageParam;

// --- tools and formats -----------------------------------------------------------------------------------------------
export type FunctionParameters = Record<string, unknown>;
export interface FunctionDefinition {
  name: string;
  description?: string;
  parameters?: FunctionParameters;
}
export interface ChatCompletionTool {
  function: FunctionDefinition;
  type: "function";
}
export namespace ChatCompletionNamedToolChoice {
  export interface Function {
    name: string;
  }
}
export interface ChatCompletionNamedToolChoice {
  function: ChatCompletionNamedToolChoice.Function;
  type: "function";
}
export type ChatCompletionToolChoiceOption = "none" | "auto" | ChatCompletionNamedToolChoice;

/** `schema` is the text of a JSON schema; `grammar` is EBNF; `structural_tag` is XGrammar's, or its text. */
export interface ResponseFormat {
  type?: "text" | "json_object" | "grammar" | "structural_tag";
  schema?: string;
  grammar?: string;
  structural_tag?: unknown;
}

// --- what requests have in common ------------------------------------------------------------------------------------
export interface ChatCompletionStreamOptions {
  include_usage?: boolean;
}
interface Sampling {
  stream_options?: ChatCompletionStreamOptions | null;
  n?: number | null;
  frequency_penalty?: number | null;
  presence_penalty?: number | null;
  repetition_penalty?: number | null;
  max_tokens?: number | null;
  stop?: string | null | Array<string>;
  temperature?: number | null;
  top_p?: number | null;
  logit_bias?: Record<string, number> | null;
  logprobs?: boolean | null;
  top_logprobs?: number | null;
  seed?: number | null;
  ignore_eos?: boolean;
  model?: string | null;
}

// --- chat ------------------------------------------------------------------------------------------------------------
export interface ChatCompletionRequestBase extends Sampling {
  messages: Array<ChatCompletionMessageParam>;
  stream?: boolean | null;
  tool_choice?: ChatCompletionToolChoiceOption;
  tools?: Array<ChatCompletionTool>;
  response_format?: ResponseFormat;
  extra_body?: {
    enable_thinking?: boolean | null;
    enable_latency_breakdown?: boolean | null;
    resumable?: ResumableGenerationConfig | null;
  };
}
export interface ChatCompletionRequestNonStreaming extends ChatCompletionRequestBase {
  stream?: false | null;
}
export interface ChatCompletionRequestStreaming extends ChatCompletionRequestBase {
  stream: true;
}
export type ChatCompletionRequest = ChatCompletionRequestNonStreaming | ChatCompletionRequestStreaming;

export interface TopLogprob {
  token: string;
  bytes: Array<number> | null;
  logprob: number;
}
export interface ChatCompletionTokenLogprob extends TopLogprob {
  top_logprobs: Array<TopLogprob>;
}
export interface ChatCompletionMessage {
  content: string | null;
  role: "assistant";
  tool_calls?: Array<ChatCompletionMessageToolCall>;
}
export interface CompletionUsage {
  completion_tokens: number;
  /** The whole prompt; what of it needed no computing is not taken off. */
  prompt_tokens: number;
  total_tokens: number;
  extra: {
    e2e_latency_s: number;
    prefill_tokens_per_s: number;
    decode_tokens_per_s: number;
    time_to_first_token_s: number;
    time_per_output_token_s: number;
    grammar_init_s?: number;
    grammar_per_token_s?: number;
    latencyBreakdown?: LatencyBreakdown;
  };
}
export type ChatCompletionFinishReason = "stop" | "length" | "tool_calls" | "abort";

export interface ChatCompletion {
  id: string;
  choices: Array<ChatCompletion.Choice>;
  model: string;
  object: "chat.completion";
  created: number;
  usage?: CompletionUsage;
  system_fingerprint?: string;
}
export namespace ChatCompletion {
  export interface Choice {
    finish_reason: ChatCompletionFinishReason;
    index: number;
    logprobs: Choice.Logprobs | null;
    message: ChatCompletionMessage;
  }
  export namespace Choice {
    export interface Logprobs {
      content: Array<ChatCompletionTokenLogprob> | null;
    }
  }
}
export interface ChatCompletionChunk {
  id: string;
  choices: Array<ChatCompletionChunk.Choice>;
  created: number;
  model: string;
  object: "chat.completion.chunk";
  system_fingerprint?: string;
  usage?: CompletionUsage;
}
export namespace ChatCompletionChunk {
  export interface Choice {
    delta: Choice.Delta;
    finish_reason: ChatCompletionFinishReason | null;
    index: number;
    logprobs?: ChatCompletion.Choice.Logprobs | null;
  }
  export namespace Choice {
    export interface Delta {
      content?: string | null;
      role?: "system" | "user" | "assistant" | "tool";
      tool_calls?: Array<Delta.ToolCall>;
    }
    export namespace Delta {
      export interface ToolCall {
        index: number;
        id?: string;
        function?: { arguments?: string; name?: string };
        type?: "function";
      }
    }
  }
}

// --- completions -----------------------------------------------------------------------------------------------------
export interface CompletionCreateParamsBase extends Sampling {
  prompt: string;
  echo?: boolean | null;
  stream?: boolean | null;
  suffix?: string | null;
  user?: string;
  best_of?: number | null;
  extra_body?: { enable_latency_breakdown?: boolean | null };
}
export interface CompletionCreateParamsNonStreaming extends CompletionCreateParamsBase {
  stream?: false | null;
}
export interface CompletionCreateParamsStreaming extends CompletionCreateParamsBase {
  stream: true;
}
export type CompletionCreateParams = CompletionCreateParamsNonStreaming | CompletionCreateParamsStreaming;
export interface Completion {
  id: string;
  choices: Array<CompletionChoice>;
  created: number;
  model: string;
  object: "text_completion";
  system_fingerprint?: string;
  usage?: CompletionUsage;
}
export interface CompletionChoice {
  finish_reason: ChatCompletionFinishReason | null;
  index: number;
  logprobs?: ChatCompletion.Choice.Logprobs | null;
  text: string;
}

// --- embeddings ------------------------------------------------------------------------------------------------------
export interface EmbeddingCreateParams {
  input: string | Array<string> | Array<number> | Array<Array<number>>;
  model?: string | null;
  encoding_format?: "float" | "base64";
  dimensions?: number;
  user?: string;
}
export interface Embedding {
  embedding: Array<number>;
  index: number;
  object: "embedding";
}
export interface CreateEmbeddingResponse {
  data: Array<Embedding>;
  model: string;
  object: "list";
  usage: { prompt_tokens: number; total_tokens: number; extra: { prefill_tokens_per_s: number } };
}
