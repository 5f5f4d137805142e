/** The engine's interface and its settings under WebLLM's type names. */

import type { Chat, Completions, Embeddings } from "./groups.js";
import type * as api from "./openai.js";

// --- progress and logs -----------------------------------------------------------------------------------------------
export interface InitProgressReport {
  /** 0 to 1; exactly 1 when the model is there. */
  progress: number;
  /** Seconds. */
  timeElapsed: number;
  text: string;
}
export type InitProgressCallback = (report: InitProgressReport) => void;
export type LogLevel = "TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR" | "SILENT";

/** Lives where the engine lives; registered by model_id. */
export interface LogitProcessor {
  processLogits: (logits: Float32Array) => Float32Array;
  processSampledToken: (token: number) => void;
  resetState: () => void;
}

/** Seconds, one number a token. */
export interface LatencyBreakdown {
  logitProcessorTime: number[];
  logitBiasTime: number[];
  penaltyTime: number[];
  sampleTime: number[];
  totalTime: number[];
  grammarBitmaskTime: number[];
}

// --- models ----------------------------------------------------------------------------------------------------------
export enum ModelType {
  "LLM",
  "embedding",
  "VLM",
}
export enum Role {
  user = "user",
  assistant = "assistant",
  tool = "tool",
}

/** How a conversation is written: MLC's word for a chat template. */
export interface ConvTemplateConfig {
  system_template: string;
  system_message: string;
  roles: Record<Role, string>;
  role_templates?: Partial<Record<Role, string>>;
  seps: Array<string>;
  role_content_sep?: string;
  role_empty_sep?: string;
  stop_str: Array<string>;
  system_prefix_token_ids?: Array<number>;
  stop_token_ids: Array<number>;
  add_role_after_system_message?: boolean;
  render_empty_system_message?: boolean;
}
export interface TokenizerInfo {
  token_postproc_method: string;
  prepend_space_in_encode: boolean;
  strip_space_in_decode: boolean;
}
/** mlc-chat-config.json. */
export interface ChatConfig {
  tokenizer_files: Array<string>;
  tokenizer_info?: TokenizerInfo;
  token_table_postproc_method?: string;
  vocab_size: number;
  conv_config?: Partial<ConvTemplateConfig>;
  conv_template: ConvTemplateConfig;
  context_window_size: number;
  sliding_window_size: number;
  attention_sink_size: number;
  max_history_size?: number;
  repetition_penalty: number;
  frequency_penalty: number;
  presence_penalty: number;
  top_p: number;
  temperature: number;
  bos_token_id?: number;
  model_type?: string;
  model_config?: Record<string, unknown>;
}
/** Laid over the model's own configuration. What is not known is passed over. */
export interface ChatOptions extends Partial<ChatConfig> {}

export type SRIString = string;
export type FileIntegrityMap = Record<string, SRIString>;
export interface ModelIntegrity {
  config?: SRIString;
  model_lib?: SRIString;
  tokenizer?: FileIntegrityMap;
  onFailure?: "error" | "warn";
}
export interface ModelRecord {
  /** MLC's shards, as WebLLM takes them; or anything that Fanlight loads: the address of a GGUF file, "built-in". */
  model: string;
  model_id: string;
  /** Not read: Fanlight compiles its kernels itself. */
  model_lib: string;
  overrides?: ChatOptions;
  vram_required_MB?: number;
  low_resource_required?: boolean;
  buffer_size_required_bytes?: number;
  required_features?: Array<string>;
  model_type?: ModelType;
  integrity?: ModelIntegrity;
  model_manifest?: string;
}
export type CacheBackend = "cache" | "indexeddb" | "cross-origin" | "opfs";
export type OPFSAccessMode = "async" | "sync" | "auto";
/** Models are kept in Fanlight's store (OPFS), whatever `cacheBackend` says. */
export interface AppConfig {
  model_list: Array<ModelRecord>;
  cacheBackend?: CacheBackend;
  opfsAccessMode?: OPFSAccessMode;
}
export interface MLCEngineConfig {
  appConfig?: AppConfig;
  initProgressCallback?: InitProgressCallback;
  logitProcessorRegistry?: Map<string, LogitProcessor>;
  logLevel?: LogLevel;
}
export interface GenerationConfig {
  repetition_penalty?: number | null;
  ignore_eos?: boolean;
  top_p?: number | null;
  temperature?: number | null;
  max_tokens?: number | null;
  frequency_penalty?: number | null;
  presence_penalty?: number | null;
  stop?: string | null | Array<string>;
  n?: number | null;
  logit_bias?: Record<string, number> | null;
  logprobs?: boolean | null;
  top_logprobs?: number | null;
  response_format?: api.ResponseFormat | null;
  enable_thinking?: boolean | null;
  enable_latency_breakdown?: boolean | null;
}
/** The two files of WebLLM's model packages; nothing here reads them. */
export interface ModelPackageManifest {
  schema: "mlc.model-package";
  schema_version: 1;
  chat_config: "mlc-chat-config.json";
  interface_id: string;
  weights: { manifest: "tensor-cache.json"; parameter_schema_id: string };
  tasks: Record<string, unknown>;
}
export interface CompiledProgramArtifact {
  schema: "mlc.compiled-program";
  schema_version: 1;
  interface_id: string;
  parameter_schema_id: string;
  programs: Record<string, unknown>;
  resources: { required_features: string[]; max_storage_buffer_binding_size: number; estimated_device_memory_bytes: number };
}

