/** Finds this page's WebGPU adapter and opens a device with all that it offers.  Knows no Program. */

import { DeviceError, NoAdapter } from "./errors.js";

/** Limits under WebGPU's names, as far as the compiler asks (fanlight.compiler.program.Limits). */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
] as const;

const FEATURES = ["shader-f16", "subgroups", "timestamp-query"] as const satisfies readonly GPUFeatureName[];

/** No standard yet, so unknown to the types. */
const MATRICES = "chromium-experimental-subgroup-matrix" as GPUFeatureName;
interface MatrixFacts extends GPUAdapterInfo {
  readonly subgroupMatrixConfigs?: Iterable<{ componentType: string; resultComponentType: string; M: number; N: number; K: number }>;
}

export interface AdapterFacts {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly backend: "webgpu";
}

export interface Gpu {
  readonly device: GPUDevice;
  readonly info: AdapterFacts;
  readonly limits: Readonly<Record<string, number>>;
  readonly features: readonly string[];
}

/** Adapter, limits and features as JSON: one call across the border to Python instead of many. */
export function describeGpu({ info, limits, features }: Gpu): string {
  return JSON.stringify({ info, limits, features });
}

/** Raises NoAdapter, which says why there is none. */
export async function requestAdapter(): Promise<GPUAdapter> {
  if (!globalThis.isSecureContext) {
    throw new NoAdapter("WebGPU works only on secure pages, and this page came over plain HTTP.", {
      hint: "Open the page over https, or as localhost.",
    });
  }
  const gpu: GPU | undefined = globalThis.navigator.gpu;
  if (!gpu) {
    throw new NoAdapter("This browser has no WebGPU.", {
      hint: "Use a current Chrome, Edge, Firefox or Safari (26 or newer), and see that WebGPU is not switched off in its settings.",
    });
  }
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new NoAdapter("This browser has WebGPU, but found no graphics adapter that it may use.", {
      hint: "Switch on hardware acceleration in the browser's settings and update the graphics driver.",
    });
  }
  return adapter;
}

/** Whether subgroup matrices are there as fanlight/kernels/gemm_matrix.py wants them. */
function hasMatrices(adapter: GPUAdapter): boolean {
  const { subgroupMinSize, subgroupMaxSize, subgroupMatrixConfigs } = adapter.info as MatrixFacts;
  if (!adapter.features.has(MATRICES) || !navigator.gpu.wgslLanguageFeatures.has("buffer_view")) return false;
  if (subgroupMinSize !== 32 || subgroupMaxSize !== 32) return false;
  return [...(subgroupMatrixConfigs ?? [])].some(
    ({ componentType, resultComponentType, M, N, K }) =>
      componentType === "f16" && resultComponentType === "f32" && M === 16 && N === 16 && K === 16,
  );
}

export async function openGpu(): Promise<Gpu> {
  const adapter = await requestAdapter();
  const requiredLimits: Record<string, number> = {};
  for (const name of LIMITS) {
    const value = adapter.limits[name];
    if (value !== undefined) requiredLimits[name] = value;
  }
  const requiredFeatures: GPUFeatureName[] = FEATURES.filter((name) => adapter.features.has(name));
  if (hasMatrices(adapter)) requiredFeatures.push(MATRICES);
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({ requiredLimits, requiredFeatures, label: "fanlight" });
  } catch (error) {
    throw new DeviceError(`The graphics adapter refused to open: ${String(error)}`);
  }
  const { vendor, architecture, description } = adapter.info;
  const limits: Record<string, number> = { minStorageBufferOffsetAlignment: device.limits.minStorageBufferOffsetAlignment };
  for (const name of LIMITS) limits[name] = device.limits[name];
  return {
    device,
    info: { vendor, architecture, device: adapter.info.device, description, backend: "webgpu" },
    limits,
    features: requiredFeatures,
  };
}
