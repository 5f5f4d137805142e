/** `fanlight/replay`: the replayer alone, for pages that run Programs without the Python engine. */

export { checkWebGPU } from "./check.js";
export { type Gpu, openGpu } from "./gpu.js";
export { Replayer } from "./replay.js";
export type { LaunchTime } from "./timings.js";
export type { Source } from "./sources.js";
