/**
 * OpenAI's requests and answers as the engine takes and gives them, under the names that the `openai` package has for their types: what
 * is typed by one can be used where the other is asked for.  The wire is fanlight/api/types.py's; nothing of this is left at run time.
 *
 * What OpenAI knows and the engine refuses by name (images, custom tools) is here where a type of OpenAI's has it among others, so that
 * a program written for those compiles.  Other fields that are refused are not.
 */

import type { SoundInput } from "./sounds.js";

export type JsonObject = Record<string, unknown>;

// --- messages --------------------------------------------------------------------------------------------------------
export interface ChatCompletionContentPartText {
  type: "text";
  text: string;
}

export interface ChatCompletionContentPartRefusal {
  type: "refusal";
  refusal: string;
}

/** For a model that sees (`has_vision`). */
export interface ChatCompletionContentPartImage {
  type: "image_url";
  image_url: { url: string; detail?: "auto" | "low" | "high" | "original" };
}

/** For a model that hears (`hears`). In a page whatever the browser plays. */
export interface ChatCompletionContentPartInputAudio {
  type: "input_audio";
  input_audio: { data: string; format: "wav" | "mp3" };
}

/** Refused: give its text. */
export interface ChatCompletionContentPartFile {
  type: "file";
  file: { file_data?: string; file_id?: string; filename?: string };
}

export type ChatCompletionContentPart =
  | ChatCompletionContentPartText
  | ChatCompletionContentPartImage
  | ChatCompletionContentPartInputAudio
  | ChatCompletionContentPartFile;

type Text = string | ChatCompletionContentPartText[];

export interface ChatCompletionSystemMessageParam {
  role: "system";
  content: Text;
  name?: string;
}

export interface ChatCompletionDeveloperMessageParam {
  role: "developer";
  content: Text;
  name?: string;
}

export interface ChatCompletionUserMessageParam {
  role: "user";
  content: string | ChatCompletionContentPart[];
  name?: string;
}

/** An answer's `message` is one, as it came. */
export interface ChatCompletionAssistantMessageParam {
  role: "assistant";
  content?: string | (ChatCompletionContentPartText | ChatCompletionContentPartRefusal)[] | null;
  refusal?: string | null;
  name?: string;
  tool_calls?: (ChatCompletionMessageToolCall | ChatCompletionMessageCustomToolCall)[];
  /** What the model thought: DeepSeek's name, as llama.cpp and vLLM have it. */
  reasoning_content?: string | null;
}

export interface ChatCompletionToolMessageParam {
  role: "tool";
  content: Text;
  tool_call_id: string;
}

/** Refused: OpenAI's before there were tools. */
export interface ChatCompletionFunctionMessageParam {
  role: "function";
  content: string | null;
  name: string;
}

export type ChatCompletionMessageParam =
  | ChatCompletionSystemMessageParam
  | ChatCompletionDeveloperMessageParam
  | ChatCompletionUserMessageParam
  | ChatCompletionAssistantMessageParam
  | ChatCompletionToolMessageParam
  | ChatCompletionFunctionMessageParam;

// --- tools -----------------------------------------------------------------------------------------------------------
export interface FunctionDefinition {
  name: string;
  description?: string;
  /** A JSON schema of an object. */
  parameters?: JsonObject;
  strict?: boolean | null;
}

export interface ChatCompletionFunctionTool {
  type: "function";
  function: FunctionDefinition;
}

/** Refused: models here call functions. */
export interface ChatCompletionCustomTool {
  type: "custom";
  custom: {
    name: string;
    description?: string;
    format?: { type: "text" } | { type: "grammar"; grammar: { definition: string; syntax: "lark" | "regex" } };
  };
}

export type ChatCompletionTool = ChatCompletionFunctionTool | ChatCompletionCustomTool;

export interface ChatCompletionMessageToolCall {
  id: string;
  type: "function";
  /** `arguments` is JSON text. */
  function: { name: string; arguments: string };
}

/** Never given. */
export interface ChatCompletionMessageCustomToolCall {
  id: string;
  type: "custom";
  custom: { name: string; input: string };
}

export type ChatCompletionToolChoiceOption =
  | "none"
  | "auto"
  | "required"
  | { type: "function"; function: { name: string } }
  | { type: "allowed_tools"; allowed_tools: { mode: "auto" | "required"; tools: JsonObject[] } }
  | { type: "custom"; custom: { name: string } };

