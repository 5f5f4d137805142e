/** A prompt, from what a page gives to the texts that a model reads: first as Web IDL converts it, then by the specification's rules. */

import { dictionary, isObject, isSequence, type Members, oneOf, required, sequence, shown, text } from "./webidl.js";

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
  readonly isPrefix: boolean;
}

/** Converted, its rules not yet checked. */
export interface Given {
  readonly role: Message["role"];
  readonly parts: readonly { readonly type: string; readonly value: string | object }[];
  readonly prefix: boolean;
}

const ROLES = ["system", "user", "assistant"] as const;
export const TYPES = ["text", "image", "audio", "tool-call", "tool-response"] as const;
/** The platform's, which Web IDL does not take for texts. */
const MEDIA = /^\[object (Blob|File|ImageData|ImageBitmap|VideoFrame|OffscreenCanvas|AudioBuffer|(Shared)?ArrayBuffer|DataView|(HTML|SVG)\w+Element|\w+Array)\]$/;

/** Throws TypeError. */
export function convertPrompt(input: unknown): Given[] {
  return isSequence(input) ? convertMessages(input, "input") : [{ role: "user", parts: [{ type: "text", value: text(input) }], prefix: false }];
}

export function convertMessages(input: unknown, what: string): Given[] {
  return sequence(input, what, convertMessage);
}

function convertMessage(value: unknown, what: string): Given {
  const message = dictionary(value, what);
  const content = required(message, "content", what);
  const parts = isSequence(content) ? sequence(content, `${what}.content`, convertPart) : [{ type: "text", value: text(content) }];
  const prefix = Boolean(message["prefix"]);
  return { role: oneOf(required(message, "role", what), ROLES, `${what}.role`), parts, prefix };
}

function convertPart(value: unknown, what: string): { type: string; value: string | object } {
  const part = dictionary(value, what);
  return { type: oneOf(required(part, "type", what), TYPES, `${what}.type`), value: mediaOrText(part, what) };
}

function mediaOrText(part: Members, what: string): string | object {
  const value = required(part, "value", what);
  return isObject(value) && MEDIA.test(Object.prototype.toString.call(value)) ? value : text(value);
}

/** What the model is to read. `hasBegun`: something stands before it. Throws TypeError, and SyntaxError or NotSupportedError by DOMException's names. */
export function checkPrompt(given: readonly Given[], hasBegun: boolean): Message[] {
  if (given.length === 0) return [{ role: "user", content: "", isPrefix: false }];
  return given.map((message, i) => {
    const { role, parts, prefix } = message;
    const where = `message ${i + 1} of ${given.length}`;
    if (prefix && (role !== "assistant" || i < given.length - 1)) {
      throw new DOMException(`${where}: prefix is for the last message, an assistant's, which the answer goes on with`, "SyntaxError");
    }
    if (role === "system" && (hasBegun || i > 0)) throw new TypeError(`${where}: a system message comes first in a session, or not at all`);
    return { role, content: parts.map((part) => textOf(part, where)).join(""), isPrefix: prefix };
  });
}

function textOf({ type, value }: Given["parts"][number], where: string): string {
  if (type !== "text") throw new DOMException(`${where}: the model reads text only, and this is ${type}`, "NotSupportedError");
  if (typeof value !== "string") throw new TypeError(`${where}: a part of type text has a text as its value, got ${shown(value)}`);
  return value;
}
