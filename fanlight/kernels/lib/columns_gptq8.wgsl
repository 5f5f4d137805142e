// Four neighbouring codes of 8 bits to a word, a line of words for each four; kept as i8, 128 less.
const WORDS = 8u;
fn word_of(row: u32, group: u32, j: u32) -> u32 { return staging[(group * 8u + j) * params[10] + row] ^ 0x80808080u; }
