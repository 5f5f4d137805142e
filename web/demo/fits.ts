/** Whether a model of the catalogue runs on this device, how fast, and which is the best that does.  Asks nobody. */

import { type CatalogueModel, footprint, type Footprint, isPooled } from "fanlight";
import type { Device } from "./device.js";
import { type Speed, speedOf } from "./speeds.js";

/** `tight`: it may, if nothing else needs the graphics card. */
export type Verdict = "fits" | "tight" | "large" | "storage" | "unknown";

export interface Judged {
  readonly model: CatalogueModel;
  readonly footprint: Footprint | null;
  readonly verdict: Verdict;
  /** Null of models that write nothing, and where it is not known. */
  readonly speed: Speed | null;
}

const COMFORTABLE = 0.8; // of the memory
const POSSIBLE = 1.05; // the amount is a guess, or a round number
const PLEASANT = 20; // tokens per second: faster than people read

export function judge(model: CatalogueModel, device: Device, contextLength?: number): Judged {
  const found = footprint(model, contextLength);
  if (!found) return { model, footprint: null, verdict: "unknown", speed: null };
  const layers = model.config?.num_hidden_layers ?? 0;
  const speed = isPooled(model) ? null : speedOf(device, found.weights, layers);
  return { model, footprint: found, verdict: verdictOf(found.total, found.file, device), speed };
}

export function verdictOf(totalBytes: number, fileBytes: number, { memoryBytes, storageBytes }: Device): Verdict {
  if (totalBytes > POSSIBLE * memoryBytes) return "large";
  if (storageBytes !== null && fileBytes > storageBytes) return "storage";
  return totalBytes > COMFORTABLE * memoryBytes ? "tight" : "fits";
}

/** Of those that may be offered to who has not chosen: the largest that fits and answers faster than people read, else the smallest that fits. */
export function bestOf(judged: readonly Judged[]): Judged | null {
  const fitting = judged.filter(({ model, verdict }) => verdict === "fits" && model.recommended && model.capabilities.includes("chat"));
  const bySize = fitting.sort((a, b) => (a.footprint?.total ?? 0) - (b.footprint?.total ?? 0));
  return bySize.findLast(({ speed }) => speed !== null && speed.tokensPerSecond >= PLEASANT) ?? bySize[0] ?? null;
}
