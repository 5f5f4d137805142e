/**
 * A page's function between the model and the draw: it gets every token's logits and says what they shall be.  The engine's worker asks
 * for it through a channel of a name that nobody else knows.
 */

export interface LogitProcessor {
  /** What the logits shall be, in the order of the token ids; may be the same array. */
  processLogits(logits: Float32Array): Float32Array;
  processSampledToken?(token: number): void;
}

type Asked = { readonly logits: Float32Array } | { readonly sampled: number };
type Answer = { readonly biases: Float32Array } | { readonly error: string };

const MOST = 1e30; // WGSL promises nothing for infinities

/** The page's end, for as long as the page is there. The name of the channel. */
export function serveLogits(processor: LogitProcessor): string {
  const name = `fanlight-logits-${crypto.randomUUID()}`;
  const channel = new BroadcastChannel(name);
  channel.onmessage = ({ data }: MessageEvent<Asked>) => {
    if ("sampled" in data) return processor.processSampledToken?.(data.sampled);
    channel.postMessage(answerTo(processor, data.logits));
  };
  return name;
}

function answerTo(processor: LogitProcessor, logits: Float32Array): Answer {
  try {
    const processed = processor.processLogits(logits.slice());
    if (processed.length !== logits.length) throw new Error(`${processed.length} logits came back, ${logits.length} were given`);
    return { biases: logits.map((value, i) => bounded((processed[i] as number) - value)) };
  } catch (error) {
    return { error: String(error) };
  }
}

/** No number is as good as minus infinity. */
function bounded(bias: number): number {
  return Number.isNaN(bias) ? -MOST : Math.max(-MOST, Math.min(MOST, bias));
}

/** The worker's end: what fanlight.runtime.browser.JsProcessor asks. */
export interface Processor {
  biases(logits: Uint8Array): Promise<Uint8Array>;
  sampled(token: number): void;
}

export function askForLogits(name: string): Processor {
  const channel = new BroadcastChannel(name);
  return {
    biases: (bytes) =>
      new Promise((resolve, reject) => {
        channel.onmessage = ({ data }: MessageEvent<Answer>) => {
          if ("error" in data) reject(new Error(data.error));
          else resolve(new Uint8Array(data.biases.buffer));
        };
        channel.postMessage({ logits: new Float32Array(bytes.slice().buffer) } satisfies Asked);
      }),
    sampled: (token) => channel.postMessage({ sampled: token } satisfies Asked),
  };
}
