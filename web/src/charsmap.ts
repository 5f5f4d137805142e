/**
 * SentencePiece's table of replacements, the normalizer `Precompiled`, as `tokenizers` reads it natively; the library in the page takes
 * NFKC for it. A double array over UTF-8 bytes, then texts that end in a zero.
 */

const utf8 = new TextEncoder();
const LONGEST = 6; // bytes: what is shorter is looked up whole before its characters are

/** `base64`: precompiled_charsmap, which fanlight/text/tokenizer_json.py checked. */
export function charsmap(base64: string): (text: string) => string {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const start = 4 + view.getUint32(0, true);
  const units = Uint32Array.from({ length: start / 4 - 1 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

  const textAt = (index: number): string => {
    const end = bytes.indexOf(0, start + index);
    return new TextDecoder().decode(bytes.subarray(start + index, end < 0 ? undefined : end));
  };
  /** What the shortest known beginning becomes; null where none is known. */
  const replaced = (part: Uint8Array): string | null => {
    let place = offset(units[0] ?? 0);
    for (const byte of part) {
      place ^= byte;
      const unit = units[place] ?? 0;
      if (byte === 0 || (unit & LABEL) !== byte) return null;
      place ^= offset(unit);
      if (unit & IS_END) return textAt((units[place] ?? 0) & ~LEAF);
    }
    return null;
  };
  const normalized = (grapheme: string): string => {
    const part = utf8.encode(grapheme);
    const whole = part.length < LONGEST ? replaced(part) : null;
    return whole ?? Array.from(grapheme, (character) => replaced(utf8.encode(character)) ?? character).join("");
  };
  return (text) => Array.from(graphemes.segment(text), ({ segment }) => normalized(segment)).join("");
}

const LEAF = 1 << 31; // of a unit that holds where a text begins
const LABEL = LEAF | 0xff;
const IS_END = 1 << 8;
const offset = (unit: number): number => (unit >>> 10) << ((unit & (1 << 9)) >> 6);
