/** Measures a step launch by launch: with timestamp queries where the adapter has them, else by the wall clock around each launch. */

import { encodeLaunches, type PreparedLaunch } from "./launch.js";

const MAX_QUERIES = 4096; // WebGPU's limit for one set
const USAGE = { MAP_READ: 0x1, COPY_SRC: 0x4, COPY_DST: 0x8, QUERY_RESOLVE: 0x200 } as const; // GPUBufferUsage
const MAP_READ_MODE = 0x1;

export interface LaunchTime {
  readonly kernel: string;
  readonly where: string;
  readonly microseconds: number;
}

export async function measureLaunches(device: GPUDevice, launches: readonly PreparedLaunch[]): Promise<LaunchTime[]> {
  const measure = device.features.has("timestamp-query") ? measureByTimestamps : measureByClock;
  const microseconds: number[] = [];
  for (let i = 0; i < launches.length; i += MAX_QUERIES / 2) {
    microseconds.push(...(await measure(device, launches.slice(i, i + MAX_QUERIES / 2))));
  }
  return launches.map(({ kernel, where }, i) => ({ kernel, where, microseconds: microseconds[i] ?? 0 }));
}

async function measureByTimestamps(device: GPUDevice, launches: readonly PreparedLaunch[]): Promise<number[]> {
  const count = launches.length * 2;
  if (count === 0) return [];
  const querySet = device.createQuerySet({ type: "timestamp", count });
  const resolved = device.createBuffer({ size: count * 8, usage: USAGE.QUERY_RESOLVE | USAGE.COPY_SRC });
  const readback = device.createBuffer({ size: count * 8, usage: USAGE.MAP_READ | USAGE.COPY_DST });
  try {
    const encoder = device.createCommandEncoder();
    launches.forEach((launch, i) => {
      const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
      const pass = encoder.beginComputePass({ timestampWrites });
      pass.setPipeline(launch.pipeline);
      pass.setBindGroup(0, launch.group);
      pass.dispatchWorkgroups(...launch.grid);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, readback, 0, readback.size);
    device.queue.submit([encoder.finish()]);
    await readback.mapAsync(MAP_READ_MODE);
    const stamps = new BigUint64Array(readback.getMappedRange());
    return launches.map((_, i) => Number((stamps[2 * i + 1] ?? 0n) - (stamps[2 * i] ?? 0n)) / 1000);
  } finally {
    querySet.destroy();
    resolved.destroy();
    readback.destroy();
  }
}

/** Coarse: a submit and a wait per launch are in the number. */
async function measureByClock(device: GPUDevice, launches: readonly PreparedLaunch[]): Promise<number[]> {
  const times: number[] = [];
  for (const launch of launches) {
    await device.queue.onSubmittedWorkDone();
    const start = performance.now();
    const encoder = device.createCommandEncoder();
    encodeLaunches(encoder, [launch]);
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    times.push((performance.now() - start) * 1000);
  }
  return times;
}
