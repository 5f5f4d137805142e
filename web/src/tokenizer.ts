/**
 * The tokenizer's worker: a large vocabulary takes up to half a second to set up, which the engine's worker does not have while it loads.
 * worker.ts is its other end.
 */

import { Tokenizer } from "@huggingface/tokenizers";
import { serve } from "./rpc.js";

let tokenizer: Tokenizer;

serve({
  /** From a tokenizer.json, in UTF-8. */
  open(json: Uint8Array): void {
    tokenizer = new Tokenizer(JSON.parse(new TextDecoder().decode(json)) as object, {});
  },
  encode: (text: string, addSpecialTokens: boolean): number[] => tokenizer.encode(text, { add_special_tokens: addSpecialTokens }).ids,
});
