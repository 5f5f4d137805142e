/**
 * Errors under WebLLM's names.  Its users can only look at `error.name` or at how the text begins, since it exports none of the
 * classes but `IntegrityError`: so a name and a text are all that an error here is.
 */

import { ContextOverflow, DeviceLost, NoAdapter, RequestError } from "../errors.js";

/** What an error says, by its name. */
const TEXTS = {
  ConfigurationNotInitializedError: () => "Configuration not initialized: call `reload()` first.",
  ContentTypeError: (what: string) => `${what} should have string content.`,
  ContextWindowSizeExceededError: (why: string) =>
    `Prompt tokens exceed context window size: ${why}. A shorter prompt, or a larger \`context_window_size\`, would fit.`,
  CrossContextLockUnavailableError: () => "Web Locks are not available here, so that sessions cannot be kept apart.",
  CustomResponseFormatError: (format: unknown) =>
    `When using Hermes-2-Pro function calling via ChatCompletionRequest.tools, cannot specify customized response_format. Got: ${JSON.stringify(format)}`,
  CustomSystemPromptError: () =>
    "When using Hermes-2-Pro function calling via ChatCompletionRequest.tools, cannot specify customized system prompt.",
  DependencyError: (field: string, other: string, value: unknown) => `${field} requires ${other} to be ${String(value)}.`,
  DeviceLostError: () =>
    "The WebGPU device was lost while loading the model. Mostly its memory was full: a smaller model, or a smaller context, may fit.",
  EmbeddingInputEmptyError: () => "Embedding input cannot be empty string or empty token array.",
  EmbeddingUnsupportedEncodingFormatError: () => "Embedding in base64 format is currently not supported.",
  EmbeddingUnsupportedModelError: (id: string) =>
    `Trying to run embeddings.create() with ${id}, which does not have ModelRecord.model_type === ModelType.embedding in the model record.`,
  FeatureSupportError: (feature: string) => `This model requires feature ${feature}, which is not yet supported by this browser.`,
  GrammarMatcherInitError: (type: string, why: string) =>
    `Failed to initialize the grammar matcher for response format \`${type}\`: ${why}`,
  IncorrectPipelineLoadedError: (id: string, expected: string, request: string) =>
    `${request} expects model to be loaded with ${expected}. However, ${id} is not loaded with this pipeline.`,
  InvalidNumberStringError: (field: string, got: string) => `Make sure ${field} to be number represented in string. Got ${got}`,
  InvalidResponseFormatError: () => "JSON schema is only supported with `json_object` response format.",
  InvalidResponseFormatGrammarError: () => "When ResponseFormat.type is `grammar`, ResponseFormat.grammar is needed; and the other way round.",
  InvalidResponseFormatStructuralTagError: () =>
    "When ResponseFormat.type is `structural_tag`, ResponseFormat.structural_tag is needed; and the other way round.",
  InvalidStreamOptionsError: () => "Only specify stream_options when stream=True.",
  MessageOrderError: (why: string) => why,
  MinValueError: (field: string, least: number) => `Make sure \`${field}\` > ${least}.`,
  ModelNotFoundError: (id: string) =>
    `Cannot find model record in appConfig for ${id}. Is the model ID right, and in the \`model_list\` of the appConfig?`,
  ModelNotLoadedError: (request: string) =>
    `Model not loaded before trying to complete ${request}. Call \`reload(model)\` first, or make the engine by CreateMLCEngine().`,
  MultipleTextContentError: () => "Each message can have at most one text contentPart, but received more than 1.",
  NoServiceWorkerAPIError: () => "Service worker API is not available in your browser, or this page is not secure (HTTPS).",
  NonNegativeError: (field: string) => `Make sure ${field} >= 0.`,
  NonWorkerEnvironmentError: (what: string) => `${what} must be created in the service worker script.`,
  RangeError: (field: string, least: number, most: number, more = "") => `Make sure ${least} < ${field} <= ${most}.${more && ` ${more}`}`,
  ReloadArgumentSizeUnmatchedError: (ids: number, options: number) =>
    `Expect chatOpts, if specified, to match the size of modelId. However, got ${ids} modelId, but ${options} chatOpts.`,
  ReloadModelIdNotUniqueError: (ids: readonly string[]) =>
    `Need to make models in modelId passed to reload() need to be unique: make a record with another model_id for a copy. Received modelId: ${ids.join(",")}`,
  ResumableSessionExistsError: (id: string) => `A resumable session ${id} exists already: delete it, or choose another sessionId.`,
  SeedTypeError: (seed: unknown) => `\`seed\` should be an integer, but got ${String(seed)}`,
  ServiceWorkerInitializationError: () => "Service worker failed to initialize: it is not active. Please refresh the page.",
  ShaderF16SupportError: () => "This model requires WebGPU extension shader-f16, which is not enabled in this browser.",
  SpecifiedModelNotFoundError: (loaded: readonly string[], id: string, request: string) =>
    `Specified model ${id} for ${request} is not found in loaded models. Currently loaded models are:\n${loaded.join(",")}`,
  StreamingCountError: () => "When streaming, `n` cannot be > 1.",
  SystemMessageOrderError: () => "System prompt should always be the first message in `messages`.",
  UnclearModelToUseError: (loaded: readonly string[], request: string) =>
    `Multiple models are loaded in engine. Please specify the model in ${request}.\nCurrently loaded models are:\n${loaded.join(",")}`,
  UnknownMessageKindError: (kind: string, content: unknown) => `Unknown message kind, msg: [${kind}] ${String(content)}`,
  UnsupportedContentPartError: (id: string, type: string) =>
    `Model ${id} does not declare support for user content type ${JSON.stringify(type)}.`,
  UnsupportedDetailError: (detail: string) => `Currently do not support field image_url.detail, but received: ${detail}`,
  UnsupportedFieldsError: (fields: readonly string[], where: string) =>
    `The following fields in ${where} are not yet supported: \n${fields.join(", ")}`,
  UnsupportedImageURLError: (url: string) => `image_url.url should start with "data:image" for base64, or with "http", but got: ${url}`,
  UnsupportedModelIdError: (id: string, known: readonly string[]) =>
    `${id} is not supported for ChatCompletionRequest.tools. Currently, models that support function calling are: ${known.join(", ")}`,
  UserMessageContentErrorForNonVLM: (id: string, type: string, content: unknown) =>
    `The model loaded is not of type ModelType.VLM (vision-language model). Therefore, user message only supports string content, but received: ${String(content)}\nLoaded modelId: ${id}, modelType: ${type}`,
  WebGPUNotAvailableError: (why: string) => `WebGPU is not supported in your current environment, but it is necessary to run the engine. ${why}`,
  WindowSizeConfigurationError: (context: number, sliding: number) =>
    `Only one of context_window_size and sliding_window_size can be positive. Got: context_window_size: ${context}, sliding_window_size: ${sliding}`,
  AttentionSinkSizeError: () => "Need to specify non-negative attention_sink_size if using sliding window.",
  WorkerEngineModelNotLoadedError: (engine: string) => `${engine} is not loaded with a model. Did you call \`engine.reload()\`?`,
} as const;

