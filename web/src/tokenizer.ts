/**
 * The tokenizer's worker: a large vocabulary takes up to half a second to set up, which the engine's worker does not have while it loads.
 * worker.ts is its other end.
 */

import { Tokenizer } from "@huggingface/tokenizers";
import { serve } from "./rpc.js";
import { preTokenizer, type Spec, normalizeNatively, wordsToTokens } from "./vocabulary.js";

let tokenizerJson: Uint8Array;
const tokenizers: Tokenizer[] = []; // the file's, then those with other names

const parsed = (): Spec => JSON.parse(new TextDecoder().decode(tokenizerJson)) as Spec;

/** The library's, with the native way from words to tokens where the library has another. */
function tokenizerOf(spec: Spec): Tokenizer {
  const isWhole = spec.model.type === "WordLevel"; // which the library takes for something else
  const known = isWhole ? { ...spec.model, type: "WordPiece", continuing_subword_prefix: "##", max_input_chars_per_word: 100 } : spec.model;
  const own = preTokenizer(spec.pre_tokenizer, (part) => new Tokenizer({ ...NOTHING, pre_tokenizer: part }, {}).pre_tokenizer as never);
  const tokenizer = new Tokenizer({ ...spec, model: known, ...(own && { pre_tokenizer: null }) }, {});
  const model = tokenizer.model as NonNullable<typeof tokenizer.model>;
  const encode = model.encode.bind(model);
  const words = wordsToTokens(spec.model, (word) => encode([word]));
  model.fuse_unk = false;
  if (words) model.encode = words;
  if (own) tokenizer.pre_tokenizer = own as never;
  normalizeNatively(tokenizer.normalizer);
  return tokenizer;
}

const NOTHING = { model: { type: "BPE", vocab: {}, merges: [] }, normalizer: null, post_processor: null, decoder: null, added_tokens: [] };

/** As `renamed_tokens` of fanlight/text/tokenizer.py: tokens have other texts, so that no text has them. */
function renamedTokens(spec: Spec, names: Readonly<Record<string, string>>): Spec {
  const rename = (token: string): string => names[token] ?? token;
  const { model } = spec;
  model.vocab = Array.isArray(model.vocab)
    ? model.vocab.map(([token, score]): [string, number] => [rename(token), score])
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
    tokenizers.push(tokenizerOf(parsed()));
  },
  /** Another one, in which these tokens have other texts; its number. */
  renamed: (names: string): number => tokenizers.push(tokenizerOf(renamedTokens(parsed(), JSON.parse(names) as Record<string, string>))) - 1,
  encode: (text: string, addSpecialTokens: boolean, which = 0): number[] =>
    (tokenizers[which] as Tokenizer).encode(text, { add_special_tokens: addSpecialTokens }).ids,
  /** Two texts as an encoder reads them together: ids, and which text each is of. */
  encodePair(text: string, pair: string): [number[], number[]] {
    const { ids, token_type_ids: types } = (tokenizers[0] as Tokenizer).encode(text, { text_pair: pair, return_token_type_ids: true });
    return [ids, types ?? ids.map(() => 0)];
  },
});
