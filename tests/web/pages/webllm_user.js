// A worker as WebLLM's users write it, with a logit processor.
import { WebWorkerMLCEngineHandler } from "/fanlight/webllm.js";

const seen = [];
const processor = {
  processLogits(logits) {
    logits.fill(-Infinity);
    logits[40 + seen.length] = 0;
    return logits;
  },
  processSampledToken: (token) => seen.push(token),
  resetState: () => seen.splice(0),
};
const handler = new WebWorkerMLCEngineHandler();
handler.setLogitProcessorRegistry(new Map([["other-MLC", processor]]));
self.onmessage = (event) => handler.onmessage(event);
