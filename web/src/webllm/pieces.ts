/** One request's answer as pieces, whatever asked for it: Fanlight's chunks, in the shape that WebLLM's answers are made of. */

import type { Engine } from "../client.js";
import { renamed } from "./errors.js";
import type * as api from "./openai.js";

type Reason = api.ChatCompletionFinishReason;

export interface Piece {
  readonly index: number;
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly logprobs: readonly api.ChatCompletionTokenLogprob[];
  /** Whole, on the last piece. */
  readonly toolCalls?: api.ChatCompletionMessageToolCall[];
  readonly finish: Reason | null;
}

/** What was measured, when the answer is over. */
export interface Measured {
  readonly promptTokens: number;
  readonly computedPromptTokens: number;
  readonly completionTokens: number;
  readonly extra: Readonly<Record<string, number>>;
}

export interface Answer {
  readonly pieces: AsyncGenerator<Piece>;
  /** Of the prompt; known with the first piece. */
  promptTokenIds: readonly number[];
  fingerprint: string;
  /** null until it is over, and where it was interrupted. */
  measured: Measured | null;
}

type Kind = "chat" | "completion";
type Body = Record<string, unknown>;

/** What Fanlight's chunks have, of both kinds. */
interface Chunk {
  readonly choices: readonly Choice[];
  readonly system_fingerprint?: string;
  readonly prompt_token_ids?: readonly number[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details: { readonly cached_tokens: number };
    readonly extra: Readonly<Record<string, number>>;
  } | null;
}
interface Choice {
  readonly index: number;
  readonly text?: string;
  readonly delta?: { readonly content?: string | null; readonly reasoning_content?: string; readonly tool_calls?: readonly CallDelta[] };
  readonly logprobs?: { readonly content?: api.ChatCompletionTokenLogprob[] } & LegacyLogprobs | null;
  readonly token_ids?: readonly number[];
  readonly finish_reason: Reason | null;
}
interface CallDelta {
  readonly index: number;
  readonly id?: string;
  readonly function?: { readonly name?: string; readonly arguments?: string };
}
/** OpenAI's of completions. */
interface LegacyLogprobs {
  readonly tokens?: readonly string[];
  readonly token_logprobs?: readonly (number | null)[];
  readonly top_logprobs?: readonly (Readonly<Record<string, number>> | null)[] | null;
}

/** An answer that is interrupted ends with "abort", and keeps what was written of it. Who leaves the loop over its pieces ends it. */
export function ask(engine: Engine, kind: Kind, body: Body, interrupt: AbortSignal): Answer {
  const answer: Answer = { pieces: read(), promptTokenIds: [], fingerprint: "", measured: null };
  const format = (body["response_format"] as { type?: string } | undefined)?.type ?? "text";

  async function* read(): AsyncGenerator<Piece> {
    const writers = Array.from({ length: Number(body["n"] ?? 1) }, () => new Writer());
    try {
      for await (const chunk of await stream(engine, kind, body, interrupt)) {
        answer.fingerprint = chunk.system_fingerprint ?? answer.fingerprint;
        answer.promptTokenIds = chunk.prompt_token_ids ?? answer.promptTokenIds;
        for (const choice of chunk.choices) yield (writers[choice.index] as Writer).piece(choice);
        if (chunk.usage) answer.measured = measuredOf(chunk.usage);
      }
    } catch (error) {
      if (!interrupt.aborted) throw renamed(error, format);
      for (const [index, writer] of writers.entries()) if (!writer.isOver) yield writer.aborted(index);
    }
  }
  return answer;
}

async function stream(engine: Engine, kind: Kind, body: Body, signal: AbortSignal): Promise<AsyncIterable<Chunk>> {
  const create = (kind === "chat" ? engine.chat.completions.create : engine.completions.create) as unknown as (
    body: Body,
    options: { signal: AbortSignal },
  ) => Promise<AsyncIterable<Chunk>>;
  return create(body, { signal });
}

function measuredOf(usage: NonNullable<Chunk["usage"]>): Measured {
  return {
    promptTokens: usage.prompt_tokens,
    computedPromptTokens: usage.prompt_tokens - usage.prompt_tokens_details.cached_tokens,
    completionTokens: usage.completion_tokens,
    extra: usage.extra,
  };
}

/** One choice's: reasoning goes into the text between its marks, as WebLLM leaves it there; calls are kept until they are whole. */
class Writer {
  isOver = false;
  #isThinking = false;
  #calls: { id: string; name: string; arguments: string }[] = [];

  piece({ index, text, delta, logprobs, token_ids: tokenIds, finish_reason: finish }: Choice): Piece {
    this.isOver = finish !== null;
    for (const call of delta?.tool_calls ?? []) this.#take(call);
    const written = text ?? this.#written(delta?.reasoning_content ?? "", delta?.content ?? "");
    return {
      index,
      text: written,
      tokenIds: tokenIds ?? [],
      logprobs: logprobs?.content ?? fromLegacy(logprobs ?? {}),
      finish,
      ...(finish !== null && this.#calls.length > 0 && { toolCalls: this.#toolCalls() }),
    };
  }

  aborted(index: number): Piece {
    this.isOver = true;
    return { index, text: "", tokenIds: [], logprobs: [], finish: "abort" };
  }

  #written(reasoning: string, content: string): string {
    let text = "";
    if (reasoning && !this.#isThinking) text += "<think>\n";
    this.#isThinking ||= reasoning !== "";
    text += reasoning;
    if (this.#isThinking && content) {
      text += "\n</think>\n\n";
      this.#isThinking = false;
    }
    return text + content;
  }

  #take({ index, id, function: called }: CallDelta): void {
    const call = (this.#calls[index] ??= { id: "", name: "", arguments: "" });
    call.id ||= id ?? "";
    call.name ||= called?.name ?? "";
    call.arguments += called?.arguments ?? "";
  }

  #toolCalls(): api.ChatCompletionMessageToolCall[] {
    return this.#calls.map(({ id, name, arguments: given }) => ({ id, type: "function", function: { name, arguments: given } }));
  }
}

/** Log-probabilities of completions, which WebLLM has as chats have them. */
function fromLegacy({ tokens = [], token_logprobs: values = [], top_logprobs: tops }: LegacyLogprobs): api.ChatCompletionTokenLogprob[] {
  const entry = (token: string, logprob: number): api.TopLogprob => ({ token, logprob, bytes: [...new TextEncoder().encode(token)] });
  return tokens.map((token, i) => ({
    ...entry(token, values[i] ?? 0),
    top_logprobs: Object.entries(tops?.[i] ?? {}).map(([other, logprob]) => entry(other, logprob)),
  }));
}
