/** `load` starts a worker; the engine it gives has OpenAI's surface, and may load more models there.  Everything runs on this device. */

import { type Assets, findAssets, startWorker } from "./assets.js";
import { resolveId } from "./catalogue.js";
import { type Answer, type Channel, openChannel } from "./channel.js";
import { FanlightError, RequestError, SourceError } from "./errors.js";
import { type Call, makeFetch } from "./http.js";
import { parseHubId } from "./hub.js";
import { type LogitProcessor, serveLogits } from "./logits.js";
import type { ModelList } from "./openai.js";
import { type Access, LOAD_SETTINGS, type LoadSettings, type ModelReference, type Progress, SHARED_SETTINGS, type SharedSettings } from "./protocol.js";
import { mayHaveSounds, type SoundInput, soundText, withSounds } from "./sounds.js";
import type {
  Audio,
  ChatCompletions,
  Completions,
  Embeddings,
  EngineInfo,
  MemoryPlan,
  RequestOptions,
  Reranking,
  RerankParams,
  Responses,
  RestoreOptions,
  ScoreParams,
  Scores,
  StateParams,
} from "./types.js";

/** A URL, a repository of the hub (owner/repo, owner/repo:Q4_K_M, its page), an id of `catalogue()`, the files of one model, one that is stored here, or the package's own small one. */
export type ModelInput = "built-in" | (string & {}) | URL | File | readonly File[] | { readonly opfs: string };

/** Of each model. What is not among them is refused. */
export interface ModelOptions extends LoadSettings, Access {
  readonly onProgress?: (progress: Progress) => void;
  /** Sees and changes each token's logits, which costs more time than a token; best with `maxNumSeqs: 1`, so that answers do not mix. */
  readonly logitProcessor?: LogitProcessor;
  readonly signal?: AbortSignal;
}

/** Of the engine's first model, and of the engine. */
export interface LoadOptions extends ModelOptions, SharedSettings {
  /** The folder where the package's files are served; where a bundler or a server has them beside this script unless set. */
  readonly assets?: string | URL;
}

export interface Engine {
  /** Of the first model. */
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
  /** Sound to text. */
  readonly audio: Audio;
  readonly models: { list(): Promise<ModelList> };
  /** Answers OpenAI's HTTP API: `new OpenAI({ fetch: engine.fetch, ... })`. */
  readonly fetch: typeof fetch;
  /** One more model, on the same GPU device; the name by which requests choose it (`model`). */
  load(model: ModelInput, options?: ModelOptions): Promise<string>;
  /** Ends the model's answers, and frees what it has of the GPU. */
  unload(name: string): Promise<void>;
  /** Keeps what the model has computed of a prompt on this device, by a name; how many tokens. See `listStates`. */
  saveState(params: StateParams, options?: RequestOptions): Promise<number>;
  /** How many tokens of a saved state, named or given, need not be computed now. FormatError where another model made it. */
  restoreState(state: string | Blob, options?: RestoreOptions): Promise<number>;
  close(): Promise<void>;
}

/** A worker, and where the package's files are. */
export interface Home {
  readonly channel: Channel;
  readonly assets: Assets;
}

const OF_MODELS = [...LOAD_SETTINGS, "hub", "token", "signature", "publicKey", "onProgress", "logitProcessor", "signal"];
export const OF_ENGINES = [...OF_MODELS, ...SHARED_SETTINGS, "assets"];

export async function load(model: ModelInput, options: LoadOptions = {}): Promise<Engine> {
  checkOptions(options, OF_ENGINES);
  const { assets, ...others } = options;
  others.signal?.throwIfAborted();
  const home = openHome(assets);
  try {
    return makeEngine(home, await loadModel(home, model, others));
  } catch (error) {
    home.channel.end(); // also what stops an aborted load at once; what was downloaded is kept
    throw error;
  }
}

export function checkOptions(options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new RequestError(`there is no option '${unknown}' here`, { param: unknown, hint: `The options are ${[...known].sort().join(", ")}.` });
}

function openHome(assets: string | URL | undefined): Home {
  const found = findAssets(assets);
  return { channel: openWorker(found), assets: found };
}