export type ErrorName = keyof typeof TEXTS;

/** The error of this name. */
export function webllmError<N extends ErrorName>(name: N, ...args: Parameters<(typeof TEXTS)[N]>): Error {
  const text = (TEXTS[name] as (...given: unknown[]) => string)(...args);
  return named(name, text);
}

export class IntegrityError extends Error {
  override readonly name = "IntegrityError";

  constructor(
    readonly url: string,
    readonly expected: string,
    readonly actual: string,
  ) {
    super(`Integrity verification failed for ${url}\n  Expected: ${expected}\n  Actual: ${actual}\nThe file is damaged, or was changed.`);
  }
}

/** What Fanlight threw, under WebLLM's name where it has one for it. format: of the request's answer. */
export function renamed(error: unknown, format = "text"): unknown {
  if (error instanceof ContextOverflow) return webllmError("ContextWindowSizeExceededError", error.message);
  if (error instanceof NoAdapter) return webllmError("WebGPUNotAvailableError", `${error.message} ${error.hint}`);
  if (error instanceof DeviceLost) return webllmError("DeviceLostError");
  const isOfGrammar = error instanceof RequestError && /^response_format\b/.test(error.param ?? "");
  return isOfGrammar ? webllmError("GrammarMatcherInitError", format, error.message) : error;
}

/** The error whose `toString()` is this text, as it crossed from a worker. */
export function errorFromText(text: unknown): Error {
  const [, name, message] = /^([A-Za-z]\w*): ([^]*)$/.exec(String(text)) ?? [];
  return name === undefined ? named("", String(text)) : named(name, message ?? "");
}

function named(name: string, text: string): Error {
  return Object.assign(new Error(text), { name });
}
