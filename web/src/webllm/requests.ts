/** Checks WebLLM's requests as it does, and says them in Fanlight's words. */

import { functionCallingModelIds } from "./catalogue.js";
import { webllmError } from "./errors.js";
import { log } from "./logger.js";
import type * as api from "./openai.js";
import { type ChatOptions, type GenerationConfig, ModelType } from "./types.js";

export const ChatCompletionRequestUnsupportedFields: string[] = [];
const COMPLETION_UNSUPPORTED = ["suffix", "user", "best_of"];
const EMBEDDING_UNSUPPORTED = ["dimensions", "user"];
const MAX_TOP_LOGPROBS = 5;

// --- checks ----------------------------------------------------------------------------------------------------------
/** As WebLLM checks, for who calls it: tools are for five models only, and neither system prompt nor response format may stand beside them. */
export function postInitAndCheckFieldsChatCompletion(
  request: api.ChatCompletionRequest,
  currentModelId: string,
  currentModelType: ModelType,
  supportedInputKinds?: ReadonlySet<"image" | "audio">,
): void {
  checkChat(request, currentModelId, currentModelType, supportedInputKinds);
  if (!request.tools) return;
  if (!functionCallingModelIds.includes(currentModelId)) throw webllmError("UnsupportedModelIdError", currentModelId, functionCallingModelIds);
  if (request.response_format) throw webllmError("CustomResponseFormatError", request.response_format);
  if (request.messages.some(({ role }) => role === "system")) throw webllmError("CustomSystemPromptError");
}

export function checkChat(request: api.ChatCompletionRequestBase, id: string, type: ModelType, kinds?: ReadonlySet<"image" | "audio">): void {
  refuseFields(request, ChatCompletionRequestUnsupportedFields, "ChatCompletionRequest");
  for (const [index, message] of request.messages.entries()) {
    if (message.role === "user" && typeof message.content !== "string") checkParts(message.content, id, type, kinds);
    if (message.role === "system" && index > 0) throw webllmError("SystemMessageOrderError");
  }
  const last = request.messages.at(-1)?.role;
  if (last !== "user" && last !== "tool") throw webllmError("MessageOrderError", "Last message should be from either `user` or `tool`.");
  checkCommon(request);
  checkFormat(request.response_format);
  checkSampling(request);
}

function checkParts(parts: readonly api.ChatCompletionContentPart[], id: string, type: ModelType, kinds?: ReadonlySet<string>): void {
  if (!kinds && type !== ModelType.VLM) throw webllmError("UserMessageContentErrorForNonVLM", id, ModelType[type] as string, JSON.stringify(parts));
  for (const part of parts) {
    if (part.type === "image_url") {
      const { url, detail } = part.image_url;
      if (kinds && !kinds.has("image")) throw webllmError("UnsupportedContentPartError", id, part.type);
      if (detail !== undefined && detail !== null) throw webllmError("UnsupportedDetailError", detail);
      if (!/^(data:image|http)/.test(url)) throw webllmError("UnsupportedImageURLError", url);
    } else if (part.type === "input_audio" && !kinds?.has("audio")) {
      throw webllmError("UnsupportedContentPartError", id, part.type);
    }
  }
  if (parts.filter(({ type }) => type === "text").length > 1) throw webllmError("MultipleTextContentError");
}

function checkFormat(format: api.ResponseFormat | null | undefined): void {
  if (!format) return;
  const { type, schema = null, grammar = null, structural_tag: tag = null } = format;
  if (schema !== null && type !== "json_object") throw webllmError("InvalidResponseFormatError");
  if ((grammar !== null) !== (type === "grammar")) throw webllmError("InvalidResponseFormatGrammarError");
  if ((tag !== null) !== (type === "structural_tag")) throw webllmError("InvalidResponseFormatStructuralTagError");
}

export function postInitAndCheckFieldsCompletion(request: api.CompletionCreateParamsBase, _currentModelId?: string): void {
  rejectCompletionResumable(request);
  refuseFields(request, COMPLETION_UNSUPPORTED, "CompletionCreateParams");
  checkCommon(request);
  checkSampling(request);
}

export function rejectCompletionResumable(request: api.CompletionCreateParamsBase): void {
  const { resumable = null } = (request.extra_body ?? {}) as { resumable?: unknown };
  if (resumable !== null) throw webllmError("UnsupportedFieldsError", ["extra_body.resumable"], "CompletionCreateParams");
}

export function postInitAndCheckFieldsEmbedding(request: api.EmbeddingCreateParams, _currentModelId?: string): void {
  refuseFields(request, EMBEDDING_UNSUPPORTED, "EmbeddingCreateParams");
  if (request.encoding_format === "base64") throw webllmError("EmbeddingUnsupportedEncodingFormatError");
  const { input } = request;
  const isEmpty = input.length === 0 || (typeof input !== "string" && input.some((part) => typeof part !== "number" && part.length === 0));
  if (isEmpty) throw webllmError("EmbeddingInputEmptyError");
}

function refuseFields(request: object, fields: readonly string[], where: string): void {
  const found = fields.filter((field) => field in request);
  if (found.length) throw webllmError("UnsupportedFieldsError", found, where);
}

function checkCommon({ stream, n, seed, stream_options }: api.ChatCompletionRequestBase | api.CompletionCreateParamsBase): void {
  if (stream && n && n > 1) throw webllmError("StreamingCountError");
  if (seed !== undefined && seed !== null && !Number.isInteger(seed)) throw webllmError("SeedTypeError", seed);
  if (stream_options && !stream) throw webllmError("InvalidStreamOptionsError");
}

