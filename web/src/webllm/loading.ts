/** How one model of WebLLM's is loaded with Fanlight's engine. */

import { type Engine, type load, loadBeside, type ModelInput, type ModelOptions } from "../client.js";
import { RequestError } from "../errors.js";
import { completeFile, openStore, readManifest } from "../storage.js";
import type { EngineInfo } from "../types.js";
import { hasModelInCache, storedName } from "./cache.js";
import { webllmError } from "./errors.js";
import { verifyIntegrity } from "./integrity.js";
import { log } from "./logger.js";
import { LoadedModel } from "./models.js";
import { label, reporter } from "./progress.js";
import { findRecord, sourceOf } from "./sources.js";
import type { AppConfig, ChatOptions, InitProgressCallback, LogitProcessor, ModelRecord } from "./types.js";

export interface Loading {
  readonly open: typeof load;
  readonly appConfig: AppConfig;
  readonly onProgress: InitProgressCallback | undefined;
  readonly processors: ReadonlyMap<string, LogitProcessor>;
  readonly signal: AbortSignal;
}

export interface Opened {
  readonly engine: Engine;
  readonly model: LoadedModel;
}

/** engine: with the models before it; null for the first one. */
export async function openModel(engine: Engine | null, modelId: string, chatOpts: ChatOptions, loading: Loading): Promise<Opened> {
  const record = findRecord(modelId, loading.appConfig);
  const options = { ...record.overrides, ...chatOpts };
  const source = sourceOf(record);
  const reports = reporter(loading.onProgress, await hasModelInCache(modelId, loading.appConfig));
  await checkIntegrity(record, source);
  const processor = loading.processors.get(modelId);
  const name = [modelId, ...Object.values({ ...contextOf(chatOpts), ...templateOf(chatOpts) }).map((value) => JSON.stringify(value))].join(" ");
  let took: (seconds: number) => unknown = () => undefined;
  const settings: ModelOptions = {
    name,
    signal: loading.signal,
    onProgress: reports.report,
    ...contextOf(options),
    ...templateOf(options),
    ...(processor && { logitProcessor: timed(processor, (seconds) => took(seconds)), maxNumSeqs: 1 }),
  };
  const opened = await orShorter(settings, (given) => open(engine, source, given, loading.open));
  await checkIntegrity(record, source); // what was loaded, where it was not stored before
  const { info } = opened;
  reports.finished(info.adapter);
  log.info(`${modelId} runs on ${label(info.adapter)}; ${info.system_fingerprint}`);
  const model = new LoadedModel(name, record, options, info, processor);
  took = (seconds) => model.processorSeconds.push(seconds);
  return { engine: opened.engine, model };
}

function timed(processor: LogitProcessor, took: (seconds: number) => void): LogitProcessor {
  return {
    processLogits(logits) {
      const start = performance.now();
      const processed = processor.processLogits(logits);
      took((performance.now() - start) / 1000);
      return processed;
    },
    processSampledToken: (token) => processor.processSampledToken(token),
    resetState: () => processor.resetState(),
  };
}

async function open(engine: Engine | null, source: ModelInput, options: ModelOptions, first: typeof load): Promise<{ engine: Engine; info: EngineInfo }> {
  if (engine) return { engine, info: await loadBeside(engine, source, options) };
  const opened = await first(source, options);
  return { engine: opened, info: opened.info };
}

/** WebLLM's records ask for contexts, which a model may not have been made for. */
async function orShorter<T>(settings: ModelOptions, attempt: (settings: ModelOptions) => Promise<T>): Promise<T> {
  try {
    return await attempt(settings);
  } catch (error) {
    if (!(error instanceof RequestError) || error.param !== "context_length" || settings.contextLength === undefined) throw error;
    log.warn(`${error.message}. It is loaded with what it was made for.`);
    const { contextLength: _, ...others } = settings;
    return attempt(others);
  }
}

/** A sliding window with sinks is Fanlight's "attention_sinks". */
function contextOf({ context_window_size: context = -1, sliding_window_size: sliding = -1, attention_sink_size: sinks }: ChatOptions): ModelOptions {
  if (context > 0 && sliding > 0) throw webllmError("WindowSizeConfigurationError", context, sliding);
  if (sliding > 0 && sinks !== undefined && sinks < 0) throw webllmError("AttentionSinkSizeError");
  if (sliding > 0) return { contextLength: sliding, contextOverflow: "attention_sinks" };
  return context > 0 ? { contextLength: context } : {};
}

/** How conversations are written, where that is not left to the model. */
function templateOf({ conv_template: whole, conv_config: parts }: ChatOptions): ModelOptions {
  return whole || parts ? { convTemplate: { ...whole, ...parts } } : {};
}

/** Of the configuration and the tokenizer: as stored, and where they are not, as the server gives them. */
async function checkIntegrity({ integrity }: ModelRecord, source: ModelInput): Promise<void> {
  if (!integrity || typeof source !== "string" || !source.endsWith("/")) return;
  const { config, tokenizer = {}, model_lib: library, onFailure } = integrity;
  if (library) log.info("integrity.model_lib is passed over: there is no library.");
  for (const [name, expected] of Object.entries({ ...(config && { "mlc-chat-config.json": config }), ...tokenizer })) {
    await verifyIntegrity(await bytesOf(source, name), expected, new URL(name, source).href, onFailure);
  }
}

/** Of a file of the folder. */
async function bytesOf(folder: string, name: string): Promise<ArrayBuffer> {
  const store = await openStore();
  const files = store && (await readManifest(store, storedName(folder)))?.files;
  const file = files?.find(({ url }) => new URL(url).pathname.endsWith(`/${name}`));
  const stored = store && file && (await completeFile(store, file.url));
  return stored ? stored.file.arrayBuffer() : (await fetch(new URL(name, folder))).arrayBuffer();
}
