/** One answer from the engine, as it grows, with its measures.  Knows OpenAI's chunks; knows no page. */

import type { Engine } from "fanlight";
import { type ChatSettings, requestFields } from "./sampling.js";
import { thoughtSplitter } from "./thinking.js";

export interface Turn {
  readonly role: "user" | "assistant";
  readonly content: string;
  readonly thought?: string;
  /** Pictures that a question came with, as data: URLs. */
  readonly images?: readonly string[];
  readonly sounds?: readonly string[];
}

/** A function that the model would have called. */
export interface ToolCall {
  readonly name: string;
  /** JSON, as far as it has come. */
  readonly arguments: string;
}

export interface Answer {
  readonly thought: string; // what a reasoning model thinks aloud, before it answers
  readonly thoughtMs: number;
  readonly text: string;
  readonly calls: readonly ToolCall[];
  readonly numTokens: number;
  readonly firstMs: number | null;
  readonly perSecond: number | null;
  readonly finishReason: string | null;
  readonly isContextFull: boolean;
}

interface CallDelta {
  readonly index: number;
  readonly function?: { readonly name?: string | null; readonly arguments?: string | null };
}

interface Chunk {
  readonly choices: readonly {
    readonly delta?: { readonly content?: string | null; readonly reasoning_content?: string | null; readonly tool_calls?: readonly CallDelta[] };
    readonly text?: string; // of a plain completion
    readonly finish_reason?: string | null;
    readonly token_ids?: readonly number[];
  }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  readonly timings?: { readonly ttft_ms: number | null; readonly decode_tps: number | null };
}

/** What is asked: the turns so far. Where the last one is an answer, the model goes on with it. */
export interface Asked {
  readonly turns: readonly Turn[];
  readonly settings: ChatSettings;
}

const MEASURES = { numTokens: 0, firstMs: null, perSecond: null, finishReason: null, isContextFull: false };
export const EMPTY: Answer = { thought: "", thoughtMs: 0, text: "", calls: [], ...MEASURES };

/** Yields the answer so far, at each news. Ends by returning; throws what the engine throws, an AbortError when `signal` fires. */
export async function* streamAnswer(engine: Engine, asked: Asked, signal: AbortSignal): AsyncGenerator<Answer> {
  const started = performance.now();
  const split = thoughtSplitter();
  let answer = EMPTY;
  for await (const chunk of await request(engine, asked, signal)) {
    answer = grow(answer, chunk, performance.now() - started, split);
    if (chunk.usage) answer = settle(answer, chunk, engine.info.context_length);
    yield answer;
  }
}

async function request(engine: Engine, { turns, settings }: Asked, signal: AbortSignal): Promise<AsyncIterable<Chunk>> {
  const options = {
    stream: true,
    ...requestFields(settings),
    stream_options: { include_usage: true },
    return_token_ids: true,
  } as const;
  if (canChat(engine)) {
    const system = settings.system ? [{ role: "system" as const, content: settings.system }] : [];
    const isContinued = turns.at(-1)?.role === "assistant";
    const messages = [...system, ...turns.map((turn, i) => message(turn, isContinued && i === turns.length - 1))];
    const body = { ...options, messages, ...(isContinued && { continue_final_message: true }) };
    return engine.chat.completions.create(body, { signal }) as Promise<AsyncIterable<Chunk>>;
  }
  const prompt = turns.map((turn, i) => (turn.role === "user" && i > 0 ? `\n${turn.content}` : turn.content)).join("");
  const limit = settings.max_tokens ?? engine.info.context_length; // a completion's own default is 16
  const completions = engine.completions.create({ ...options, prompt, max_tokens: limit }, { signal });
  return completions as Promise<AsyncIterable<unknown>> as Promise<AsyncIterable<Chunk>>;
}

/** What was thought before an answer is not sent back, unless the answer goes on. */
function message({ role, content, thought, images = [], sounds = [] }: Turn, isContinued: boolean) {
  if (role === "user" && images.length + sounds.length) {
    const seen = images.map((url) => ({ type: "image_url" as const, image_url: { url } }));
    const heard = sounds.map((url) => ({ type: "input_audio" as const, input_audio: { data: url.slice(url.indexOf(",") + 1), format: "wav" as const } }));
    return { role, content: [...seen, ...heard, { type: "text" as const, text: content }] };
  }
  return { role, content, ...(isContinued && thought && { reasoning_content: thought }) };
}

/** A model without a chat template only continues text. */
export function canChat(engine: Engine): boolean {
  return engine.info["has_chat_template"] !== false;
}

function grow(answer: Answer, chunk: Chunk, elapsedMs: number, split: ReturnType<typeof thoughtSplitter>): Answer {
  const [choice] = chunk.choices;
  if (!choice) return answer;
  const written = choice.delta?.content ?? choice.text ?? "";
  const { thought: inText, text } = split(written, Boolean(choice.finish_reason));
  const thought = (choice.delta?.reasoning_content ?? "") + inText;
  const calls = withCalls(answer.calls, choice.delta?.tool_calls ?? []);
  const numTokens = answer.numTokens + (choice.token_ids?.length ?? (written || thought || calls !== answer.calls ? 1 : 0));
  const firstMs = answer.firstMs ?? (numTokens > 0 ? elapsedMs : null);
  const decodeMs = firstMs === null ? 0 : elapsedMs - firstMs;
  const perSecond = numTokens > 1 && decodeMs > 100 ? ((numTokens - 1) / decodeMs) * 1000 : answer.perSecond;
  const finishReason = choice.finish_reason ?? answer.finishReason;
  const thoughtMs = thought && !answer.text ? elapsedMs - (firstMs ?? elapsedMs) : answer.thoughtMs;
  const measures = { numTokens, firstMs, perSecond, finishReason };
  return { ...answer, thought: answer.thought + thought, thoughtMs, text: answer.text + text, calls, ...measures };
}

/** A call comes in pieces: its name first, then its arguments' JSON bit by bit. */
function withCalls(calls: readonly ToolCall[], deltas: readonly CallDelta[]): readonly ToolCall[] {
  if (deltas.length === 0) return calls;
  const grown = [...calls];
  for (const { index, function: piece } of deltas) {
    const old = grown[index] ?? { name: "", arguments: "" };
    grown[index] = { name: old.name + (piece?.name ?? ""), arguments: old.arguments + (piece?.arguments ?? "") };
  }
  return grown;
}

/** The last chunk: the engine counted and measured, too. */
function settle(answer: Answer, { usage, timings }: Chunk, contextLength: number): Answer {
  const used = (usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0);
  return {
    ...answer,
    numTokens: usage?.completion_tokens ?? answer.numTokens,
    perSecond: timings?.decode_tps ?? answer.perSecond,
    isContextFull: answer.finishReason === "length" && used >= contextLength - 1,
  };
}
