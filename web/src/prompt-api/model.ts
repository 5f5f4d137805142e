/** What sessions ask of an engine: how many tokens a conversation has, to read it, and to go on with it. */

import type { Engine } from "../client.js";
import { ContextOverflow, FanlightError, RequestError } from "../errors.js";
import type { ChatCompletionCreateParamsBase, ChatCompletionMessageParam, ChatCompletionMessageToolCall, ErrorBody, FinishReason, Model as ModelEntry } from "../openai.js";
import type { OwnSampling, Tool } from "./options.js";

export type Turn = readonly ChatCompletionMessageParam[];

export interface Asked extends Omit<ChatCompletionCreateParamsBase, "messages" | "tools"> {
  readonly turn: Turn;
  readonly tools: readonly Tool[];
}

export interface Said {
  readonly content: string;
  readonly calls: readonly ChatCompletionMessageToolCall[];
  readonly reason: FinishReason | null;
}

export class Model {
  readonly contextLength: number;
  readonly hasChats: boolean;
  readonly sampling: OwnSampling;
  readonly #engine: Engine;
  readonly #name: string;

  constructor(engine: Engine, { id, context_length = 0, has_chat_template = false, sampling = {} }: ModelEntry) {
    this.#engine = engine;
    this.#name = id;
    this.contextLength = context_length;
    this.hasChats = has_chat_template;
    this.sampling = sampling;
  }

  /** Of the conversation, with what begins an answer to it. */
  async count(turn: Turn, tools: readonly Tool[], signal: AbortSignal): Promise<number> {
    try {
      return await orAlternating(turn, async (messages) => {
        const { count } = await this.#post("/tokenize", { messages, ...toolsOf(tools) }, signal);
        return count as number;
      });
    } catch (error) {
      if (!(error instanceof ContextOverflow)) throw error;
      const content = turn.map((message) => message.content).join("\n"); // so long that the engine does not write it as a chat
      return ((await this.#post("/tokenize", { content }, signal))["tokens"] as unknown[]).length;
    }
  }

  /** Computes what the next prompt begins with, which the engine's prefix cache keeps. */
  async read(turn: Turn, tools: readonly Tool[], signal: AbortSignal): Promise<void> {
    await orAlternating(turn, (messages) =>
      this.#engine.chat.completions.create({ model: this.#name, messages, ...toolsOf(tools), max_tokens: 1, temperature: 0 }, { signal }),
    );
  }

  /** `onText` gets each piece of the answer. */
  async answer({ turn, tools, ...fields }: Asked, signal: AbortSignal, onText: (piece: string) => void): Promise<Said> {
    const ask = (messages: ChatCompletionMessageParam[]) =>
      this.#engine.chat.completions.create({ model: this.#name, ...fields, messages, ...toolsOf(tools), stream: true }, { signal });
    const calls: ChatCompletionMessageToolCall[] = [];
    let content = "";
    let reason: FinishReason | null = null;
    for await (const { choices } of await (fields.continue_final_message ? ask([...turn]) : orAlternating(turn, ask))) {
      const choice = choices[0];
      if (!choice) continue;
      reason = choice.finish_reason ?? reason;
      if (choice.delta.content) {
        content += choice.delta.content;
        onText(choice.delta.content);
      }
      for (const { index, id, function: made } of choice.delta.tool_calls ?? []) {
        const call = (calls[index] ??= { id: id ?? "", type: "function", function: { name: "", arguments: "" } });
        call.function.name += made?.name ?? "";
        call.function.arguments += made?.arguments ?? "";
      }
    }
    return { content, calls: reason === "tool_calls" ? calls : [], reason };
  }

  async #post(path: string, body: object, signal: AbortSignal): Promise<Record<string, unknown>> {
    const response = await this.#engine.fetch(`http://fanlight${path}`, { method: "POST", body: JSON.stringify({ model: this.#name, ...body }), signal });
    const answer = (await response.json()) as Record<string, unknown>;
    if (response.ok) return answer;
    const { message, param, code } = (answer as unknown as ErrorBody).error;
    if (code === "context_length_exceeded") throw new ContextOverflow(message, { param });
    throw response.status < 500 ? new RequestError(message, { param }) : new FanlightError(message);
  }
}

function toolsOf(tools: readonly Tool[]): Pick<ChatCompletionCreateParamsBase, "tools"> {
  if (tools.length === 0) return {};
  return { tools: tools.map(({ name, description, inputSchema }) => ({ type: "function", function: { name, description, parameters: inputSchema as Record<string, unknown> } })) };
}

/** Some templates take only conversations in which user and assistant alternate, and the user has the last word. */
async function orAlternating<T>(turn: Turn, ask: (messages: ChatCompletionMessageParam[]) => Promise<T>): Promise<T> {
  try {
    return await ask([...turn]);
  } catch (error) {
    const isRefused = error instanceof RequestError && !(error instanceof ContextOverflow) && error.param === "messages";
    const changed = alternating(turn);
    if (!isRefused || JSON.stringify(changed) === JSON.stringify(turn)) throw error;
    return ask(changed);
  }
}

/** Neighbours of one role are joined, and what the system says begins the user's first message. */
function alternating(turn: Turn): ChatCompletionMessageParam[] {
  const made: ChatCompletionMessageParam[] = [];
  for (const message of turn) {
    const last = made.at(-1);
    const isPlain = message.role === "user" || (message.role === "assistant" && !message.tool_calls);
    const isJoined = last && isPlain && (last.role === message.role || (last.role === "system" && message.role === "user"));
    if (isJoined) made[made.length - 1] = { role: message.role, content: `${last.content}\n\n${message.content}` } as ChatCompletionMessageParam;
    else made.push(message);
  }
  const last = made.at(-1);
  if (last?.role === "system") return [{ role: "user", content: last.content }];
  return last?.role === "assistant" ? [...made, { role: "user", content: "" }] : made;
}
