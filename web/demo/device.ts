/**
 * What this device has for a model, as far as a browser tells: it tells neither how much memory the graphics card has nor how fast it reads
 * it.  So memory is a guess until a person says better; what once was loaded here is known.  Sends nothing anywhere.
 */

const CHOSEN = "fanlight-graphics-memory"; // bytes, that a person chose
const LOADED = "fanlight-graphics-loaded"; // bytes, of the largest model that was loaded here
const GB = 1e9;

export interface Device {
  /** As WebGPU names them; empty where it does not. */
  readonly vendor: string;
  readonly architecture: string;
  readonly isSoftware: boolean;
  /** What a model may take of the graphics card's memory. */
  readonly memoryBytes: number;
  readonly isGuess: boolean;
  /** What may still be stored. */
  readonly storageBytes: number | null;
}

/** Amounts to choose from, in GB. */
export const MEMORIES = [1, 2, 3, 4, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128];

export async function readDevice(): Promise<Device> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
  const { vendor = "", architecture = "" } = adapter?.info ?? {};
  const isSoftware = (adapter?.info as { isFallbackAdapter?: boolean } | undefined)?.isFallbackAdapter === true || /swiftshader|llvmpipe|software/i.test(architecture);
  const chosen = kept(CHOSEN);
  const guess = guessMemory(vendor, isSoftware, adapter?.limits.maxBufferSize ?? Infinity);
  const { quota, usage } = await navigator.storage.estimate().catch(() => ({ quota: undefined, usage: undefined }));
  return {
    ...{ vendor, architecture, isSoftware },
    memoryBytes: chosen ?? Math.max(guess, kept(LOADED) ?? 0),
    isGuess: chosen === null,
    storageBytes: quota === undefined || usage === undefined ? null : Math.max(0, quota - usage),
  };
}

/**
 * Graphics units that share the computer's memory may use about half of it; cards with their own are seldom sold with less than 6 GB. Some
 * browsers say no more than 8 GB whatever there is, or nothing at all.
 */
function guessMemory(vendor: string, isSoftware: boolean, largestBuffer: number): number {
  const installed = (navigator as { deviceMemory?: number }).deviceMemory;
  const isPhone = /Android|iPhone|iPad|Mobile/.test(navigator.userAgent);
  const hasOwn = !isSoftware && !isPhone && /nvidia|amd/i.test(vendor);
  if (isPhone) return Math.min(0.35 * (installed ?? 4), 3) * GB;
  const shared = 0.55 * (installed ?? 8);
  return Math.min((hasOwn ? Math.max(6, shared) : shared) * GB, 8 * largestBuffer);
}

/** Null: to be guessed again. */
export function chooseMemory(bytes: number | null): void {
  keep(CHOSEN, bytes);
}

/** A model was loaded that takes so much. */
export function noteLoaded(bytes: number): void {
  if (bytes > (kept(LOADED) ?? 0)) keep(LOADED, bytes);
}

function kept(name: string): number | null {
  try {
    const value = Number(localStorage.getItem(name));
    return value > 0 && Number.isFinite(value) ? value : null;
  } catch {
    return null; // storage may be forbidden
  }
}

function keep(name: string, value: number | null): void {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, String(Math.round(value)));
  } catch {
    return; // then each visit guesses
  }
}
