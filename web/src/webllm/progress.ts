/** What a load reports, in WebLLM's words, which its users' pages show and some of them read. */

import type { EngineInfo } from "../types.js";
import type { Progress } from "../protocol.js";
import type { InitProgressCallback } from "./types.js";

const SHARD_BYTES = 32 << 20; // MLC's; progress counts in these
const ALMOST = 0.999; // 1 is for a model that is there

export interface Reporter {
  report(progress: Progress): void;
  finished(adapter: EngineInfo["adapter"]): void;
}

/** isStored: the files are on this device already. */
export function reporter(callback: InitProgressCallback | undefined, isStored: boolean): Reporter {
  const start = performance.now();
  let last = "";
  const seconds = (): number => (performance.now() - start) / 1000;
  const say = (progress: number, text: string, timeElapsed = Math.ceil(seconds())): void => {
    if (text !== last) callback?.({ progress, timeElapsed, text });
    last = text;
  };
  return {
    report({ phase, loadedBytes, totalBytes }) {
      if (phase === "runtime" || phase === "header") say(0, "Start to fetch params", 0);
      if (phase === "compile") say(0, `Loading GPU shader modules[0/1]: 0% completed, ${Math.ceil(seconds())} secs elapsed.`);
      if (phase === "weights") say(Math.min(ALMOST, loadedBytes / totalBytes), weightsText(loadedBytes, totalBytes, Math.ceil(seconds()), isStored));
    },
    finished(adapter) {
      callback?.({ progress: 1, timeElapsed: seconds(), text: `Finish loading on ${label(adapter)}` });
    },
  };
}

export function label({ description, vendor }: { readonly description: string; readonly vendor: string }): string {
  return `WebGPU - ${description || vendor}`;
}

function weightsText(loaded: number, total: number, seconds: number, isStored: boolean): string {
  const shards = Math.ceil(total / SHARD_BYTES);
  const at = `${Math.floor((loaded / total) * shards)}/${shards}`;
  const done = `${Math.ceil(loaded / (1 << 20))}MB ${isStored ? "loaded" : "fetched"}. ${Math.floor((loaded / total) * 100)}% completed, ${seconds} secs elapsed.`;
  if (isStored) return `Loading model from cache[${at}]: ${done}`;
  return `Fetching param cache[${at}]: ${done} It can take a while when we first visit this page to populate the cache. Later refreshes will become faster.`;
}
