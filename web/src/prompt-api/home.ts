/** The engine that all sessions share: which model it is for, whether that is here, and who uses it. */

import { findAssets } from "../assets.js";
import { resolveId } from "../catalogue.js";
import { checkWebGPU } from "../check.js";
import { type Engine, load, type LoadOptions, type ModelInput, reference } from "../client.js";
import { RequestError } from "../errors.js";
import { hubName, parseHubId } from "../hub.js";
import type { Progress } from "../protocol.js";
import { listModels } from "../storage.js";
import { Model } from "./model.js";
import type { Availability } from "./types.js";

/** A model that is loaded when the first session is created, or an engine that the page has, and its model's name: the first one unless set. */
export type Configuration = OfModel | { readonly engine: Engine; readonly model?: string };

interface OfModel extends LoadOptions {
  readonly model: ModelInput;
  /** `load` unless set: `shareEngine`, for one engine of all tabs. */
  readonly load?: (model: ModelInput, options?: LoadOptions) => Promise<Engine>;
  readonly engine?: never;
}

type OnProgress = (progress: Progress) => void;

interface Loading {
  readonly model: Promise<Model>;
  readonly aborter: AbortController;
}

export class Home {
  readonly #configuration: Configuration;
  readonly #waiting = new Set<OnProgress>();
  #loading: Loading | null = null;
  #model: Model | null = null;
  #engine: Engine | null = null;
  #sessions = 0;
  #isRetired = false;

  constructor(configuration: Configuration) {
    this.#configuration = configuration;
  }

  get model(): Model | null {
    return this.#model;
  }

  async availability(): Promise<Availability> {
    if ((await this.problem()) !== null) return "unavailable";
    if (this.#model || this.#configuration.engine || (await isHere(this.#configuration))) return "available";
    return this.#loading ? "downloading" : "downloadable";
  }

  /** Why the model cannot be had here; null where it can, as far as is known. */
  async problem(): Promise<string | null> {
    const { engine, model } = this.#configuration;
    if (this.#model || engine) return null;
    const isNamed = typeof model === "object" && "opfs" in model;
    if (isNamed && !(await isHere(this.#configuration))) return `no model '${model.opfs}' is stored here`;
    return checkWebGPU();
  }

  /** Loads the model unless that was done, or is being done for another one; it ends when all are aborted that wait for it. */
  async open(onProgress: OnProgress, signal: AbortSignal | undefined): Promise<Model> {
    signal?.throwIfAborted();
    if (this.#model) return this.#model;
    this.#loading ??= this.#load();
    const { model, aborter } = this.#loading;
    this.#waiting.add(onProgress);
    const leave = (): void => {
      this.#waiting.delete(onProgress);
      if (this.#waiting.size > 0 || this.#model) return;
      aborter.abort();
      this.#loading = null;
    };
    signal?.addEventListener("abort", leave, { once: true });
    try {
      return await model;
    } finally {
      signal?.removeEventListener("abort", leave);
      this.#waiting.delete(onProgress);
    }
  }

  #load(): Loading {
    const aborter = new AbortController();
    const onProgress = (progress: Progress): void => {
      for (const tell of this.#waiting) tell(progress);
    };
    const loaded = this.#open(onProgress, aborter.signal);
    const loading = { model: loaded, aborter };
    loaded.then(
      (model) => (this.#model = model),
      () => this.#loading === loading && (this.#loading = null), // the next one tries again
    );
    return loading;
  }

  async #open(onProgress: OnProgress, signal: AbortSignal): Promise<Model> {
    const configuration = this.#configuration;
    if (configuration.engine) return modelOf(configuration.engine, configuration.model);
    const { model, load: open = load, engine: _, onProgress: told, ...options } = configuration;
    const both: OnProgress = (progress) => {
      told?.(progress);
      onProgress(progress);
    };
    this.#engine = await open(model, { ...options, onProgress: both, signal });
    return modelOf(this.#engine, this.#engine.info.model);
  }

  enter(): void {
    this.#sessions++;
  }

  leave(): void {
    this.#sessions--;
    this.#closeUnused();
  }

  /** Another one takes its place: it ends with its last session. */
  retire(): void {
    this.#isRetired = true;
    this.#closeUnused();
  }

  #closeUnused(): void {
    if (!this.#isRetired || this.#sessions > 0) return;
    void this.#engine?.close();
    this.#engine = null;
  }
}

async function modelOf(engine: Engine, name: string | undefined): Promise<Model> {
  const { data } = await engine.models.list();
  const found = name === undefined ? data[0] : data.find(({ id }) => id === name);
  if (!found) throw new RequestError(`the engine has no model '${name}'`, { param: "model", hint: `It has ${data.map(({ id }) => id).join(", ")}.` });
  return new Model(engine, found);
}

/** Whether there is nothing to download. */
async function isHere({ model, hub, assets, store = true }: OfModel): Promise<boolean> {
  const found = reference(typeof model === "string" ? await resolveId(model) : model, findAssets(assets), hub);
  if (found.kind === "files" || (found.kind === "url" && !/^https?:/.test(found.url))) return true;
  const models = (await listModels().catch(() => [])).filter(({ complete }) => complete);
  if (found.kind === "stored") return models.some(({ url, name }) => [url, name].includes(found.name));
  const id = found.kind === "hub" ? parseHubId(found.id, hub) : null;
  const address = found.kind === "url" ? found.url.replace(/#.*/, "") : id && hubName(id);
  return store && models.some(({ url }) => url === address);
}
