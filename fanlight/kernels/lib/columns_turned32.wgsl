// Numbers of 32 bits, a line for each column.
const WORDS = 32u;
fn word_of(row: u32, group: u32, j: u32) -> u32 { return staging[(group * 32u + j) * params[10] + row]; }
