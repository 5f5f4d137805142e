/** An engine's errors as the specification names them: DOMExceptions, whose `cause` is the engine's own. */

import { ContextOverflow, FanlightError, RequestError, SourceError } from "../errors.js";

/** The platform's QuotaExceededError, or what it will be where it is none yet. In tokens. */
export function quotaExceeded(requested: number, quota: number): DOMException {
  const message = `${requested} tokens do not fit into a context of ${quota}, and nothing more of the conversation may be dropped`;
  const { QuotaExceededError: Own } = globalThis as { QuotaExceededError?: new (message: string, details: object) => DOMException };
  if (Own) return new Own(message, { requested, quota });
  return Object.assign(new DOMException(message, "QuotaExceededError"), { requested, quota });
}

/** What a create or a prompt rejects with. What is no error of an engine's stays as it is. */
export function asDomException(error: unknown, otherwise: "OperationError" | "UnknownError"): unknown {
  if (!(error instanceof FanlightError)) return error;
  const name = error instanceof SourceError ? "NetworkError" : isOfConstraint(error) ? "NotSupportedError" : otherwise;
  const where = error.where && `${error.where}: `;
  return caused(new DOMException(`${where}${error.message}${error.hint && ` (${error.hint})`}`, name), error);
}

export function caused(exception: DOMException, cause: unknown): DOMException {
  return Object.defineProperty(exception, "cause", { value: cause, configurable: true, writable: true });
}

function isOfConstraint(error: FanlightError): boolean {
  return error instanceof RequestError && !(error instanceof ContextOverflow) && /^(structured_outputs|tools)/.test(error.param ?? "");
}
