/** The models that the page's own server runs (`fanlight serve MODEL`): an engine whose every question goes there by HTTP. */

import { type Engine, FanlightError } from "fanlight";
import type { Choice } from "./choice.js";
import * as strings from "./strings.js";

interface ServedModel {
  readonly id: string;
  readonly context_length?: number;
  readonly has_chat_template?: boolean;
  readonly sampling?: Partial<Engine["info"]["sampling"]>;
}

interface ErrorBody {
  readonly error?: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string | null };
}

const API = "v1/";
const NAMES: Readonly<Record<string, string>> = { context_length_exceeded: "ContextOverflow", engine_closed: "EngineClosed" };

let key: string | null = null; // of this visit; it is kept nowhere

export interface Served {
  readonly choices: readonly Choice[];
  readonly needsKey: boolean;
}

/** Elsewhere than at a `fanlight serve` with a model there is nothing at that address. */
export async function listServed(given: string | null = null): Promise<Served> {
  key = given ?? key;
  try {
    const response = await fetch(`${API}models?of=server`, { headers: headers() });
    if (response.status === 401) return { choices: [], needsKey: true };
    const { data } = (await response.json()) as { data?: readonly ServedModel[] };
    return { choices: response.ok && Array.isArray(data) ? data.map(servedChoice) : [], needsKey: false };
  } catch {
    return { choices: [], needsKey: false };
  }
}

function servedChoice(model: ServedModel): Choice {
  return { model: new URL(`${API}models/${model.id}`, location.href), name: model.id, isBuiltIn: false, served: () => openServed(model) };
}

function openServed(model: ServedModel): Engine {
  const { context_length = 0, has_chat_template = true, sampling = {} } = model; // not known of one that opens when it is asked
  const info = { model: model.id, context_length, has_chat_template, sampling };
  const create = (path: string) => (body: object, options?: { readonly signal?: AbortSignal }) =>
    ask(path, { ...body, model: model.id }, options?.signal);
  const surface = { info, chat: { completions: { create: create("chat/completions") } }, completions: { create: create("completions") } };
  return { ...surface, close: async () => undefined } as unknown as Engine; // what the page uses of one
}

async function ask(path: string, body: object, signal?: AbortSignal): Promise<AsyncIterable<unknown>> {
  const init = { method: "POST", headers: { ...headers(), "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(API + path, { ...init, signal: signal ?? null }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw new FanlightError(String(error), { hint: strings.served.gone });
  });
  if (!response.ok) throw errorOf((await response.json().catch(() => ({}))) as ErrorBody, response.status);
  return events(response);
}

/** The data of server-sent events, which may be cut anywhere on their way. */
async function* events(response: Response): AsyncGenerator<unknown> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let rest = "";
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const found = (rest + piece.value).split("\n\n");
      rest = found.pop() ?? "";
      for (const event of found) {
        const data = event.replace(/^data: /, "");
        if (data === "[DONE]") return;
        const chunk = JSON.parse(data) as ErrorBody;
        if (chunk.error) throw errorOf(chunk, 200);
        yield chunk;
      }
    }
    throw new FanlightError(strings.served.cut, { hint: strings.served.gone });
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function errorOf({ error }: ErrorBody, status: number): FanlightError {
  const made = new FanlightError(error?.message ?? strings.served.status(status), { param: error?.param ?? null });
  made.name = NAMES[error?.code ?? ""] ?? (error?.type === "invalid_request_error" ? "RequestError" : "FanlightError");
  return made;
}

function headers(): Record<string, string> {
  return key ? { Authorization: `Bearer ${key}` } : {};
}
