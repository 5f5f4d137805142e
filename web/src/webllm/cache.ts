/** WebLLM's calls on what is kept of a model, on Fanlight's store: weights, tokenizer and configuration are kept, and go, together. */

import { hubName, parseHubId } from "../hub.js";
import { deleteModel, listModels, type StoredModel } from "../storage.js";
import { prebuiltAppConfig } from "./catalogue.js";
import { findRecord, sourceOf } from "./sources.js";
import type { AppConfig } from "./types.js";

/** Whether all of the model's files are on this device. */
export async function hasModelInCache(modelId: string, appConfig: AppConfig = prebuiltAppConfig): Promise<boolean> {
  return (await storedOf(modelId, appConfig))?.complete ?? false;
}

export async function deleteModelInCache(modelId: string, appConfig: AppConfig = prebuiltAppConfig): Promise<void> {
  const stored = await storedOf(modelId, appConfig);
  if (stored) await deleteModel(stored.url);
}

export async function deleteModelAllInfoInCache(modelId: string, appConfig: AppConfig = prebuiltAppConfig): Promise<void> {
  await deleteModelInCache(modelId, appConfig);
}

/** Its files are the model's, and stay until that is deleted. */
export async function deleteChatConfigInCache(modelId: string, appConfig: AppConfig = prebuiltAppConfig): Promise<void> {
  findRecord(modelId, appConfig);
}

/** There are no libraries: kernels are compiled on this device. */
export async function deleteModelWasmInCache(modelId: string, appConfig: AppConfig = prebuiltAppConfig): Promise<void> {
  findRecord(modelId, appConfig);
}

async function storedOf(modelId: string, appConfig: AppConfig): Promise<StoredModel | undefined> {
  const source = sourceOf(findRecord(modelId, appConfig));
  const stored = await listModels();
  if (source === "built-in") return stored.find(({ url }) => /\/built-in\.gguf(\?|$)/.test(url));
  if (typeof source !== "string") return undefined;
  const names = [storedName(source), source]; // older ones are stored by their address
  return stored.find(({ url }) => names.includes(url));
}

/** By which a model's files are stored: a repository's by the hub's name for it. */
export function storedName(source: string): string {
  const id = parseHubId(source);
  return id ? hubName(id) : new URL(source, globalThis.location?.href).href;
}
