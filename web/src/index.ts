export { checkWebGPU } from "./gpu.js";
