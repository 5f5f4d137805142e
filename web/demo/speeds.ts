/**
 * How fast a model will answer here: what the bench page measured on this graphics card, else a table of them.  A token takes the time to
 * read all weights once, and a little for each layer.  Knows no page.
 */

/** What is kept of the bench page's newest result. */
export interface Measure {
  readonly vendor: string;
  readonly architecture: string;
  /** GB/s at which memory is read at best; null where that was not measured. */
  readonly stream: number | null;
  /** Of the model that was measured. */
  readonly tokensPerSecond: number;
  readonly weightBytes: number;
  /** Where it is known: of the built-in model. */
  readonly layers: number | null;
}

export interface Speed {
  readonly tokensPerSecond: number;
  readonly isMeasured: boolean;
}

interface Adapter {
  readonly vendor: string;
  readonly architecture: string;
  readonly isSoftware: boolean;
}

const KEPT = "fanlight-measure";
const SHARE = 0.85; // of what memory reads at best, that weights are read at: docs/catalogue.md has the measurement
const LAYER_SECONDS = 26e-6; // likewise; of a fast card
const SLOW_LAYER_SECONDS = 60e-6; // where nothing was measured
const SOFTWARE_LAYER_SECONDS = 3e-3;
const LEAST_LAYER_SECONDS = 10e-6; // what a measurement can hardly tell from nothing
const LARGE_BYTES = 300e6; // of a model whose time is mostly that of its weights
export const BUILT_IN_LAYERS = 8;

/** GB/s by what WebGPU calls the graphics unit: an ordinary one of its kind, not the fastest. */
const TABLE: readonly (readonly [pattern: RegExp, gbPerSecond: number])[] = [
  [/swiftshader|llvmpipe|software/, 5],
  [/nvidia.*(hopper|blackwell-100)/, 3000],
  [/nvidia.*(blackwell|lovelace|ada)/, 350],
  [/nvidia/, 300],
  [/amd.*(rdna-?[234]|rdna)/, 200],
  [/amd/, 120],
  [/intel.*(xe-?2?-?hpg|alchemist|battlemage|gen-12hp)/, 400],
  [/intel.*xe-?2/, 100],
  [/intel/, 45],
  [/apple/, 100],
  [/qualcomm|adreno/, 45],
  [/arm|mali|valhall|img|powervr/, 30],
];
const ORDINARY = 45;

export function speedOf(adapter: Adapter, weightBytes: number, layers: number): Speed {
  const measure = keptMeasure(adapter);
  if (measure && measure.weightBytes >= LARGE_BYTES) {
    return { tokensPerSecond: (measure.tokensPerSecond * measure.weightBytes) / weightBytes, isMeasured: true };
  }
  const bandwidth = SHARE * (measure?.stream ?? usualStream(adapter)) * 1e9;
  const tokensPerSecond = 1 / (layers * layerSeconds(adapter, measure, bandwidth) + weightBytes / bandwidth);
  return { tokensPerSecond, isMeasured: Boolean(measure?.stream) };
}

function layerSeconds({ isSoftware }: Adapter, measure: Measure | null, bandwidth: number): number {
  if (!measure?.stream) return isSoftware ? SOFTWARE_LAYER_SECONDS : SLOW_LAYER_SECONDS;
  if (!measure.layers) return LAYER_SECONDS;
  return Math.max(LEAST_LAYER_SECONDS, (1 / measure.tokensPerSecond - measure.weightBytes / bandwidth) / measure.layers);
}

function usualStream({ vendor, architecture }: Adapter): number {
  const name = `${vendor} ${architecture}`.toLowerCase();
  return TABLE.find(([pattern]) => pattern.test(name))?.[1] ?? ORDINARY;
}

/** From the bench page. */
export function keepMeasure({ vendor, architecture, stream, tokensPerSecond, weightBytes, layers }: Measure): void {
  try {
    localStorage.setItem(KEPT, JSON.stringify({ vendor, architecture, stream, tokensPerSecond, weightBytes, layers }));
  } catch {
    return; // storage may be forbidden
  }
}

/** Of this adapter: a laptop may have two, and a profile may have been on another computer. */
function keptMeasure({ vendor, architecture }: Adapter): Measure | null {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null") as Partial<Measure> | null;
    const isGood = kept && Number(kept.tokensPerSecond) > 0 && Number(kept.weightBytes) > 0 && (kept.stream === null || Number(kept.stream) > 0);
    return isGood && kept.vendor === vendor && kept.architecture === architecture ? (kept as Measure) : null;
  } catch {
    return null;
  }
}