export function checkSampling(config: GenerationConfig): void {
  const range = (name: keyof GenerationConfig, least: number, most: number, isOpen = false): void => {
    const value = (config[name] ?? null) as number | null;
    if (value !== null && !((isOpen ? value > least : value >= least) && value <= most)) throw webllmError("RangeError", name, least, most);
  };
  range("frequency_penalty", -2, 2);
  range("presence_penalty", -2, 2);
  for (const name of ["repetition_penalty", "max_tokens"] as const) {
    const value = config[name] ?? null;
    if (value !== null && !(value > 0)) throw webllmError("MinValueError", name, 0);
  }
  range("top_p", 0, 1, true);
  if (!((config.temperature ?? 0) >= 0)) throw webllmError("NonNegativeError", "temperature");
  for (const [token, bias] of Object.entries(config.logit_bias ?? {})) {
    if (!(bias >= -100 && bias <= 100)) throw webllmError("RangeError", "logit_bias", -100, 100, `Got ${bias} for tokenID ${token}`);
    if (Number.isNaN(Number.parseInt(token))) throw webllmError("InvalidNumberStringError", "logit_bias's keys", token);
  }
  const top = config.top_logprobs ?? null;
  if (top !== null && !config.logprobs) throw webllmError("DependencyError", "top_logprobs", "logprobs", true);
  if (top !== null && !(top >= 0 && top <= MAX_TOP_LOGPROBS)) {
    throw webllmError("RangeError", "top_logprobs", 0, MAX_TOP_LOGPROBS, `Got ${top}`);
  }
}

// --- Fanlight's words ------------------------------------------------------------------------------------------------
/** Fields that go as they are: WebLLM's, and what of Fanlight's its users may want besides. */
const SAMPLING = [
  ...["n", "temperature", "top_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "max_tokens", "stop", "seed", "logit_bias"],
  ...["ignore_eos", "top_k", "min_p", "stop_token_ids", "context_overflow"],
] as const;
const CHAT = [
  ...[...SAMPLING, "messages", "tools", "tool_choice", "logprobs", "top_logprobs", "parallel_tool_calls", "chat_template_kwargs"],
  ...["max_completion_tokens", "reasoning_effort", "thinking_token_budget"],
];
const COMPLETION = [...SAMPLING, "prompt", "echo"];
/** Of a message. Its page may keep more in it, such as WebLLM Chat's `id` and `date`. */
const MESSAGE = ["role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content", "refusal"];
const READ_HERE = ["stream", "stream_options", "model", "extra_body", "response_format", "logprobs", "top_logprobs"];
/** What a request leaves out is as the model's record and the engine's options say. */
const DEFAULTS = ["temperature", "top_p", "frequency_penalty", "presence_penalty", "repetition_penalty"] as const;

type Body = Record<string, unknown>;

export function chatBody(request: api.ChatCompletionRequestBase, model: string, options: ChatOptions): Body {
  const format = request.response_format && formatOf(request.response_format);
  const thinking = request.extra_body?.enable_thinking ?? null;
  const messages = request.messages.map((message) => Object.fromEntries(Object.entries(message).filter(([name]) => MESSAGE.includes(name))));
  return {
    ...common(request, CHAT, model, options),
    messages,
    ...(format && { response_format: format }),
    ...(thinking !== null && { enable_thinking: thinking }),
  };
}

export function completionBody(request: api.CompletionCreateParamsBase, model: string, options: ChatOptions, contextLength: number): Body {
  const body = { max_tokens: contextLength, ...common(request, COMPLETION, model, options) };
  return request.logprobs ? { ...body, logprobs: request.top_logprobs ?? 0 } : body;
}

/** Always streamed, so that an answer that is interrupted has what was written of it. */
function common(request: object, fields: readonly string[], model: string, options: ChatOptions): Body {
  const given = Object.entries(request).filter(([, value]) => value !== undefined && value !== null);
  const unknown = given.map(([name]) => name).filter((name) => !fields.includes(name) && !READ_HERE.includes(name));
  if (unknown.length) log.warn(`The request has fields that nothing here reads: ${unknown.join(", ")}`);
  const { stop } = request as { stop?: string | string[] | null };
  const stops = [options.conv_template?.stop_str ?? [], options.conv_config?.stop_str ?? [], stop ?? []].flat();
  const defaults = DEFAULTS.map((name) => [name, options[name]] as const).filter(([, value]) => typeof value === "number");
  return {
    ...Object.fromEntries(defaults),
    ...Object.fromEntries(given.filter(([name]) => fields.includes(name))),
    ...(stops.length > 0 && { stop: [...new Set(stops)] }),
    ...((request as { logprobs?: boolean | null }).logprobs && { logprobs_mode: "processed_logprobs" }),
    model,
    stream: true,
    stream_options: { include_usage: true },
    return_token_ids: true,
  };
}

function formatOf({ type, schema, grammar, structural_tag: tag }: api.ResponseFormat): Body | undefined {
  switch (type) {
    case "json_object":
      return schema === undefined || schema === null ? { type } : { type, schema };
    case "grammar":
      return { type, grammar };
    case "structural_tag":
      return { ...(typeof tag === "string" ? (JSON.parse(tag) as Body) : (tag as Body)), type };
    default:
      return undefined;
  }
}