// --- what chats and completions share -------------------------------------------------------------------------------
/** OpenAI's, WebLLM's and XGrammar's. */
export type ResponseFormat =
  | { type: "text" }
  | { type: "json_schema"; json_schema: { name: string; description?: string; schema?: JsonObject; strict?: boolean | null } }
  | { type: "json_object"; schema?: string | JsonObject }
  | { type: "grammar"; grammar: string }
  | { type: "regex"; pattern: string }
  | ({ type: "structural_tag" } & JsonObject);

/** What an answer may be, under vLLM's names: one of these. */
export interface StructuredOutputs {
  json?: string | JsonObject | null;
  regex?: string | null;
  choice?: readonly string[] | null;
  grammar?: string | null;
  json_object?: boolean | null;
  structural_tag?: string | JsonObject | null;
}

export interface GenerationParams {
  /** Of several that are loaded; the first unless set. */
  model?: string;
  max_tokens?: number | null;
  n?: number | null;
  seed?: number | null;
  stop?: string | string[] | null;
  temperature?: number | null;
  top_p?: number | null;
  frequency_penalty?: number | null;
  presence_penalty?: number | null;
  logit_bias?: Record<string, number> | null;
  stream_options?: { include_usage?: boolean; include_obfuscation?: boolean } | null;
  user?: string | null;
  // vLLM's
  top_k?: number | null;
  min_p?: number | null;
  /** How much of each LoRA that came with the model, by its name; each as it is unless set. */
  lora?: Readonly<Record<string, number>> | null;
  repetition_penalty?: number | null;
  stop_token_ids?: number[] | null;
  ignore_eos?: boolean | null;
  return_token_ids?: boolean | null;
  /** How many of the most likely tokens in the place of each of the prompt's. */
  prompt_logprobs?: number | null;
  /** Of the model itself (unless set), or of what is drawn from: after biases, penalties, temperature and a grammar. */
  logprobs_mode?: "raw_logprobs" | "processed_logprobs" | null;
  // One of these says what the answer may be; its text is that, unless it was cut (`finish_reason: "length"`).
  response_format?: ResponseFormat | null;
  structured_outputs?: StructuredOutputs | null;
  guided_json?: string | JsonObject | null;
  guided_regex?: string | null;
  guided_choice?: readonly string[] | null;
  guided_grammar?: string | null;
  /** llama.cpp's, as the next. */
  grammar?: string | null;
  json_schema?: string | JsonObject | null;
}

/** vLLM's. Of the prompt's tokens, by their ids; the first has none. */
export type PromptLogprobs = (Record<string, { logprob: number; rank: number; decoded_token: string }> | null)[];

/** null where nothing was measured, as the decode rate of a single token. */
export interface Timings {
  ttft_ms: number | null;
  prefill_tps: number | null;
  decode_tps: number | null;
}

interface Answer {
  id: string;
  created: number;
  model: string;
  /** Names the weights and kernels that it was made with. */
  system_fingerprint?: string;
  /** What of the request is answered otherwise than it says. */
  warnings?: string[];
  /** In a stream, on the last chunk. */
  timings?: Timings;
  /** Where they were asked for; in a stream, on the first chunk. */
  prompt_token_ids?: number[];
  prompt_logprobs?: PromptLogprobs;
}

interface TokenIds {
  /** Where they were asked for. */
  token_ids?: number[];
}

// --- chat completions ------------------------------------------------------------------------------------------------
export type ReasoningEffort = "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max" | null;

