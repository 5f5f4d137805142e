/**
 * The errors of fanlight/errors.py, class for class.  They cross from the worker as data (`ErrorData`) and are re-made here, so a page
 * can write `catch (error) { if (error instanceof DoesNotFit) ... }`.
 */

export interface ErrorData {
  readonly name: string;
  readonly message: string;
  readonly where: string;
  readonly hint: string;
  readonly param: string | null;
  /** How the HTTP face says it (fanlight/api/routes.py). */
  readonly http?: { readonly status: number; readonly body: unknown };
}

export interface ErrorDetails {
  readonly http?: { readonly status: number; readonly body: unknown } | undefined;
  readonly where?: string;
  readonly hint?: string;
  readonly param?: string | null;
}

export class FanlightError extends Error {
  readonly where: string;
  readonly hint: string;
  readonly param: string | null;
  readonly http: { readonly status: number; readonly body: unknown };

  constructor(message: string, details: ErrorDetails = {}) {
    super(message);
    this.name = new.target.label;
    this.where = details.where ?? "";
    this.hint = details.hint ?? "";
    this.param = details.param ?? null;
    const error = { message, type: "server_error", param: this.param, code: null };
    this.http = details.http ?? { status: 500, body: { error } };
  }

  /** The class's name as data: a minifier may rename the class itself. */
  static readonly label: string = "FanlightError";

  toData(): ErrorData {
    return { name: this.name, message: this.message, where: this.where, hint: this.hint, param: this.param, http: this.http };
  }
}

/** A model file is broken, truncated or lies about itself. */
export class FormatError extends FanlightError {
  static override readonly label: string = "FormatError";
}
/** The architecture needs a tensor that the file does not have. */
export class MissingWeight extends FormatError {
  static override readonly label: string = "MissingWeight";
}
/** A well-formed model that nothing here can run. */
export class UnsupportedModel extends FanlightError {
  static override readonly label: string = "UnsupportedModel";
}
/** Bytes could not be read or stored. */
export class SourceError extends FanlightError {
  static override readonly label: string = "SourceError";
}
/** The GPU side failed. */
export class DeviceError extends FanlightError {
  static override readonly label: string = "DeviceError";
}
/** No WebGPU adapter here. */
export class NoAdapter extends DeviceError {
  static override readonly label: string = "NoAdapter";
}
/** The memory plan exceeds the adapter. */
export class DoesNotFit extends DeviceError {
  static override readonly label: string = "DoesNotFit";
}
/** A kernel did not compile, or gives wrong numbers on this adapter. */
export class KernelFailed extends DeviceError {
  static override readonly label: string = "KernelFailed";
}
/** The adapter went away while in use. */
export class DeviceLost extends DeviceError {
  static override readonly label: string = "DeviceLost";
}
/** A request that cannot be served as it stands; `param` names the field. */
export class RequestError extends FanlightError {
  static override readonly label: string = "RequestError";
}
/** The prompt is longer than the context. */
export class ContextOverflow extends RequestError {
  static override readonly label: string = "ContextOverflow";
}
/** As many requests wait as may; nothing is wrong with this one. */
export class EngineBusy extends FanlightError {
  static override readonly label: string = "EngineBusy";
}

/** The engine was closed while, or before, it was used. */
export class EngineClosed extends FanlightError {
  static override readonly label: string = "EngineClosed";
}

const CLASSES = new Map(
  [
    FanlightError,
    FormatError,
    MissingWeight,
    UnsupportedModel,
    SourceError,
    DeviceError,
    NoAdapter,
    DoesNotFit,
    KernelFailed,
    DeviceLost,
    RequestError,
    ContextOverflow,
    EngineBusy,
    EngineClosed,
  ].map((type) => [type.label, type] as const),
);

/** The error that `data` describes. An aborted operation becomes the DOMException that `fetch` would throw. */
export function errorFromData(data: ErrorData): Error {
  if (data.name === "AbortError") return new DOMException(data.message, "AbortError");
  return new (CLASSES.get(data.name) ?? FanlightError)(data.message, data);
}

/** Any thrown value as data. What is not ours keeps its own name in the message. */
export function dataFromError(error: unknown): ErrorData {
  if (error instanceof FanlightError) return error.toData();
  if (error instanceof Error) {
    const isAbort = error.name === "AbortError";
    const message = isAbort ? error.message : `${error.name}: ${error.message}`;
    return { name: isAbort ? "AbortError" : "FanlightError", message, where: "", hint: "", param: null };
  }
  return { name: "FanlightError", message: String(error), where: "", hint: "", param: null };
}
