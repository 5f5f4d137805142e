/** The models that an engine has loaded, and what WebLLM's calls remember of each. */

import type { EngineInfo } from "../types.js";
import { webllmError } from "./errors.js";
import type * as api from "./openai.js";
import { type ChatOptions, type LogitProcessor, type ModelRecord, ModelType } from "./types.js";

export class LoadedModel {
  /** The last answer. */
  message = "";
  /** What `forwardTokensAndSample` went through. */
  context: number[] = [];
  /** What the processor took for each token of the last answer. */
  processorSeconds: number[] = [];
  /** Seconds and tokens since `resetChat`. */
  #spent = { prefillTokens: 0, prefill: 0, decodeTokens: 0, decode: 0 };

  constructor(
    /** By which the engine knows it. */
    readonly name: string,
    readonly record: ModelRecord,
    /** The record's and the user's. */
    readonly options: ChatOptions,
    readonly info: EngineInfo,
    readonly processor: LogitProcessor | undefined,
  ) {}

  get id(): string {
    return this.record.model_id;
  }

  get type(): ModelType {
    return this.record.model_type ?? ModelType.LLM;
  }

  count({ completion_tokens: tokens, extra }: api.CompletionUsage, computed: number): void {
    const { prefill_tokens_per_s: prefill, decode_tokens_per_s: decode } = extra;
    if (prefill > 0) this.spend(computed, computed / prefill, 0, 0);
    if (decode > 0) this.spend(0, 0, tokens - 1, (tokens - 1) / decode);
  }

  spend(prefillTokens: number, prefill: number, decodeTokens: number, decode: number): void {
    const spent = this.#spent;
    this.#spent = {
      prefillTokens: spent.prefillTokens + prefillTokens,
      prefill: spent.prefill + prefill,
      decodeTokens: spent.decodeTokens + decodeTokens,
      decode: spent.decode + decode,
    };
  }

  statsText(): string {
    const rate = (tokens: number, seconds: number): string => (seconds > 0 ? tokens / seconds : 0).toFixed(4);
    const { prefillTokens, prefill, decodeTokens, decode } = this.#spent;
    return `prefill: ${rate(prefillTokens, prefill)} tokens/sec, decoding: ${rate(decodeTokens, decode)} tokens/sec`;
  }

  reset(keepStats: boolean): void {
    this.message = "";
    this.context = [];
    this.processor?.resetState();
    if (!keepStats) this.#spent = { prefillTokens: 0, prefill: 0, decodeTokens: 0, decode: 0 };
  }
}

/** The one that a call means. request: what is called, for the error. */
export function modelToUse(loaded: readonly string[], asked: string | null | undefined, request: string): string {
  const [only, ...others] = loaded;
  if (only === undefined) throw webllmError("ModelNotLoadedError", request);
  if (asked) {
    if (!loaded.includes(asked)) throw webllmError("SpecifiedModelNotFoundError", loaded, asked, request);
    return asked;
  }
  if (others.length) throw webllmError("UnclearModelToUseError", loaded, request);
  return only;
}
