/* A text of exactly `count` tokens of the invented vocabulary (bench/vocabulary.py): digits are never merged. */
export const digits = (count) => Array.from({ length: count }, () => Math.floor(Math.random() * 10)).join("");
