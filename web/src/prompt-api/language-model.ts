/** `LanguageModel`: a session with the model, as the specification's interface of that name has it. */

import type { LoadOptions } from "../client.js";
import { Conversation, type Prompt } from "./conversation.js";
import { asDomException } from "./errors.js";
import { type Configuration, Home } from "./home.js";
import { checkPrompt } from "./messages.js";
import { Download, Handler } from "./monitor.js";
import { convertAsked, convertCore, convertCreate, type CoreOptions, paramsOf, type PromptOptions, samplingOf } from "./options.js";
import { nextTask, Queue, untilAborted } from "./turns.js";
import type {
  Availability,
  LanguageModelAppendOptions,
  LanguageModelCloneOptions,
  LanguageModelCreateCoreOptions,
  LanguageModelCreateOptions,
  LanguageModelParams,
  LanguageModelPrompt,
  LanguageModelPromptOptions,
  LanguageModelSamplingMode,
} from "./types.js";
import { dictionary, signalOf } from "./webidl.js";

const UNREAD = new Set(["image", "audio"]);
const MADE_HERE = Symbol("made here");

let home = new Home({ model: "built-in" });

/** Which model sessions have that are created from now on; those that exist keep theirs. */
export function configure(configuration: Configuration): void {
  const { engine, model } = configuration as { engine?: object; model?: LoadOptions };
  if (!engine && model === undefined) throw new TypeError("configure needs a model, or an engine");
  home.retire();
  home = new Home(configuration);
}

export class LanguageModel extends EventTarget {
  readonly #home: Home;
  readonly #conversation: Conversation;
  readonly #queue = new Queue();
  readonly #ending = new AbortController();
  readonly #oncontextoverflow = new Handler(this, "contextoverflow");
  readonly #onquotaoverflow = new Handler(this, "quotaoverflow");

  private constructor(key: symbol, at: Home, conversation: Conversation) {
    if (key !== MADE_HERE) throw new TypeError("Illegal constructor: LanguageModel.create() makes a session");
    super();
    this.#home = at;
    this.#conversation = conversation;
  }

  // --- what needs no session -----------------------------------------------------------------------------------------
  /** Whether a session can be had with these options, and whether its model has to be downloaded first. */
  static async availability(options?: LanguageModelCreateCoreOptions): Promise<Availability> {
    const asked = convertCore(options);
    return isRead(asked) ? home.availability() : "unavailable";
  }

  /** Of sampling: the model's own once it is loaded, before that what is usual here. Null where there can be no model. */
  static async params(): Promise<LanguageModelParams | null> {
    return (await home.availability()) === "unavailable" ? null : paramsOf(home.model?.sampling);
  }

  /** A session. The model is loaded for the first one. */
  static async create(options?: LanguageModelCreateOptions): Promise<LanguageModel> {
    const asked = convertCreate(options);
    const messages = asked.initial.length ? checkPrompt(asked.initial, false) : [];
    const { signal } = asked;
    signal?.throwIfAborted();
    const download = new Download(asked.monitor, signal);
    const at = home;
    const make = async (): Promise<LanguageModel> => {
      if (!isRead(asked)) throw new DOMException("models here read and write text only", "NotSupportedError");
      const problem = await at.problem();
      if (problem !== null) throw new DOMException(problem, "NotSupportedError");
      await nextTask();
      download.tell(0);
      await nextTask();
      const model = await at.open(download.report, signal);
      download.tell(1);
      await nextTask();
      if (!model.hasChats) throw new DOMException("the model has no chat template", "NotSupportedError");
      const conversation = new Conversation(model, asked.tools, samplingOf(asked, model.sampling));
      await conversation.begin(messages, signal ?? new AbortController().signal);
      signal?.throwIfAborted();
      return new LanguageModel(MADE_HERE, at, conversation);
    };
    at.enter();
    try {
      const session = await untilAborted(make(), signal);
      signal?.addEventListener("abort", () => session.#end(signal.reason), { once: true, signal: session.#ending.signal });
      return session;
    } catch (error) {
      at.leave();
      throw asDomException(error, "OperationError");
    }
  }

  // --- prompting -----------------------------------------------------------------------------------------------------
  /** The answer. It and the prompt become part of the session. */
  async prompt(input: LanguageModelPrompt, options?: LanguageModelPromptOptions): Promise<string> {
    const asked = convertAsked(arguments.length, input, options);
    let text = "";
    await this.#respond(asked, this.#signal(asked.signal), (piece) => (text += piece));
    return text;
  }

  /** The answer in pieces. To cancel the stream ends it. */
  promptStreaming(input: LanguageModelPrompt, options?: LanguageModelPromptOptions): ReadableStream<string> {
    const asked = convertAsked(arguments.length, input, options);
    const left = new AbortController();
    const signal = AbortSignal.any([this.#signal(asked.signal), left.signal]);
    signal.throwIfAborted();
    return new ReadableStream({
      start: (controller) => {
        const say = (piece: string): void => (signal.aborted ? undefined : controller.enqueue(piece));
        this.#respond(asked, signal, say).then(
          () => left.signal.aborted || controller.close(),
          (error: unknown) => controller.error(error),
        );
      },
      cancel: () => left.abort(),
    });
  }

  /** Makes messages part of the session, and lets the model read them, without an answer. */
  async append(input: LanguageModelPrompt, options?: LanguageModelAppendOptions): Promise<undefined> {
    const asked = convertAsked(arguments.length, input, options);
    await this.#inTurn(this.#signal(asked.signal), (signal) => this.#conversation.append(this.#checked(asked), signal, this.#overflow));
    return undefined;
  }

  /** How many tokens the input would take of the context. */
  async measureContextUsage(input: LanguageModelPrompt, options?: LanguageModelPromptOptions): Promise<number> {
    const asked = convertAsked(arguments.length, input, options);
    const signal = this.#signal(asked.signal);
    signal.throwIfAborted();
    const measured = this.#conversation.measure({ ...asked, messages: checkPrompt(asked.input, false) }, signal);
    return untilAborted(measured, signal).catch((error: unknown) => {
      throw asDomException(error, "UnknownError");
    });
  }

  /** A session that goes on from here by itself. */
  async clone(options?: LanguageModelCloneOptions): Promise<LanguageModel> {
    const signal = this.#signal(signalOf(dictionary(options, "options"), "options"));
    return this.#queue.next(signal, async () => {
      await nextTask();
      signal.throwIfAborted();
      this.#home.enter();
      return new LanguageModel(MADE_HERE, this.#home, this.#conversation.copy());
    });
  }

  /** Ends what the session does, and the session. */
  destroy(): void {
    this.#end(new DOMException("the session was destroyed", "AbortError"));
  }

  #end(reason: unknown): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(reason);
    this.#home.leave();
  }

