// Numbers of 16 bits, a line for each column, two to a word.
const WORDS = 16u;
fn number(row: u32, column: u32) -> u32 { return (staging[column * params[10] + row / 2u] >> (row % 2u * 16u)) & 0xffffu; }
fn word_of(row: u32, group: u32, j: u32) -> u32 {
    let column = group * 32u + 2u * j;
    return number(row, column) | (number(row, column + 1u) << 16u);
}
