/** `load` starts a worker, or goes to one that is there; the engine it gives has OpenAI's surface.  Everything runs on this device. */

import { type Answer, type Channel, openChannel } from "./channel.js";
import { EngineClosed, FanlightError, SourceError } from "./errors.js";
import { type Call, makeFetch } from "./http.js";
import type { ModelReference } from "./models.js";
import type { LoadSettings, Progress } from "./protocol.js";
import type { ChatCompletions, Completions, Embeddings, EngineInfo, MemoryPlan, ModelList, RequestOptions, Reranking, RerankParams, Responses, ScoreParams, Scores } from "./types.js";

/** A URL, the files of one model, a model that is stored here, or the package's own small one. */
export type ModelInput = "built-in" | (string & {}) | URL | File | readonly File[] | { readonly opfs: string };

export interface LoadOptions extends LoadSettings {
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
  /** Where the package's files are served; beside this script unless set. */
  readonly assets?: string | URL;
  /** Load into this engine's worker, to share its Python and its GPU device. The two compute in turn; each is closed by itself. */
  readonly beside?: Engine;
}

export interface Engine {
  readonly info: EngineInfo;
  readonly memoryPlan: MemoryPlan;
  readonly chat: { readonly completions: ChatCompletions };
  readonly completions: Completions;
  readonly embeddings: Embeddings;
  /** Texts by how well they answer a query. */
  readonly rerank: { create(body: RerankParams, options?: RequestOptions): Promise<Reranking> };
  /** Of pairs of texts, in their order. */
  readonly score: { create(body: ScoreParams, options?: RequestOptions): Promise<Scores> };
  readonly responses: Responses;
  readonly models: { list(): Promise<ModelList> };
  /** Answers OpenAI's HTTP API: `new OpenAI({ fetch: engine.fetch, ... })`. */
  readonly fetch: typeof fetch;
  close(): Promise<void>;
}

const CLOSE_WAIT_MS = 2000;

/** A worker, and the engines in it. */
interface Home {
  readonly channel: Channel;
  readonly base: URL;
  readonly engines: Set<number>;
  last: number;
}

const homes = new WeakMap<Engine, Home>(); // of engines that are not closed

export async function load(model: ModelInput, options: LoadOptions = {}): Promise<Engine> {
  const { onProgress, signal, assets, beside, ...settings } = options;
  signal?.throwIfAborted();
  const home = beside ? homeOf(beside) : openHome(assets);
  const engine = ++home.last;
  home.engines.add(engine);
  try {
    const message = { kind: "load", engine, model: reference(model, home.base), settings } as const;
    const info = value(await home.channel.request(message, signal, onProgress)) as EngineInfo;
    onProgress?.({ phase: "ready", loadedBytes: 0, totalBytes: 0, text: info.model });
    return makeEngine(home, engine, info);
  } catch (error) {
    leave(home, engine); // also what stops an aborted load at once, where it is alone; what was downloaded is kept
    throw error;
  }
}

function openHome(assets: string | URL | undefined): Home {
  const base = new URL(assets ?? "./", assets ? location.href : import.meta.url);
  const worker = new Worker(new URL("worker.js", base), { type: "module", name: "fanlight" });
  return { channel: openChannel(worker), base, engines: new Set(), last: 0 };
}

function homeOf(engine: Engine): Home {
  const home = homes.get(engine);
  if (!home) throw new EngineClosed("The engine beside which to load was closed.");
  return home;
}

/** The last one out ends the worker. */
function leave({ channel, engines }: Home, engine: number): void {
  engines.delete(engine);
  if (!engines.size) channel.end();
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

function makeEngine(home: Home, number: number, info: EngineInfo): Engine {
  const call: Call = (path, body, signal) => home.channel.request({ kind: "call", engine: number, path, body }, signal);
  const create = (path: string) => async (body: object, { signal }: RequestOptions = {}) => {
    const answer = await call(path, JSON.stringify(body), signal);
    return answer.kind === "items" ? parsed(answer.items) : value(answer);
  };
  const engine: Engine = {
    info,
    memoryPlan: info.memory,
    chat: { completions: { create: create("/v1/chat/completions") } as ChatCompletions },
    completions: { create: create("/v1/completions") } as Completions,
    embeddings: { create: create("/v1/embeddings") } as Embeddings,
    rerank: { create: create("/v1/rerank") } as Engine["rerank"],
    score: { create: create("/v1/score") } as Engine["score"],
    responses: { create: create("/v1/responses") } as Responses,
    models: { list: async () => (await create("/v1/models")({})) as ModelList },
    fetch: makeFetch(call),
    async close() {
      homes.delete(engine);
      const closing = home.channel.request({ kind: "close", engine: number }).catch(() => undefined);
      await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, CLOSE_WAIT_MS))]);
      leave(home, number);
    },
  };
  homes.set(engine, home);
  return engine;
}

function value(answer: Answer): unknown {
  if (answer.kind === "items") throw new FanlightError("a stream came where one answer was expected");
  return JSON.parse(answer.json) as unknown;
}

/** Breaking out of the loop over it aborts the request. */
async function* parsed(items: AsyncGenerator<string>): AsyncGenerator<unknown> {
  for await (const item of items) yield JSON.parse(item) as unknown;
}
