/** JavaScript's values as Web IDL converts them, and the TypeErrors where it cannot.  https://webidl.spec.whatwg.org */

export type Members = Readonly<Record<string, unknown>>;

/** Of a dictionary; none where it is not given. `what` names it. */
export function dictionary(value: unknown, what: string): Members {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new TypeError(`${what} must be an object, got ${shown(value)}`);
  return value as Members;
}

export function required(members: Members, name: string, what: string): unknown {
  if (members[name] === undefined) throw new TypeError(`${what} has no '${name}', which is required`);
  return members[name];
}

export function isSequence(value: unknown): value is Iterable<unknown> {
  return isObject(value) && (value as Partial<Iterable<unknown>>)[Symbol.iterator] != null;
}

export function sequence<T>(value: unknown, what: string, convert: (item: unknown, what: string) => T): T[] {
  if (!isSequence(value)) throw new TypeError(`${what} must be an iterable object, got ${shown(value)}`);
  return Array.from(value, (item, i) => convert(item, `${what}[${i}]`));
}

/** Anything is a text but a symbol. */
export function text(value: unknown): string {
  return `${value as string}`;
}

export function oneOf<T extends string>(value: unknown, known: readonly T[], what: string): T {
  const found = known.find((name) => name === text(value));
  if (found === undefined) throw new TypeError(`${what} must be one of ${known.join(", ")}, got ${shown(value)}`);
  return found;
}

export function callable<T extends (...args: never[]) => unknown>(value: unknown, what: string): T {
  if (typeof value !== "function") throw new TypeError(`${what} must be a function, got ${shown(value)}`);
  return value as T;
}

export function signalOf({ signal }: Members, what: string): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw new TypeError(`${what}.signal must be an AbortSignal, got ${shown(signal)}`);
}

export function isObject(value: unknown): value is object {
  return typeof value === "function" || (typeof value === "object" && value !== null);
}

export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  return isObject(value) ? Object.prototype.toString.call(value) : String(value);
}
