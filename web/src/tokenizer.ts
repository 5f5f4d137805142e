/**
 * The tokenizer's worker: a large vocabulary takes up to half a second to set up, which the engine's worker does not have while it loads.
 * opening.ts is its other end.
 */

import { type Encoder, openEncoder } from "./encoder.js";
import { serve } from "./rpc.js";

const encoders: Encoder[] = []; // the file's, then those with other names

const of = (which = 0): Encoder => encoders[which] as Encoder;

serve({
  open: (json: Uint8Array): void => void encoders.push(openEncoder(json)),
  /** The new one's number. */
  renamed: async (names: string): Promise<number> => encoders.push(await of().renamed(names)) - 1,
  encode: (text: string, addSpecialTokens: boolean, which?: number) => of(which).encode(text, addSpecialTokens),
  encodePair: (text: string, pair: string) => of().encodePair(text, pair),
});
