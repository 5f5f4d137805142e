/** The options of `create` and of prompts, converted and checked. */

import { type Constraint, convertConstraint } from "./constraint.js";
import { convertMessages, convertPrompt, type Given, TYPES } from "./messages.js";
import type { CreateMonitor, LanguageModelMessageType, LanguageModelParams, LanguageModelSamplingMode } from "./types.js";
import { callable, dictionary, isObject, oneOf, required, sequence, shown, signalOf, text } from "./webidl.js";

export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: object;
  readonly execute: (input: unknown) => unknown;
}

export interface Expected {
  readonly type: LanguageModelMessageType;
  readonly languages: readonly string[];
}

export interface CoreOptions {
  readonly topK?: number;
  readonly temperature?: number;
  readonly samplingMode?: LanguageModelSamplingMode;
  readonly inputs: readonly Expected[];
  readonly outputs: readonly Expected[];
  readonly tools: readonly Tool[];
}

export interface CreateOptions extends CoreOptions {
  readonly initial: readonly Given[];
  readonly monitor?: (monitor: CreateMonitor) => void;
  readonly signal?: AbortSignal;
}

export interface PromptOptions {
  readonly input: readonly Given[];
  readonly constraint?: Constraint;
  /** Whether the model is told of the constraint. */
  readonly isTold: boolean;
  readonly signal?: AbortSignal;
}

/** How much of the model's own temperature. */
const MODES = { "most-predictable": 0, predictable: 0.5, balanced: 1, creative: 1.25, "most-creative": 1.5 };
const MODE_NAMES = Object.keys(MODES) as LanguageModelSamplingMode[];
const MAX_TEMPERATURE = 2;
const MAX_TOP_K = 128;
const USUAL_TEMPERATURE = 0.8; // Fanlight's, where a model's files say nothing

// --- of create -------------------------------------------------------------------------------------------------------
/** Throws TypeError, or RangeError where a number or a language is none. */
export function convertCreate(value: unknown): CreateOptions {
  const core = convertCore(value);
  const options = dictionary(value, "options");
  const { monitor, initialPrompts } = options;
  const signal = signalOf(options, "options");
  return {
    ...core,
    initial: initialPrompts === undefined ? [] : convertMessages(initialPrompts, "initialPrompts"),
    ...(monitor !== undefined && { monitor: callable<(monitor: CreateMonitor) => void>(monitor, "monitor") }),
    ...(signal && { signal }),
  };
}

/** What `availability` reads of them. */
export function convertCore(value: unknown): CoreOptions {
  const options = dictionary(value, "options");
  const { samplingMode, tools } = options;
  const topK = least(options["topK"], 1, "topK");
  const temperature = least(options["temperature"], 0, "temperature");
  if (samplingMode !== undefined && (topK !== undefined || temperature !== undefined)) {
    throw new TypeError("samplingMode, or topK and temperature, but not both");
  }
  return {
    inputs: expected(options["expectedInputs"], "expectedInputs"),
    outputs: expected(options["expectedOutputs"], "expectedOutputs"),
    tools: tools === undefined ? [] : distinct(sequence(tools, "tools", convertTool)),
    ...(topK !== undefined && { topK: Math.min(Math.trunc(topK), MAX_TOP_K) }),
    ...(temperature !== undefined && { temperature: Math.min(temperature, MAX_TEMPERATURE) }),
    ...(samplingMode !== undefined && { samplingMode: oneOf(samplingMode, MODE_NAMES, "samplingMode") }),
  };
}

function least(value: unknown, bound: number, what: string): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (number >= bound) return number;
  throw new RangeError(`${what} must be ${bound} at least, got ${shown(value)}`);
}

function expected(value: unknown, what: string): Expected[] {
  if (value === undefined) return [];
  return sequence(value, what, (item, where) => {
    const { languages, ...members } = dictionary(item, where);
    const type = oneOf(required(members, "type", where), TYPES, `${where}.type`);
    const tags = languages === undefined ? [] : sequence(languages, `${where}.languages`, text);
    return { type, languages: Intl.getCanonicalLocales(tags) }; // RangeError
  });
}

function convertTool(value: unknown, what: string): Tool {
  const tool = dictionary(value, what);
  const description = text(required(tool, "description", what));
  const execute = callable<Tool["execute"]>(required(tool, "execute", what), `${what}.execute`);
  const inputSchema = required(tool, "inputSchema", what);
  if (!isObject(inputSchema)) throw new TypeError(`${what}.inputSchema must be an object, got ${shown(inputSchema)}`);
  return { name: text(required(tool, "name", what)), description, inputSchema, execute };
}

function distinct(tools: Tool[]): Tool[] {
  const twice = tools.find(({ name }, i) => tools.findIndex((other) => other.name === name) !== i);
  if (twice) throw new TypeError(`two tools have the name '${twice.name}'`);
  return tools;
}

// --- of prompts ------------------------------------------------------------------------------------------------------
/** `count`: of the arguments that were given. Throws TypeError; NotSupportedError by DOMException's name. */
export function convertAsked(count: number, prompt: unknown, given: unknown): PromptOptions {
  if (count === 0) throw new TypeError("an argument is needed: the input");
  const input = convertPrompt(prompt);
  const options = dictionary(given, "options");
  const { responseConstraint, omitResponseConstraintInput } = options;
  const signal = signalOf(options, "options");
  const isTold = !omitResponseConstraintInput;
  if (responseConstraint === undefined && !isTold) throw new TypeError("omitResponseConstraintInput needs a responseConstraint");
  const constraint = responseConstraint === undefined ? undefined : convertConstraint(responseConstraint);
  return { input, isTold, ...(constraint && { constraint }), ...(signal && { signal }) };
}

// --- sampling --------------------------------------------------------------------------------------------------------
export interface Sampling {
  readonly mode: LanguageModelSamplingMode;
  readonly topK: number;
  readonly temperature: number;
  /** Fields of a request: what differs from the model's own. */
  readonly fields: { readonly top_k?: number; readonly temperature?: number };
}

/** `own`: the model's, where its files say something. */
export interface OwnSampling {
  readonly temperature?: number;
  readonly top_k?: number;
}

export function paramsOf(own: OwnSampling = {}): LanguageModelParams {
  return {
    defaultTopK: Math.min(own.top_k || MAX_TOP_K, MAX_TOP_K),
    maxTopK: MAX_TOP_K,
    defaultTemperature: own.temperature ?? USUAL_TEMPERATURE,
    maxTemperature: MAX_TEMPERATURE,
  };
}

export function samplingOf({ topK, temperature, samplingMode: mode = "balanced" }: CoreOptions, own: OwnSampling): Sampling {
  const { defaultTopK, defaultTemperature } = paramsOf(own);
  const asked = mode === "balanced" ? temperature : Math.min(MODES[mode] * (defaultTemperature || USUAL_TEMPERATURE), MAX_TEMPERATURE);
  return {
    mode,
    topK: topK ?? defaultTopK,
    temperature: asked ?? defaultTemperature,
    fields: { ...(topK !== undefined && { top_k: topK }), ...(asked !== undefined && { temperature: asked }) },
  };
}
