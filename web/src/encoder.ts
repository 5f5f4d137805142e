/** Texts to token ids, as a tokenizer.json says: the library's way, with what it does otherwise than the native one put right. */

import { Tokenizer } from "@huggingface/tokenizers";
import { preTokenizer, type Spec, normalizeNatively, wordsToTokens } from "./vocabulary.js";

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

/** What fanlight.text.tokenizer.BrowserEncoder asks. */
export interface Encoder {
  encode(text: string, addSpecialTokens: boolean): Promise<number[]>;
  /** Two texts as an encoder reads them together: ids, and which text each is of. */
  encodePair(text: string, pair: string): Promise<[number[], number[]]>;
  /** Another one, in which these tokens have other texts (JSON of an object). */
  renamed(names: string): Promise<Encoder>;
}

/** From a tokenizer.json, in UTF-8. */
export function openEncoder(json: Uint8Array): Encoder {
  const parsed = (): Spec => JSON.parse(new TextDecoder().decode(json)) as Spec;
  const encoder = (tokenizer: Tokenizer): Encoder => ({
    encode: async (text, addSpecialTokens) => tokenizer.encode(text, { add_special_tokens: addSpecialTokens }).ids,
    async encodePair(text, pair) {
      const { ids, token_type_ids: types } = tokenizer.encode(text, { text_pair: pair, return_token_type_ids: true });
      return [ids, types ?? ids.map(() => 0)];
    },
    renamed: async (names) => encoder(tokenizerOf(renamedTokens(parsed(), JSON.parse(names) as Record<string, string>))),
  });
  return encoder(tokenizerOf(parsed()));
}
