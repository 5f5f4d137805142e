/** WebLLM's protocol between a page and what has the engine: one message a call, answered under its uuid; streams are pulled, chunk by chunk. */

import type * as api from "./openai.js";
import type {
  AppConfig,
  ChatOptions,
  InitProgressReport,
  LogLevel,
  ResumeChatCompletionOptions,
  ResumeProbeResult,
  ResumeResult,
} from "./types.js";

/** Which models the page believes to be loaded: an engine that was ended meanwhile loads them again. */
interface Expected {
  modelId: string[];
  chatOpts?: ChatOptions[];
}
type InStream = { selectedModelId: string; streamId: string };
export type CustomRequestParams = { requestName: string; requestMessage: string };

/** kind -> what it carries, and what comes back. */
export interface Calls {
  reload: [Expected, null];
  chatCompletionNonStreaming: [Expected & { request: api.ChatCompletionRequestNonStreaming }, api.ChatCompletion];
  completionNonStreaming: [Expected & { request: api.CompletionCreateParamsNonStreaming }, api.Completion];
  embedding: [Expected & { request: api.EmbeddingCreateParams }, api.CreateEmbeddingResponse];
  chatCompletionStreamInit: [Expected & InStream & { request: api.ChatCompletionRequestStreaming }, null];
  completionStreamInit: [Expected & InStream & { request: api.CompletionCreateParamsStreaming }, null];
  completionStreamNextChunk: [{ streamId: string }, api.ChatCompletionChunk | api.Completion | undefined];
  completionStreamReturn: [{ streamId: string }, null];
  resumeChatCompletion: [{ sessionId: string; options?: ResumeChatCompletionOptions }, ResumeResult];
  resumeChatCompletionStreamInit: [{ sessionId: string; options?: ResumeChatCompletionOptions; streamId: string }, ResumeResult | null];
  listResumableSessions: [null, ResumeProbeResult[]];
  deleteResumableSession: [{ sessionId: string }, null];
  forwardTokensAndSample: [{ inputIds: number[]; isPrefill: boolean; modelId?: string }, number];
  runtimeStatsText: [{ modelId?: string }, string];
  getMessage: [{ modelId?: string }, string];
  resetChat: [{ keepStats: boolean; modelId?: string }, null];
  unload: [null, null];
  interruptGenerate: [null, null];
  getMaxStorageBufferBindingSize: [null, number];
  getGPUVendor: [null, string];
}

/** These are answered by nothing. */
export interface Notices {
  setLogLevel: LogLevel;
  setAppConfig: AppConfig;
  customRequest: CustomRequestParams;
  keepAlive: null;
}

export type Kind = keyof Calls;
export type MessageContent = Calls[Kind][number] | Notices[keyof Notices] | InitProgressReport | string | void;
export type WorkerRequest = { kind: Kind | keyof Notices; uuid: string; content: MessageContent };
export type WorkerResponse =
  | { kind: "return" | "throw"; uuid: string; content: MessageContent }
  | { kind: "initProgressCallback"; uuid: string; content: InitProgressReport }
  | { kind: "heartbeat"; uuid: string };

/** Of a message event, or of a port's message, which is one itself. */
export function messageOf<T>(event: unknown): T {
  const { data } = event as { data?: unknown };
  return (data !== undefined ? data : event) as T;
}
