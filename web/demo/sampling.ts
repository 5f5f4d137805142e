/** How answers are made: the fields of a request that a person may set, as one table.  What is not set is left to the model. */

/** Names are the API's. */
export interface ChatSettings {
  readonly system?: string;
  readonly temperature?: number;
  readonly top_k?: number;
  readonly top_p?: number;
  readonly min_p?: number;
  readonly repetition_penalty?: number;
  readonly frequency_penalty?: number;
  readonly presence_penalty?: number;
  readonly max_tokens?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly context_overflow?: (typeof OVERFLOWS)[number];
  /** Of the model, when it is loaded for this conversation. */
  readonly contextLength?: number;
}

export const OVERFLOWS = ["error", "drop_oldest", "attention_sinks"] as const;

export interface NumberField {
  readonly name: (typeof NUMBER_NAMES)[number];
  readonly min?: number;
  readonly max?: number;
  readonly step: number | "any";
  /** Without a value of the model's own, the field does this: nothing. */
  readonly off?: number;
}

const NUMBER_NAMES = [
  "temperature",
  "top_k",
  "top_p",
  "min_p",
  "repetition_penalty",
  "frequency_penalty",
  "presence_penalty",
  "max_tokens",
  "seed",
] as const;

/** Ranges are fanlight/api/requests.py's. */
export const NUMBERS: readonly NumberField[] = [
  { name: "temperature", min: 0, max: 2, step: 0.05, off: 1 },
  { name: "top_k", min: 0, step: 1, off: 0 },
  { name: "top_p", min: 0, max: 1, step: 0.01, off: 1 },
  { name: "min_p", min: 0, max: 1, step: 0.01, off: 0 },
  { name: "repetition_penalty", min: 0.01, max: 100, step: 0.01, off: 1 },
  { name: "frequency_penalty", min: -2, max: 2, step: 0.05, off: 0 },
  { name: "presence_penalty", min: -2, max: 2, step: 0.05, off: 0 },
  { name: "max_tokens", min: 1, step: 1 },
  { name: "seed", step: 1 },
];
export const MAX_STOPS = 4;

/** What the model's makers, or this page, would have a field be. */
export type Defaults = Readonly<Partial<Record<string, unknown>>>;

/** The built-in model is so small that it answers best where it always takes the likeliest word. */
export const OF_BUILT_IN: ChatSettings = { temperature: 0 };

/** The part of a request that the settings are. */
export function requestFields({ system: _, contextLength: __, stop, ...fields }: ChatSettings): Record<string, unknown> {
  return { ...fields, ...(stop?.length && { stop: [...stop] }) };
}

/** Settings from elsewhere (a file): what is not known or not allowed is an Error that names it. */
export function checkedSettings(value: unknown): ChatSettings {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("settings: an object was expected");
  for (const [name, found] of Object.entries(value)) {
    if (!isAllowed(name, found)) throw new Error(`settings.${name}: ${JSON.stringify(found)}`);
  }
  return value;
}

function isAllowed(name: string, value: unknown): boolean {
  if (name === "system") return typeof value === "string";
  if (name === "stop") return Array.isArray(value) && value.length <= MAX_STOPS && value.every((text) => typeof text === "string" && text);
  if (name === "context_overflow") return OVERFLOWS.some((policy) => policy === value);
  if (name === "contextLength") return Number.isSafeInteger(value) && Number(value) > 0;
  const field = NUMBERS.find((known) => known.name === name);
  if (!field || typeof value !== "number" || !Number.isFinite(value)) return false;
  return value >= (field.min ?? -Infinity) && value <= (field.max ?? Infinity) && (field.step !== 1 || Number.isSafeInteger(value));
}