/** What sounds a request has are read here: a worker cannot decode what a page plays. */
export function openWorker({ worker }: Assets): Channel {
  const channel = openChannel(startWorker(worker, "fanlight"), worker);
  const request: Channel["request"] = async (asked, signal, onProgress) => {
    if (asked.kind !== "handle" || !mayHaveSounds(asked.args[1])) return channel.request(asked, signal, onProgress);
    const [path, body, ...again] = asked.args;
    return channel.request({ ...asked, args: [path, await withSounds(body, signal), ...again] }, signal, onProgress);
  };
  return { ...channel, request };
}

export async function loadModel({ channel, assets }: Home, model: ModelInput, options: ModelOptions & SharedSettings): Promise<EngineInfo> {
  const { onProgress, signal, logitProcessor, hub, token, signature, publicKey, ...others } = options;
  const logitChannel = logitProcessor && serveLogits(logitProcessor);
  const settings = { ...others, ...(logitChannel && { logitChannel }) };
  const access = Object.fromEntries(Object.entries({ hub, token, signature, publicKey }).filter(([, value]) => value !== undefined)) as Access;
  const named = typeof model === "string" ? await resolveId(model) : model;
  signal?.throwIfAborted();
  const info = value(await channel.request({ kind: "load", model: { ...reference(named, assets, hub), access }, assets, settings }, signal, onProgress)) as EngineInfo;
  onProgress?.({ phase: "ready", loadedBytes: 0, totalBytes: 0, text: info.model });
  return info;
}

export function reference(model: ModelInput, assets: Assets, hub?: string): ModelReference {
  if (model === "built-in") return { kind: "url", url: assets.builtIn };
  if (typeof model === "string" && parseHubId(model, hub)) return { kind: "hub", id: model };
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

const homes = new WeakMap<Engine, Home>();

/** As the engine's own `load`, with all that is known of the model. */
export function loadBeside(engine: Engine, model: ModelInput, options: ModelOptions): Promise<EngineInfo> {
  checkOptions(options, OF_MODELS);
  return loadModel(homes.get(engine) as Home, model, options);
}

export function makeEngine(home: Home, info: EngineInfo): Engine {
  const { channel } = home;
  const call: Call = (path, body, signal) => channel.request({ kind: "handle", args: [path, body] }, signal);
  const create = (path: string) => async (body: object, { signal }: RequestOptions = {}) => {
    const answer = await call(path, JSON.stringify(body), signal);
    return answer.kind === "items" ? parsed(answer.items) : value(answer);
  };
  const hear = (path: string) => async ({ file, ...body }: { file: SoundInput }, options?: RequestOptions) =>
    create(path)({ ...body, file: await soundText(file) }, options);
  const engine: Engine = {
    info,
    memoryPlan: info.memory,
    chat: { completions: { create: create("/v1/chat/completions") } as ChatCompletions },
    completions: { create: create("/v1/completions") } as Completions,
    embeddings: { create: create("/v1/embeddings") } as Embeddings,
    rerank: { create: create("/v1/rerank") } as Engine["rerank"],
    score: { create: create("/v1/score") } as Engine["score"],
    responses: { create: create("/v1/responses") } as Responses,
    audio: { transcriptions: { create: hear("/v1/audio/transcriptions") }, translations: { create: hear("/v1/audio/translations") } } as Audio,
    models: { list: async () => (await create("/v1/models")({})) as ModelList },
    fetch: makeFetch(call),
    load: async (model, options = {}) => (await loadBeside(engine, model, options)).model,
    async unload(name) {
      await channel.request({ kind: "unload", args: [name] });
    },
    async saveState({ name, ...request }, { signal } = {}) {
      return value(await channel.request({ kind: "save_state", args: [name, JSON.stringify(request)] }, signal)) as number;
    },
    async restoreState(state, options = {}) {
      checkOptions(options, ["model", "signal"]);
      const { model, signal } = options;
      return value(await channel.request({ kind: "restore_state", args: [state, model ?? null] }, signal)) as number;
    },
    close: () => channel.close(),
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