// --- answers that outlive their page ---------------------------------------------------------------------------------
export interface ResumableGenerationConfig {
  enabled: boolean;
  sessionId?: string;
  checkpointIntervalTokens?: number;
  checkpointPrompt?: boolean;
  durabilityMode?: "exact" | "relaxed";
  strictPersistence?: boolean;
  storeCheckpointLogits?: boolean;
}
export interface ResumeProbeResult {
  sessionId: string;
  resumable: boolean;
  reason?: string;
  modelId: string;
  emittedTokens: number;
  processedSeqLen: number;
  recoveryMode: "kv" | "token_replay" | "text_only" | "none";
}
export interface ResumeResult {
  sessionId: string;
  recoveredText: string;
  emittedTokens: number;
  processedSeqLen: number;
  replayedTokens: number;
  recoveryMode: "kv" | "token_replay" | "text_only";
}
export interface ResumeChatCompletionOptions {
  continueGeneration?: boolean;
  stream?: boolean;
}

// --- the engine ------------------------------------------------------------------------------------------------------
export interface MLCEngineInterface {
  chat: Chat;
  completions: Completions;
  embeddings: Embeddings;
  setInitProgressCallback: (initProgressCallback: InitProgressCallback) => void;
  getInitProgressCallback: () => InitProgressCallback | undefined;
  setAppConfig: (appConfig: AppConfig) => void;
  reload: (modelId: string | string[], chatOpts?: ChatOptions | ChatOptions[]) => Promise<void>;
  chatCompletion(request: api.ChatCompletionRequestNonStreaming): Promise<api.ChatCompletion>;
  chatCompletion(request: api.ChatCompletionRequestStreaming): Promise<AsyncIterable<api.ChatCompletionChunk>>;
  chatCompletion(request: api.ChatCompletionRequestBase): Promise<AsyncIterable<api.ChatCompletionChunk> | api.ChatCompletion>;
  completion(request: api.CompletionCreateParamsNonStreaming): Promise<api.Completion>;
  completion(request: api.CompletionCreateParamsStreaming): Promise<AsyncIterable<api.Completion>>;
  completion(request: api.CompletionCreateParamsBase): Promise<AsyncIterable<api.Completion> | api.Completion>;
  embedding(request: api.EmbeddingCreateParams): Promise<api.CreateEmbeddingResponse>;
  listResumableSessions(): Promise<ResumeProbeResult[]>;
  resumeChatCompletion(
    sessionId: string,
    options?: ResumeChatCompletionOptions,
  ): Promise<ResumeResult | AsyncIterable<api.ChatCompletionChunk>>;
  deleteResumableSession(sessionId: string): Promise<void>;
  runtimeStatsText: (modelId?: string) => Promise<string>;
  interruptGenerate: () => void;
  unload: () => Promise<void>;
  resetChat: (keepStats?: boolean, modelId?: string) => Promise<void>;
  getMessage: (modelId?: string) => Promise<string>;
  getMaxStorageBufferBindingSize(): Promise<number>;
  getGPUVendor(): Promise<string>;
  forwardTokensAndSample(inputIds: Array<number>, isPrefill: boolean, modelId?: string): Promise<number>;
  setLogLevel(logLevel: LogLevel): void;
}
