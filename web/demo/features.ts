/** What this browser lacks, in words.  Knows no page. */

import { checkWebGPU } from "fanlight";
import * as strings from "./strings.js";

export interface Missing {
  /** No model runs without these. */
  readonly needed: readonly string[];
  /** Works without, less well. */
  readonly lesser: readonly string[];
}

export async function missingFeatures(): Promise<Missing> {
  const { missing, lesser } = strings.features;
  const webGPU = await checkWebGPU();
  const needed = [
    webGPU,
    typeof WebAssembly === "undefined" && missing.webAssembly,
    typeof Worker === "undefined" && missing.workers,
    typeof DecompressionStream === "undefined" && missing.decompression,
  ];
  return {
    needed: needed.filter((text) => typeof text === "string"),
    lesser: [!(await hasStorage()) && lesser.storage, !("serviceWorker" in navigator) && lesser.offline].filter((text) => text !== false),
  };
}

async function hasStorage(): Promise<boolean> {
  try {
    await navigator.storage.getDirectory();
    return true;
  } catch {
    return false;
  }
}