  #respond(asked: PromptOptions, signal: AbortSignal, say: (piece: string) => void): Promise<void> {
    return this.#inTurn(signal, () => this.#conversation.respond(this.#checked(asked), signal, this.#overflow, say));
  }

  #checked(asked: PromptOptions): Prompt {
    return { ...asked, messages: checkPrompt(asked.input, this.#conversation.hasBegun) };
  }

  async #inTurn<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await this.#queue.next(signal, () => work(signal));
    } catch (error) {
      throw asDomException(error, "UnknownError");
    }
  }

  #signal(given: AbortSignal | undefined): AbortSignal {
    return given ? AbortSignal.any([this.#ending.signal, given]) : this.#ending.signal;
  }

  #overflow = (): void => {
    for (const type of ["contextoverflow", "quotaoverflow"]) this.dispatchEvent(new Event(type));
  };

  // --- what is known of it -------------------------------------------------------------------------------------------
  /** Tokens. */
  get contextUsage(): number {
    return Math.min(this.#conversation.usage, this.contextWindow);
  }

  get contextWindow(): number {
    return this.#conversation.model.contextLength;
  }

  get topK(): number {
    return this.#conversation.sampling.topK;
  }

  get temperature(): number {
    return this.#conversation.sampling.temperature;
  }

  get samplingMode(): LanguageModelSamplingMode {
    return this.#conversation.sampling.mode;
  }

  get oncontextoverflow(): ((event: Event) => void) | null {
    return this.#oncontextoverflow.value;
  }

  set oncontextoverflow(handler) {
    this.#oncontextoverflow.value = handler;
  }

  get [Symbol.toStringTag](): string {
    return "LanguageModel";
  }

  // --- the same under older names ------------------------------------------------------------------------------------
  /** `measureContextUsage`. */
  measureInputUsage(...args: Parameters<LanguageModel["measureContextUsage"]>): Promise<number> {
    return this.measureContextUsage(...args);
  }

  /** `contextUsage`. */
  get inputUsage(): number {
    return this.contextUsage;
  }

  /** `contextWindow`. */
  get inputQuota(): number {
    return this.contextWindow;
  }

  get onquotaoverflow(): ((event: Event) => void) | null {
    return this.#onquotaoverflow.value;
  }

  set onquotaoverflow(handler) {
    this.#onquotaoverflow.value = handler;
  }

  /** `measureContextUsage`. */
  countPromptTokens(...args: Parameters<LanguageModel["measureContextUsage"]>): Promise<number> {
    return this.measureContextUsage(...args);
  }

  /** `contextWindow`. */
  get maxTokens(): number {
    return this.contextWindow;
  }

  /** `contextUsage`. */
  get tokensSoFar(): number {
    return this.contextUsage;
  }

  get tokensLeft(): number {
    return this.contextWindow - this.contextUsage;
  }
}

function isRead({ inputs, outputs }: CoreOptions): boolean {
  return ![...inputs, ...outputs].some(({ type }) => UNREAD.has(type));
}
