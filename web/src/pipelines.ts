/** Compiles a Program's kernels, all at once, and says which one failed and why.  One explicit bind group layout per kernel. */

import { KernelFailed } from "./errors.js";
import type { KernelSpec } from "./program.js";

const COMPUTE_STAGE = 0x4; // GPUShaderStage.COMPUTE
const SOURCE_LINES_SHOWN = 2;

export interface Kernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Chrome's compiler wants these named; the native one knows them unasked, so the Python compiler leaves them out. */
const DIRECTIVES: Readonly<Record<string, string>> = {
  subgroups: "enable subgroups;",
  "chromium-experimental-subgroup-matrix": "requires buffer_view;\nenable chromium_experimental_subgroup_matrix;",
};

function withDirectives(kernel: KernelSpec): string {
  const missing = kernel.features.map((name) => DIRECTIVES[name]).filter((line) => line !== undefined && !kernel.wgsl.includes(line));
  return missing.length ? `${missing.join("\n")}\n${kernel.wgsl}` : kernel.wgsl;
}

export async function compileKernels(device: GPUDevice, kernels: readonly KernelSpec[]): Promise<Map<string, Kernel>> {
  const compiled = await Promise.all(kernels.map((kernel) => compileKernel(device, kernel)));
  return new Map(kernels.map((kernel, i) => [kernel.name, compiled[i] as Kernel]));
}

async function compileKernel(device: GPUDevice, kernel: KernelSpec): Promise<Kernel> {
  const missing = kernel.features.filter((name) => !device.features.has(name));
  if (missing.length) {
    throw new KernelFailed(`needs ${missing.join(" and ")}, which this adapter does not have.`, {
      where: kernel.name,
      hint: "Compile the model for this adapter's features.",
    });
  }
  const code = withDirectives(kernel);
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code, label: kernel.name });
  const layout = device.createBindGroupLayout({
    label: kernel.name,
    entries: kernel.access.map((access, binding) => ({
      binding,
      visibility: COMPUTE_STAGE,
      buffer: { type: access === "read" ? ("read-only-storage" as const) : ("storage" as const) },
    })),
  });
  const pipeline = device.createComputePipelineAsync({
    label: kernel.name,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: "main" },
  });
  const scope = device.popErrorScope();
  try {
    const ready = await pipeline;
    const error = await scope;
    if (error) throw new KernelFailed(error.message, { where: kernel.name });
    return { pipeline: ready, layout };
  } catch (error) {
    await scope.catch(() => null);
    if (error instanceof KernelFailed) throw error;
    throw new KernelFailed(await explain(module, code, error), {
      where: kernel.name,
      hint: "Report this with the output of 'fanlight doctor', or try another browser.",
    });
  }
}

/** The shader compiler's complaints with the lines they are about; else what the pipeline said. */
async function explain(module: GPUShaderModule, code: string, error: unknown): Promise<string> {
  const lines = code.split("\n");
  const { messages } = await module.getCompilationInfo();
  const errors = messages.filter((message) => message.type === "error");
  if (!errors.length) return error instanceof Error ? error.message : String(error);
  return errors
    .map(({ message, lineNum }) => {
      const shown = lines.slice(Math.max(0, lineNum - SOURCE_LINES_SHOWN), lineNum).join("\n");
      return `${message} (line ${lineNum})\n${shown}`;
    })
    .join("\n");
}