export interface ChatCompletionCreateParamsBase extends GenerationParams {
  messages: ChatCompletionMessageParam[];
  max_completion_tokens?: number | null;
  tools?: ChatCompletionTool[] | null;
  tool_choice?: ChatCompletionToolChoiceOption | null;
  parallel_tool_calls?: boolean | null;
  reasoning_effort?: ReasoningEffort;
  logprobs?: boolean | null;
  top_logprobs?: number | null;
  /** vLLM's and Qwen's: variables of the model's template; how many tokens it may think, and whether it does. */
  chat_template_kwargs?: JsonObject | null;
  thinking_token_budget?: number | null;
  /** vLLM's: the last message, an assistant's, is the beginning of the answer, and the model goes on with it; then the other one is false. */
  continue_final_message?: boolean | null;
  add_generation_prompt?: boolean | null;
  enable_thinking?: boolean | null;
  /** WebLLM's place for it. */
  extra_body?: { enable_thinking?: boolean | null } | null;
  /** What becomes of a conversation that is longer than the context; as was loaded unless set. */
  context_overflow?: "error" | "drop_oldest" | "attention_sinks" | null;
  /** The same in OpenAI's words: "auto" is "drop_oldest", "disabled" is "error". */
  truncation?: "auto" | "disabled" | null;
  // Accepted, and change nothing about an answer that is made here; `modalities` is text, `verbosity` is medium, `store` false.
  metadata?: Record<string, string> | null;
  modalities?: ("text" | "audio")[] | null;
  prediction?: { type: "content"; content: Text } | null;
  prompt_cache_key?: string | null;
  prompt_cache_options?: { mode?: "implicit" | "explicit"; ttl?: "30m" } | null;
  prompt_cache_retention?: "in_memory" | "in-memory" | "24h" | null;
  safety_identifier?: string | null;
  service_tier?: "auto" | "default" | "flex" | "scale" | "priority" | "fast" | null;
  store?: boolean | null;
  verbosity?: "low" | "medium" | "high" | null;
}

export interface ChatCompletionCreateParamsNonStreaming extends ChatCompletionCreateParamsBase {
  stream?: false | null;
}

export interface ChatCompletionCreateParamsStreaming extends ChatCompletionCreateParamsBase {
  stream: true;
}

export type ChatCompletionCreateParams = ChatCompletionCreateParamsNonStreaming | ChatCompletionCreateParamsStreaming;

/** It may also be "abort", which OpenAI's types have no word for: the model was unloaded before the answer was whole. */
export type FinishReason = "stop" | "length" | "tool_calls";

export interface ChatCompletionMessage {
  role: "assistant";
  /** null: it calls tools and says nothing. */
  content: string | null;
  refusal: null;
  reasoning_content?: string;
  tool_calls?: ChatCompletionMessageToolCall[];
}

export interface TopLogprob {
  token: string;
  logprob: number;
  bytes: number[];
}

export interface ChatCompletionTokenLogprob extends TopLogprob {
  top_logprobs: TopLogprob[];
}

export interface ChatCompletionLogprobs {
  content: ChatCompletionTokenLogprob[];
  refusal: null;
}

export interface ChatCompletionChoice extends TokenIds {
  index: number;
  message: ChatCompletionMessage;
  logprobs: ChatCompletionLogprobs | null;
  finish_reason: FinishReason;
}

export interface ChatCompletion extends Answer {
  object: "chat.completion";
  choices: ChatCompletionChoice[];
  usage: CompletionUsage;
}

export interface ChatCompletionToolCallDelta {
  index: number;
  /** With the first delta of a call, as `type` and the function's name are. */
  id?: string;
  type?: "function";
  function?: { name?: string; arguments?: string };
}

export interface ChatCompletionDelta {
  role?: "assistant";
  content?: string;
  refusal?: null;
  reasoning_content?: string;
  tool_calls?: ChatCompletionToolCallDelta[];
}

export interface ChatCompletionChunkChoice extends TokenIds {
  index: number;
  delta: ChatCompletionDelta;
  logprobs: ChatCompletionLogprobs | null;
  finish_reason: FinishReason | null;
}

export interface ChatCompletionChunk extends Answer {
  object: "chat.completion.chunk";
  choices: ChatCompletionChunkChoice[];
  /** With `stream_options: { include_usage: true }`: null, but for the last chunk, whose `choices` are none. */
  usage?: CompletionUsage | null;
}

// --- completions -----------------------------------------------------------------------------------------------------
export interface CompletionCreateParamsBase extends GenerationParams {
  prompt: string | string[] | number[] | number[][];
  best_of?: number | null;
  echo?: boolean | null;
  /** How many of the most likely tokens. */
  logprobs?: number | null;
  context_overflow?: "error" | "attention_sinks" | null;
}

export interface CompletionCreateParamsNonStreaming extends CompletionCreateParamsBase {
  stream?: false | null;
}

