/** A session's conversation: what stays, what may be dropped, and how many tokens it has.  Knows no events and no options of a page. */

import type { ChatCompletionMessageParam } from "../openai.js";
import type { Constraint } from "./constraint.js";
import { caused, quotaExceeded } from "./errors.js";
import type { Message } from "./messages.js";
import type { Model, Turn } from "./model.js";
import type { Sampling, Tool } from "./options.js";

/** A prompt with its answer, or what was appended. */
interface Exchange {
  readonly turn: Turn;
  readonly tokens: number;
}

export interface Prompt {
  readonly messages: readonly Message[];
  readonly constraint?: Constraint;
  readonly isTold: boolean;
}

export class Conversation {
  /** Tokens of all of it. */
  usage = 0;
  #kept: Turn = []; // the initial prompts, and what the system says
  #exchanges: readonly Exchange[] = [];

  constructor(
    readonly model: Model,
    readonly tools: readonly Tool[],
    readonly sampling: Sampling,
  ) {}

  get hasBegun(): boolean {
    return this.#kept.length + this.#exchanges.length > 0;
  }

  copy(): Conversation {
    const made = new Conversation(this.model, this.tools, this.sampling);
    made.usage = this.usage;
    made.#kept = this.#kept;
    made.#exchanges = this.#exchanges;
    return made;
  }

  /** The initial prompts. Throws QuotaExceededError. */
  async begin(messages: readonly Message[], signal: AbortSignal): Promise<void> {
    const kept = messages.map(written);
    const usage = kept.length ? await this.#count(kept, signal) : await this.#sizeOfTools(signal);
    if (usage >= this.model.contextLength) throw quotaExceeded(usage, this.model.contextLength);
    if (kept.length) await this.model.read(kept, this.tools, signal);
    this.#kept = kept;
    this.usage = usage;
  }

  /** How many tokens it would add. */
  async measure(prompt: Prompt, signal: AbortSignal): Promise<number> {
    return Math.max(0, (await this.#count([...this.#all(), ...turnOf(prompt)], signal)) - this.usage);
  }

  async append(prompt: Prompt, signal: AbortSignal, onDrop: () => void): Promise<void> {
    const turn = turnOf(prompt);
    await this.#makeRoom(turn, signal, onDrop);
    await this.model.read([...this.#all(), ...turn], this.tools, signal);
    await this.#keep(turn, signal);
  }

  /** Asks the model, and the tools that it calls, until it says something. `onText` gets each piece. */
  async respond(prompt: Prompt, signal: AbortSignal, onDrop: () => void, onText: (piece: string) => void): Promise<void> {
    const { constraint, messages } = prompt;
    const turn = [...turnOf(prompt)];
    const outputs = constraint && { structured_outputs: constraint.outputs };
    const prefix = messages.at(-1)?.isPrefix ? messages.at(-1)?.content : undefined;
    if (prefix === "") turn.pop();
    for (let continues = Boolean(prefix); ; continues = false) {
      await this.#makeRoom(turn, signal, onDrop);
      const goesOn = continues && { continue_final_message: true, add_generation_prompt: false };
      const asked = { turn: [...this.#all(), ...turn], tools: this.tools, ...this.sampling.fields, ...outputs, ...goesOn };
      const { content, calls, reason } = await this.model.answer(asked, signal, onText);
      if (reason !== "stop" && reason !== "tool_calls" && constraint) {
        throw new DOMException("the answer was cut before it was what responseConstraint says: the context is full", "SyntaxError");
      }
      const begun = continues ? turn.pop()?.content : "";
      turn.push({ role: "assistant", content: `${begun}${content}`, ...(calls.length && { tool_calls: [...calls] }) });
      if (calls.length === 0) break;
      turn.push(...(await Promise.all(calls.map((call) => this.#run(call)))));
      signal.throwIfAborted();
    }
    await this.#keep(turn, signal);
  }

  /** A tool's result, as a message. What it throws, the prompt rejects with. */
  async #run({ id, function: { name, arguments: written } }: { id: string; function: { name: string; arguments: string } }): Promise<ChatCompletionMessageParam> {
    const tool = this.tools.find((one) => one.name === name);
    const content = tool ? `${await tool.execute(argumentsOf(written, name))}` : `There is no tool '${name}'.`;
    return { role: "tool", tool_call_id: id, content };
  }

  #all(dropped = 0): ChatCompletionMessageParam[] {
    return [...this.#kept, ...this.#exchanges.slice(dropped).flatMap(({ turn }) => turn)];
  }

  #count(turn: Turn, signal: AbortSignal): Promise<number> {
    return this.model.count(turn, this.tools, signal);
  }

  async #sizeOfTools(signal: AbortSignal): Promise<number> {
    if (this.tools.length === 0) return 0;
    const nothing: Turn = [{ role: "user", content: "" }];
    return (await this.#count(nothing, signal)) - (await this.model.count(nothing, [], signal));
  }

  /** Drops as few of the oldest exchanges as may be, so that an answer has an eighth of the context; a single token, where that cannot be had. */
  async #makeRoom(turn: Turn, signal: AbortSignal, onDrop: () => void): Promise<void> {
    const { contextLength } = this.model;
    const most = contextLength - (contextLength >> 3);
    let dropped = 0;
    let size = await this.#count([...this.#all(), ...turn], signal);
    while (size > most && dropped < this.#exchanges.length) {
      for (let excess = size - most; excess > 0 && dropped < this.#exchanges.length; ) excess -= this.#exchanges[dropped++]?.tokens ?? 0;
      size = await this.#count([...this.#all(dropped), ...turn], signal);
    }
    if (size >= contextLength) throw quotaExceeded(size, contextLength);
    if (dropped === 0) return;
    this.#exchanges = this.#exchanges.slice(dropped);
    onDrop();
  }

  async #keep(turn: Turn, signal: AbortSignal): Promise<void> {
    const usage = await this.#count([...this.#all(), ...turn], signal);
    signal.throwIfAborted();
    const before = this.#exchanges.reduce((all, { tokens }) => all + tokens, 0);
    const [first, ...rest] = turn;
    if (first?.role === "system") this.#kept = [...this.#kept, first];
    this.#exchanges = [...this.#exchanges, { turn: first?.role === "system" ? rest : turn, tokens: Math.max(1, usage - before) }];
    this.usage = usage;
  }
}

function written({ role, content }: Message): ChatCompletionMessageParam {
  return { role, content };
}

/** As the model reads it: the user's last message says what the answer must be. */
function turnOf({ messages, constraint, isTold }: Prompt): Turn {
  const told = constraint && isTold ? messages.findLastIndex(({ role }) => role === "user") : -1;
  return messages.map((message, i) => written(i === told ? { ...message, content: `${message.content}\n\n${constraint?.told}` } : message));
}

function argumentsOf(json: string, name: string): unknown {
  try {
    return JSON.parse(json || "{}");
  } catch (error) {
    throw caused(new DOMException(`the model's call of '${name}' was cut: its arguments are no JSON`, "OperationError"), error);
  }
}
