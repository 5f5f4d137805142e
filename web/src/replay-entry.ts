/** `fanlight/replay`: the replayer alone, for pages that run Programs without the Python engine. */

export { checkWebGPU, openGpu, type Gpu } from "./gpu.js";
export { Replayer } from "./replay.js";
export type { LaunchTime } from "./timings.js";
export type { Source } from "./sources.js";
