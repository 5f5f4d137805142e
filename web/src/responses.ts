/**
 * Requests, answers and events of OpenAI's Responses API as the engine takes and gives them, under the `openai` package's names, and
 * made as openai.ts says. Items and tools that are OpenAI's own are not here.  The wire is fanlight/api/responses.py's.
 */

import type { JsonObject, ReasoningEffort } from "./openai.js";

type ItemStatus = "in_progress" | "completed" | "incomplete";

// --- items -----------------------------------------------------------------------------------------------------------
export interface ResponseInputText {
  type: "input_text";
  text: string;
}

/** The lists are empty: there is nothing to cite, and log-probabilities are in chat completions. */
export interface ResponseOutputText {
  type: "output_text";
  text: string;
  annotations: never[];
  logprobs?: never[];
}

export interface EasyInputMessage {
  type?: "message";
  role: "user" | "assistant" | "system" | "developer";
  content: string | ResponseInputText[];
}

export interface ResponseOutputMessage {
  type: "message";
  id: string;
  role: "assistant";
  status: ItemStatus;
  content: ResponseOutputText[];
}

export interface ResponseFunctionToolCall {
  type: "function_call";
  id?: string;
  call_id: string;
  name: string;
  /** JSON text. */
  arguments: string;
  status?: ItemStatus;
}

export interface ResponseFunctionCallOutput {
  type: "function_call_output";
  call_id: string;
  output: string | ResponseInputText[];
}

export interface ResponseReasoningItem {
  type: "reasoning";
  id: string;
  summary: never[];
  content?: { type: "reasoning_text"; text: string }[];
  status?: ItemStatus;
}

export type ResponseOutputItem = ResponseOutputMessage | ResponseFunctionToolCall | ResponseReasoningItem;

/** What was answered goes back as it came. */
export type ResponseInputItem = EasyInputMessage | ResponseFunctionCallOutput | ResponseOutputItem;

// --- requests --------------------------------------------------------------------------------------------------------
export interface FunctionTool {
  type: "function";
  name: string;
  description?: string | null;
  /** A JSON schema of an object. */
  parameters: JsonObject | null;
  strict: boolean | null;
}

export type ResponseToolChoice =
  | "none"
  | "auto"
  | "required"
  | { type: "function"; name: string }
  | { type: "allowed_tools"; mode: "auto" | "required"; tools: JsonObject[] };

export type ResponseFormatTextConfig =
  | { type: "text" }
  | { type: "json_object" }
  | { type: "json_schema"; name: string; description?: string; schema: JsonObject; strict?: boolean | null };

export interface ResponseCreateParamsBase {
  input: string | ResponseInputItem[];
  instructions?: string | null;
  /** Of several that are loaded; the first unless set. */
  model?: string;
  max_output_tokens?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  tools?: FunctionTool[];
  tool_choice?: ResponseToolChoice;
  parallel_tool_calls?: boolean | null;
  reasoning?: { effort?: ReasoningEffort; summary?: "auto" | "concise" | "detailed" | null; generate_summary?: "auto" | "concise" | "detailed" | null } | null;
  text?: { format?: ResponseFormatTextConfig; verbosity?: "low" | "medium" | "high" | null };
  include?: "reasoning.encrypted_content"[] | null;
  truncation?: "disabled" | null;
  background?: false | null;
  top_logprobs?: 0 | null;
  // Accepted, and change nothing about an answer that is made here.
  metadata?: Record<string, string> | null;
  prompt_cache_key?: string | null;
  prompt_cache_retention?: "in_memory" | "24h" | null;
  safety_identifier?: string | null;
  service_tier?: string | null;
  store?: boolean | null;
  stream_options?: { include_obfuscation?: boolean } | null;
  user?: string;
}

export interface ResponseCreateParamsNonStreaming extends ResponseCreateParamsBase {
  stream?: false | null;
}

export interface ResponseCreateParamsStreaming extends ResponseCreateParamsBase {
  stream: true;
}

export type ResponseCreateParams = ResponseCreateParamsNonStreaming | ResponseCreateParamsStreaming;

// --- answers ---------------------------------------------------------------------------------------------------------
export interface ResponseUsage {
  input_tokens: number;
  input_tokens_details: { cached_tokens: number; cache_write_tokens: number };
  output_tokens: number;
  output_tokens_details: { reasoning_tokens: number };
  total_tokens: number;
}

/** As the HTTP API gives it: the `output_text` of OpenAI's client is put together by that client. */
export interface Response {
  id: string;
  object: "response";
  created_at: number;
  status: ItemStatus;
  background: false;
  error: null;
  incomplete_details: { reason: "max_output_tokens" } | null;
  instructions: string | null;
  max_output_tokens: number | null;
  metadata: Record<string, string>;
  model: string;
  output: ResponseOutputItem[];
  parallel_tool_calls: boolean;
  previous_response_id: null;
  reasoning: { effort: ReasoningEffort; summary: null };
  store: false;
  temperature: number;
  text: { format: ResponseFormatTextConfig };
  tool_choice: ResponseToolChoice;
  tools: FunctionTool[];
  top_p: number;
  truncation: "disabled";
  /** null until it is over. */
  usage: ResponseUsage | null;
  /** Ours: what of the request is answered otherwise than it says; in a stream, the first event's. */
  warnings?: string[];
}

interface Event<Type extends string> {
  type: Type;
  sequence_number: number;
}

interface ItemEvent<Type extends string> extends Event<Type> {
  item_id: string;
  output_index: number;
}

interface PartEvent<Type extends string> extends ItemEvent<Type> {
  content_index: number;
}

type Part = ResponseOutputText | { type: "reasoning_text"; text: string };

/** Told apart by `type`. */
export type ResponseStreamEvent =
  | (Event<"response.created"> & { response: Response; warnings?: string[] })
  | (Event<"response.in_progress"> & { response: Response })
  | (Event<"response.completed"> & { response: Response })
  | (Event<"response.incomplete"> & { response: Response })
  | (Event<"response.output_item.added"> & { output_index: number; item: ResponseOutputItem })
  | (Event<"response.output_item.done"> & { output_index: number; item: ResponseOutputItem })
  | (PartEvent<"response.content_part.added"> & { part: Part })
  | (PartEvent<"response.content_part.done"> & { part: Part })
  | (PartEvent<"response.output_text.delta"> & { delta: string; logprobs: never[] })
  | (PartEvent<"response.output_text.done"> & { text: string; logprobs: never[] })
  | (PartEvent<"response.reasoning_text.delta"> & { delta: string })
  | (PartEvent<"response.reasoning_text.done"> & { text: string })
  | (ItemEvent<"response.function_call_arguments.delta"> & { delta: string })
  | (ItemEvent<"response.function_call_arguments.done"> & { name: string; arguments: string });