export interface CompletionCreateParamsStreaming extends CompletionCreateParamsBase {
  stream: true;
}

export type CompletionCreateParams = CompletionCreateParamsNonStreaming | CompletionCreateParamsStreaming;

/** null: what the first token of a prompt that is echoed has. */
export interface CompletionLogprobs {
  tokens: string[];
  token_logprobs: (number | null)[];
  top_logprobs: (Record<string, number> | null)[] | null;
  text_offset: number[];
}

interface CompletionText extends TokenIds {
  index: number;
  text: string;
  logprobs: CompletionLogprobs | null;
  prompt_token_ids?: number[];
  prompt_logprobs?: PromptLogprobs;
}

export interface CompletionChoice extends CompletionText {
  finish_reason: "stop" | "length";
}

export interface Completion extends Answer {
  object: "text_completion";
  choices: CompletionChoice[];
  usage: CompletionUsage;
}

export interface CompletionChunkChoice extends CompletionText {
  finish_reason: "stop" | "length" | null;
}

export interface CompletionChunk extends Answer {
  object: "text_completion";
  choices: CompletionChunkChoice[];
  usage?: CompletionUsage | null;
}

export interface CompletionUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  /** `cached_tokens` had been computed before. */
  prompt_tokens_details: { cached_tokens: number };
  /** Of models that reason. */
  completion_tokens_details?: { reasoning_tokens: number };
  /** WebLLM's; what was not measured is not there. */
  extra: {
    e2e_latency_s: number;
    time_to_first_token_s?: number;
    prefill_tokens_per_s?: number;
    decode_tokens_per_s?: number;
    time_per_output_token_s?: number;
    grammar_init_s?: number;
  };
}

// --- embeddings ------------------------------------------------------------------------------------------------------
export interface EmbeddingCreateParams {
  input: string | string[] | number[] | number[][];
  model?: string;
  dimensions?: number | null;
  encoding_format?: "float" | "base64" | null;
  user?: string | null;
  /** vLLM's. Cut texts to so many tokens; -1: to what the model takes. */
  truncate_prompt_tokens?: number | null;
  add_special_tokens?: boolean | null;
}

export interface Embedding<Vector = number[]> {
  object: "embedding";
  index: number;
  embedding: Vector;
}

/** With `encoding_format: "base64"` a vector is the base64 of 32-bit floats, little-endian. */
export interface CreateEmbeddingResponse<Vector = number[]> {
  object: "list";
  data: Embedding<Vector>[];
  model: string;
  usage: { prompt_tokens: number; total_tokens: number };
  /** As of other answers. */
  warnings?: string[];
}

// --- sound -----------------------------------------------------------------------------------------------------------
export interface TranslationCreateParams {
  /** Whatever the browser plays. */
  file: SoundInput;
  model?: string;
  /** What went before, or words that may come. */
  prompt?: string;
  response_format?: "json" | "text" | "srt" | "verbose_json" | "vtt";
  temperature?: number;
}

export interface TranscriptionCreateParams extends TranslationCreateParams {
  /** Such as "en"; as it is heard where it is left out. */
  language?: string;
  /** With `verbose_json`. */
  timestamp_granularities?: "segment"[];
  stream?: false;
}

export interface TranscriptionSegment {
  id: number;
  seek: number;
  start: number;
  end: number;
  text: string;
  tokens: number[];
  temperature: number;
  avg_logprob: number;
  compression_ratio: number;
  no_speech_prob: number;
}

export interface Transcription {
  text: string;
  usage: { type: "duration"; seconds: number };
  /** Of `verbose_json`, as what follows. */
  task?: string;
  language?: string;
  duration?: number;
  segments?: TranscriptionSegment[];
  /** As of other answers. */
  warnings?: string[];
}

// --- models, errors --------------------------------------------------------------------------------------------------
export interface Model {
  id: string;
  object: "model";
  created: number;
  owned_by: string;
  /** Of a model that is opened when it is asked for, not known before; as what follows. */
  context_length?: number;
  /** Without one, there are only completions. */
  has_chat_template?: boolean;
  /** How answers are drawn where a request does not say. */
  sampling?: JsonObject;
}

export interface ModelList {
  object: "list";
  data: Model[];
}

/** What `engine.fetch` answers with where it refuses. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}
