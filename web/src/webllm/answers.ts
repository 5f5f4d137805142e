/** From an answer's pieces to WebLLM's responses, chunks and usage. */

import type * as api from "./openai.js";
import type { Answer, Measured, Piece } from "./pieces.js";
import type { LatencyBreakdown } from "./types.js";

const NEVER: Measured = { promptTokens: 0, computedPromptTokens: 0, completionTokens: 0, extra: {} };

/** What all chunks, and the response, of one request have. */
export interface Head {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

export function head(model: string): Head {
  return { id: crypto.randomUUID(), created: Math.floor(Date.now() / 1000), model };
}

/** Counts and times one request, also one that is interrupted, of which the engine says nothing. */
export class Clock {
  readonly #start = performance.now();
  #first = 0;
  #last = 0;
  #times: number[] = []; // seconds from token to token
  #tokens = 0;
  #texts = new Map<number, string>();

  /** Texts by choice. */
  get texts(): ReadonlyMap<number, string> {
    return this.#texts;
  }

  take({ index, text, tokenIds }: Piece): void {
    this.#texts.set(index, (this.#texts.get(index) ?? "") + text);
    if (!tokenIds.length) return;
    const now = performance.now();
    const since = this.#last || this.#start;
    this.#first ||= now;
    this.#last = now;
    this.#tokens += tokenIds.length;
    for (const _ of tokenIds) this.#times.push((now - since) / 1000 / tokenIds.length);
  }

  /** processorSeconds: where a breakdown is asked for. */
  usage(answer: Answer, hasGrammar: boolean, processorSeconds: readonly number[] | null): api.CompletionUsage {
    const prompt = answer.measured?.promptTokens ?? answer.promptTokenIds.length;
    const completion = answer.measured?.completionTokens ?? this.#tokens;
    const { extra } = answer.measured ?? NEVER;
    const firstToken = extra["time_to_first_token_s"] ?? this.#seconds(this.#start, this.#first);
    const decoding = this.#seconds(this.#first, this.#last);
    const decodeRate = extra["decode_tokens_per_s"] ?? (decoding > 0 ? (completion - 1) / decoding : 0);
    return {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
      extra: {
        e2e_latency_s: (performance.now() - this.#start) / 1000,
        prefill_tokens_per_s: extra["prefill_tokens_per_s"] ?? (firstToken > 0 ? prompt / firstToken : 0),
        decode_tokens_per_s: decodeRate,
        time_to_first_token_s: firstToken,
        time_per_output_token_s: decodeRate > 0 ? 1 / decodeRate : 0,
        ...(hasGrammar && { grammar_init_s: extra["grammar_init_s"] ?? 0, grammar_per_token_s: 0 }),
        ...(processorSeconds && { latencyBreakdown: this.#breakdown(processorSeconds) }),
      },
    };
  }

  #seconds(from: number, to: number): number {
    return to > from ? (to - from) / 1000 : 0;
  }

  /** Biases, penalties, masks and the draw are part of the GPU's step: by themselves they take no time that could be told apart. */
  #breakdown(processorSeconds: readonly number[]): LatencyBreakdown {
    const none = this.#times.map(() => 0);
    return { logitProcessorTime: processorSeconds.length ? [...processorSeconds] : none, logitBiasTime: none, penaltyTime: none, sampleTime: none, totalTime: this.#times, grammarBitmaskTime: none };
  }
}

// --- chunks ----------------------------------------------------------------------------------------------------------
export function chatChunks(made: Head, { index, text, logprobs, finish, toolCalls }: Piece, withLogprobs: boolean): api.ChatCompletionChunk[] {
  const chunk = (choice: Omit<api.ChatCompletionChunk.Choice, "index">): api.ChatCompletionChunk => ({
    ...made,
    object: "chat.completion.chunk",
    choices: [{ ...choice, index }],
  });
  const found = withLogprobs ? { content: [...logprobs] } : null;
  const chunks = text || logprobs.length ? [chunk({ delta: { content: text, role: "assistant" }, finish_reason: null, logprobs: found })] : [];
  if (finish === null) return chunks;
  const calls = toolCalls?.map((call, i) => ({ ...call, index: i }));
  return [...chunks, chunk({ delta: calls ? { role: "assistant", tool_calls: calls } : {}, finish_reason: finish })];
}

export function textChunks(made: Head, { index, text, logprobs, finish }: Piece, withLogprobs: boolean): api.Completion[] {
  const chunk = (choice: Omit<api.CompletionChoice, "index">): api.Completion => ({ ...made, object: "text_completion", choices: [{ ...choice, index }] });
  const found = withLogprobs ? { content: [...logprobs] } : null;
  const chunks = text || logprobs.length ? [chunk({ text, finish_reason: null, logprobs: found })] : [];
  return finish === null ? chunks : [...chunks, chunk({ text: "", finish_reason: finish })];
}

// --- whole answers ---------------------------------------------------------------------------------------------------
interface Whole {
  text: string;
  finish: api.ChatCompletionFinishReason;
  toolCalls: api.ChatCompletionMessageToolCall[] | null;
  readonly logprobs: api.ChatCompletionTokenLogprob[];
}

/** By choice, in order. */
export class Gathered {
  readonly #choices: Whole[] = [];

  take({ index, text, finish, logprobs, toolCalls }: Piece): void {
    const choice = (this.#choices[index] ??= { text: "", finish: "abort", toolCalls: null, logprobs: [] });
    choice.text += text;
    choice.finish = finish ?? choice.finish;
    choice.toolCalls = toolCalls ?? choice.toolCalls;
    choice.logprobs.push(...logprobs);
  }

  chat(made: Head, withLogprobs: boolean): api.ChatCompletion {
    const choices = this.#choices.map(({ text, finish, toolCalls, logprobs }, index) => ({
      index,
      finish_reason: finish,
      logprobs: withLogprobs ? { content: logprobs } : null,
      message: { role: "assistant" as const, ...(toolCalls ? { content: null, tool_calls: toolCalls } : { content: text }) },
    }));
    return { ...made, object: "chat.completion", choices };
  }

  completion(made: Head, withLogprobs: boolean): api.Completion {
    const choices = this.#choices.map(({ text, finish, logprobs }, index) => ({
      index,
      finish_reason: finish,
      logprobs: withLogprobs ? { content: logprobs } : null,
      text,
    }));
    return { ...made, object: "text_completion", choices };
  }
}
