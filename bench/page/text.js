/* `count` words of bench/random_encoder.py, each a token. */
export function words(count, known) {
  const letter = (number, i) => String.fromCharCode(97 + (Math.floor(number / 26 ** i) % 26));
  const letters = (number) => [0, 1, 2, 3].map((i) => letter(number, i)).join("");
  return Array.from({ length: count }, () => letters(Math.floor(Math.random() * known))).join(" ");
}

/* A text of exactly `count` tokens of the invented vocabulary (bench/vocabulary.py): digits are never merged. */
export const digits = (count) => Array.from({ length: count }, () => Math.floor(Math.random() * 10)).join("");
