/**
 * The tokenizer's worker: a large vocabulary takes up to half a second to set up, which the engine's worker does not have while it loads.
 * worker.ts is its other end.
 */

import { Tokenizer } from "@huggingface/tokenizers";
import { serve } from "./rpc.js";

interface Spec {
  model: { vocab: Record<string, number> | [string, number][]; unk_token?: string | null };
  added_tokens: { content: string; normalized: boolean }[];
  post_processor: unknown;
}

let tokenizerJson: Uint8Array;
const tokenizers: Tokenizer[] = []; // the file's, then those with other names

const parsed = (): Spec => JSON.parse(new TextDecoder().decode(tokenizerJson)) as Spec;

/** As `renamed_tokens` of fanlight/text/tokenizer.py: tokens have other texts, so that no text has them. */
function renamedTokens(spec: Spec, names: Readonly<Record<string, string>>): Spec {
  const rename = (token: string): string => names[token] ?? token;
  const { model } = spec;
  model.vocab = Array.isArray(model.vocab)
    ? model.vocab.map(([token, score]) => [rename(token), score])
    : Object.fromEntries(Object.entries(model.vocab).map(([token, id]) => [rename(token), id]));
  if (model.unk_token) model.unk_token = rename(model.unk_token);
  for (const token of spec.added_tokens) {
    if (token.content in names) Object.assign(token, { content: rename(token.content), normalized: false });
  }
  return { ...spec, post_processor: null };
}

serve({
  /** From a tokenizer.json, in UTF-8. */
  open(json: Uint8Array): void {
    tokenizerJson = json;
    tokenizers.push(new Tokenizer(parsed(), {}));
  },
  /** Another one, in which these tokens have other texts; its number. */
  renamed: (names: string): number => tokenizers.push(new Tokenizer(renamedTokens(parsed(), JSON.parse(names) as Record<string, string>), {})) - 1,
  encode: (text: string, addSpecialTokens: boolean, which = 0): number[] =>
    (tokenizers[which] as Tokenizer).encode(text, { add_special_tokens: addSpecialTokens }).ids,
});
