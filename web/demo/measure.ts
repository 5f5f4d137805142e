/** Measures an engine from where a page stands: what `await` and the clock see.  Used by the bench page and by bench/ in the repository. */

import type { Engine } from "fanlight";

export interface Answer {
  readonly ttftMs: number;
  /** Prompt tokens over the time to the first token. */
  readonly prefillTps: number;
  /** Tokens after the first, over the time between the first and the last. */
  readonly decodeTps: number | null;
  /** What the engine's own clock says. */
  readonly engine: object;
}

const FIRST_ID = 3; // below lie, in many vocabularies, the tokens that begin and end a text
const LAST_ID = 1000; // every vocabulary has as many

/** Token ids that no cache of prompts knows. */
export function randomPrompt(count: number): number[] {
  return Array.from({ length: count }, () => FIRST_ID + Math.floor(Math.random() * (LAST_ID - FIRST_ID)));
}

/** One greedy answer of exactly `count` tokens, streamed or whole. */
export async function measureAnswer(engine: Engine, prompt: readonly number[], count: number, streamed = true): Promise<Answer> {
  const body = { prompt: [...prompt], max_tokens: count, temperature: 0, ignore_eos: true };
  const start = performance.now();
  if (!streamed) {
    const { timings } = (await engine.completions.create(body)) as unknown as { timings: Record<string, number> };
    return { ttftMs: timings.ttft_ms ?? 0, prefillTps: timings.prefill_tps ?? 0, decodeTps: timings.decode_tps ?? null, engine: timings };
  }
  let [first, last, tokens, timings]: [number, number, number, object] = [0, 0, 0, {}];
  for await (const chunk of await engine.completions.create({ ...body, stream: true, return_token_ids: true })) {
    const { choices, timings: told } = chunk as unknown as { choices: { token_ids?: number[] }[]; timings?: object };
    const arrived = choices[0]?.token_ids?.length ?? 0;
    if (arrived) {
      last = performance.now();
      first ||= last;
      tokens += arrived;
    }
    timings = told ?? timings;
  }
  const ttftMs = first - start;
  const decodeTps = tokens > 1 ? ((tokens - 1) / (last - first)) * 1000 : null;
  return { ttftMs, prefillTps: (prompt.length / ttftMs) * 1000, decodeTps, engine: timings };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] ?? NaN : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

const GROUPS = 2048;
const STREAM = `
@group(0) @binding(0) var<storage, read_write> x: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
const STRIDE = ${GROUPS}u * 256u;
@compute @workgroup_size(256) fn fill(@builtin(global_invocation_id) id: vec3<u32>) {
  for (var i = id.x; i < arrayLength(&x); i += STRIDE) {
    var h = i * 747796405u + 2891336453u;
    h = ((h >> ((h >> 28u) + 4u)) ^ h) * 277803737u;
    x[i] = vec4(h, h * 31u + 1u, h ^ (h >> 7u), h * 2654435769u);
  }
}
@compute @workgroup_size(256) fn stream(@builtin(global_invocation_id) id: vec3<u32>) {
  var sum = vec4<u32>();
  for (var i = id.x; i < arrayLength(&x); i += STRIDE) { sum ^= x[i]; }
  y[id.x] ^= sum.x ^ sum.y ^ sum.z ^ sum.w;
}`;
const USAGE = { STORAGE: 0x80 } as const; // GPUBufferUsage
const FEW = 4;

/** GB/s at which this adapter reads memory at best, in a buffer far larger than any cache. Null where there is no adapter. */
export async function streamBandwidth(megabytes = 512): Promise<number | null> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return null;
  const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
  const isSlow = adapter.info.isFallbackAdapter;
  const size = Math.min((isSlow ? 32 : megabytes) * 2 ** 20, maxStorageBufferBindingSize, maxBufferSize);
  const device = await adapter.requestDevice({ requiredLimits: { maxStorageBufferBindingSize, maxBufferSize } });
  try {
    const module = device.createShaderModule({ code: STREAM });
    const layout = device.createBindGroupLayout({
      entries: [0, 1].map((binding) => ({ binding, visibility: 4, buffer: { type: "storage" as const } })),
    });
    const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] });
    const make = (entryPoint: string) => device.createComputePipeline({ layout: pipelineLayout, compute: { module, entryPoint } });
    const buffers = [size, GROUPS * 256 * 4].map((bytes) => device.createBuffer({ size: bytes, usage: USAGE.STORAGE }));
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    const group = device.createBindGroup({ layout, entries });
    const run = async (pipeline: GPUComputePipeline, times: number): Promise<number> => {
      const start = performance.now();
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      for (let i = 0; i < times; i++) pass.dispatchWorkgroups(GROUPS);
      pass.end();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
      return performance.now() - start;
    };
    await run(make("fill"), 1);
    const stream = make("stream");
    await run(stream, FEW);
    const many = isSlow ? 3 * FEW : 20 * FEW;
    const times: number[] = [];
    // The difference of two runs: what a submit costs is in both.
    for (let i = 0; i < 3; i++) times.push((await run(stream, many)) - (await run(stream, FEW)));
    return (size * (many - FEW)) / Math.max(median(times), 1e-3) / 1e6;
  } finally {
    device.destroy();
  }
}
