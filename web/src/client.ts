/** `load` starts a worker with one model; the engine it gives has OpenAI's surface.  Everything runs on this device. */

import { type Answer, type Channel, openChannel } from "./channel.js";
import { FanlightError, SourceError } from "./errors.js";
import { makeFetch } from "./http.js";
import type { ModelReference } from "./models.js";
import type { LoadSettings, Progress } from "./protocol.js";
import type { ChatCompletions, Completions, EngineInfo, MemoryPlan, ModelList, RequestOptions } from "./types.js";

/** A URL, the files of one model, a model that is stored here, or the package's own small one. */
export type ModelInput = "built-in" | (string & {}) | URL | File | readonly File[] | { readonly opfs: string };

export interface LoadOptions extends LoadSettings {
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
  /** Where the package's files are served; beside this script unless set. */
  readonly assets?: string | URL;
}

export interface Engine {
  readonly info: EngineInfo;
  readonly memoryPlan: MemoryPlan;
  readonly chat: { readonly completions: ChatCompletions };
  readonly completions: Completions;
  readonly models: { list(): Promise<ModelList> };
  /** Answers OpenAI's HTTP API: `new OpenAI({ fetch: engine.fetch, ... })`. */
  readonly fetch: typeof fetch;
  close(): Promise<void>;
}

const CLOSE_WAIT_MS = 2000;

export async function load(model: ModelInput, options: LoadOptions = {}): Promise<Engine> {
  const { onProgress, signal, assets, ...settings } = options;
  signal?.throwIfAborted();
  const base = new URL(assets ?? "./", assets ? location.href : import.meta.url);
  const channel = openChannel(new Worker(new URL("worker.js", base), { type: "module", name: "fanlight" }));
  try {
    const message = { kind: "load", model: reference(model, base), settings } as const;
    const info = value(await channel.request(message, signal, onProgress)) as EngineInfo;
    onProgress?.({ phase: "ready", loadedBytes: 0, totalBytes: 0, text: info.model });
    return makeEngine(channel, info);
  } catch (error) {
    channel.end(); // also what stops an aborted load at once; what was downloaded is kept
    throw error;
  }
}

function reference(model: ModelInput, base: URL): ModelReference {
  if (model === "built-in") return { kind: "url", url: `${new URL("built-in.gguf", base).href}?v=${FANLIGHT_BUILD}` };
  if (typeof model === "string" || model instanceof URL) return { kind: "url", url: absolute(model) };
  if (model instanceof File) return { kind: "files", files: [model] };
  if ("opfs" in model) return { kind: "stored", name: model.opfs };
  return { kind: "files", files: [...model] };
}

function absolute(url: string | URL): string {
  try {
    return new URL(url, location.href).href;
  } catch {
    throw new SourceError("is no address", { where: String(url), hint: "Give the link of a GGUF file, starting with https://" });
  }
}

function makeEngine(channel: Channel, info: EngineInfo): Engine {
  const create = (path: string) => async (body: object, { signal }: RequestOptions = {}) => {
    const answer = await channel.request({ kind: "call", path, body: JSON.stringify(body) }, signal);
    return answer.kind === "items" ? parsed(answer.items) : value(answer);
  };
  return {
    info,
    memoryPlan: info.memory,
    chat: { completions: { create: create("/v1/chat/completions") } as ChatCompletions },
    completions: { create: create("/v1/completions") } as Completions,
    models: { list: async () => (await create("/v1/models")({})) as ModelList },
    fetch: makeFetch(channel),
    async close() {
      const closing = channel.request({ kind: "close" }).catch(() => undefined);
      await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, CLOSE_WAIT_MS))]);
      channel.end();
    },
  };
}

function value(answer: Answer): unknown {
  if (answer.kind === "items") throw new FanlightError("a stream came where one answer was expected");
  return JSON.parse(answer.json) as unknown;
}

/** Breaking out of the loop over it aborts the request. */
async function* parsed(items: AsyncGenerator<string>): AsyncGenerator<unknown> {
  for await (const item of items) yield JSON.parse(item) as unknown;
}
