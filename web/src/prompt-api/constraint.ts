/** `responseConstraint`: a JSON schema, or a regular expression, as the engine's request has it. */

import type { StructuredOutputs } from "../openai.js";
import { isObject, shown } from "./webidl.js";

export interface Constraint {
  readonly outputs: StructuredOutputs;
  /** What the model is told of it. */
  readonly told: string;
}

const CHANGES_NOTHING = /[dgyuv]/g; // of where and how often is searched, or of how the pattern is written

/** Throws TypeError where it is neither, NotSupportedError where it says what is not done. */
export function convertConstraint(value: unknown): Constraint {
  if (!isObject(value)) throw new TypeError(`responseConstraint must be a JSON schema or a RegExp, got ${shown(value)}`);
  if (Object.prototype.toString.call(value) === "[object RegExp]") return ofRegExp(value as RegExp);
  if (typeof value === "function" || Array.isArray(value)) throw new TypeError(`responseConstraint must be a JSON schema or a RegExp, got ${shown(value)}`);
  return ofSchema(value);
}

function ofRegExp({ source, flags }: RegExp): Constraint {
  const others = flags.replace(CHANGES_NOTHING, "");
  if (others) throw new DOMException(`responseConstraint: the flag '${others}' is not supported: write the pattern without it`, "NotSupportedError");
  return { outputs: { regex: source }, told: `The answer must match this regular expression: ${source}` };
}

function ofSchema(value: object): Constraint {
  let schema: string | undefined;
  try {
    schema = JSON.stringify(value);
  } catch (error) {
    throw new DOMException(`responseConstraint cannot be written as JSON: ${String(error)}`, "NotSupportedError");
  }
  if (schema === undefined) throw new TypeError("responseConstraint cannot be written as JSON");
  return { outputs: { json: schema }, told: `The answer must be JSON that satisfies this schema: ${schema}` };
}
