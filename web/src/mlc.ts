/** The files of a model as MLC LLM, and so WebLLM, keeps it: an index names the shards, a configuration the tokenizer's files. */

import { SourceError } from "./errors.js";
import { request } from "./sources.js";

export const CONFIG = "mlc-chat-config.json";
export const INDEXES = ["tensor-cache.json", "ndarray-cache.json"] as const; // the second is what older ones are called
const SHARD = /^[\w.-]+\.bin$/;

/** Of a folder's files those that make the model of MLC's in it; none if there is none. sides: names of files that any model may have. */
export function mlcModel(paths: readonly string[], sides: readonly string[]): string[] {
  const index = INDEXES.find((name) => paths.includes(name));
  if (!index || !paths.includes(CONFIG)) return [];
  return paths.filter((path) => [CONFIG, index, ...sides].includes(path) || /^params_shard_\d+\.bin$/.test(path)).sort();
}

/** The shards' names, from the index. */
export async function listMlcShards(url: string, signal?: AbortSignal): Promise<string[]> {
  const response = await request(url, {}, signal);
  const { records } = (await response.json().catch(() => ({}))) as { records?: unknown };
  const names = Array.isArray(records) ? records.map((record: { dataPath?: unknown }) => record.dataPath) : [];
  if (!names.length || !names.every((name): name is string => typeof name === "string" && SHARD.test(name))) {
    throw new SourceError("is no list of MLC's shards", { where: url });
  }
  return names;
}
