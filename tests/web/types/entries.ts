// The package's other entries, by whoever has the package alone. Lines under @ts-expect-error must not compile.
import { checkWebGPU, type Gpu, openGpu, Replayer, type Source } from "fanlight/replay";
import * as worker from "fanlight/service-worker";
import * as webllm from "fanlight/webllm";

const gpu: Gpu = await openGpu();
const replayer: Replayer = new Replayer(gpu);
const file: Source = { name: "a.gguf", size: 4, read: async (offset, size) => new Uint8Array(size + offset) };
await replayer.prepare("{}");
await replayer.load([file], (loaded, total) => console.log(loaded / total));
const sampled: number | undefined = (await replayer.result(replayer.submit("decode", new Uint8Array(256))))[0];
const [slowest] = (await replayer.timings("decode", new Uint8Array(256))).sort((a, b) => b.microseconds - a.microseconds);
const device: object = gpu.device;

// @ts-expect-error a step has a name
replayer.run(1, null);
// @ts-expect-error no such limit is a text
const limit: string = gpu.limits["maxBufferSize"];

export { checkWebGPU, device, limit, sampled, slowest, webllm, worker };
