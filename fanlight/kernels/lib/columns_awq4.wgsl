// Codes of 4 bits of eight rows to a word, in an order of their own; a line of words for each column.
const WORDS = 4u;
fn code(row: u32, column: u32) -> u32 {
    let place = (row % 2u) * 4u + row % 8u / 2u;
    return (staging[column * params[10] + row / 8u] >> (place * 4u)) & 0xfu;
}
fn word_of(row: u32, group: u32, j: u32) -> u32 {
    var word = 0u;
    for (var i = 0u; i < 4u; i++) {
        let column = group * 32u + j * 4u + i;
        word |= (code(row, column) | (code(row, column + 16u) << 4u)) << (i * 8u);
    }
    return word;
}
