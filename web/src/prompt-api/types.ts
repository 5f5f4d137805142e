/** The Prompt API's dictionaries and enumerations, under the specification's names.  https://webmachinelearning.github.io/prompt-api */

export type Availability = "unavailable" | "downloadable" | "downloading" | "available";

export type LanguageModelMessageRole = "system" | "user" | "assistant";
/** Of these, models here read text; a message with another one is refused (NotSupportedError). */
export type LanguageModelMessageType = "text" | "image" | "audio" | "tool-call" | "tool-response";
export type LanguageModelSamplingMode = "most-predictable" | "predictable" | "balanced" | "creative" | "most-creative";

export interface LanguageModelMessageContent {
  type: LanguageModelMessageType;
  value: string | object;
}

export interface LanguageModelMessage {
  role: LanguageModelMessageRole;
  content: string | Iterable<LanguageModelMessageContent>;
  /** Of the last message, an assistant's: it is the beginning of the answer. */
  prefix?: boolean;
}

/** A text is one message of the user's. */
export type LanguageModelPrompt = string | Iterable<LanguageModelMessage>;

export interface LanguageModelExpected {
  type: LanguageModelMessageType;
  /** BCP 47. */
  languages?: Iterable<string>;
}

export interface LanguageModelTool {
  name: string;
  description: string;
  /** A JSON schema of an object: `execute`'s argument. */
  inputSchema: object;
  execute(...args: any[]): Promise<string> | string;
}

export interface LanguageModelCreateCoreOptions {
  /** Above 0; not beside `samplingMode`. */
  topK?: number;
  /** From 0 to 2; not beside `samplingMode`. */
  temperature?: number;
  samplingMode?: LanguageModelSamplingMode;
  expectedInputs?: Iterable<LanguageModelExpected>;
  expectedOutputs?: Iterable<LanguageModelExpected>;
  tools?: Iterable<LanguageModelTool>;
}

export interface LanguageModelCreateOptions extends LanguageModelCreateCoreOptions {
  /** Ends the creation; afterwards, the session. */
  signal?: AbortSignal;
  monitor?: (monitor: CreateMonitor) => void;
  initialPrompts?: Iterable<LanguageModelMessage>;
}

export interface LanguageModelPromptOptions {
  /** What the answer must be: a JSON schema, or a regular expression that all of it matches. */
  responseConstraint?: object;
  /** The model is not told of the constraint. */
  omitResponseConstraintInput?: boolean;
  signal?: AbortSignal;
}

export interface LanguageModelAppendOptions {
  signal?: AbortSignal;
}

export interface LanguageModelCloneOptions {
  signal?: AbortSignal;
}

export interface LanguageModelParams {
  readonly defaultTopK: number;
  readonly maxTopK: number;
  readonly defaultTemperature: number;
  readonly maxTemperature: number;
}

/** Gets `downloadprogress` events: `loaded` is the part of 1 that is here. */
export interface CreateMonitor extends EventTarget {
  ondownloadprogress: ((event: ProgressEvent) => void) | null;
}
