/** Launches with their GPU handles, and how a pass of them is encoded. */

/** A launch with its GPU objects. */
export interface PreparedLaunch {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly grid: readonly [number, number, number];
  readonly kernel: string;
  readonly where: string;
}

export function encodeLaunches(encoder: GPUCommandEncoder, launches: readonly PreparedLaunch[]): void {
  const pass = encoder.beginComputePass();
  let pipeline: GPUComputePipeline | null = null;
  for (const launch of launches) {
    if (launch.pipeline !== pipeline) {
      pipeline = launch.pipeline;
      pass.setPipeline(pipeline);
    }
    pass.setBindGroup(0, launch.group);
    pass.dispatchWorkgroups(...launch.grid);
  }
  pass.end();
}
