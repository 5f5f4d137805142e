// 8 neighbouring codes of 4 bits to a word; the plane's columns are others of the file's, as params say: two to a word.
const WORDS = 4u;
fn code(row: u32, column: u32) -> u32 {
    let at = (params[13u + column / 2u] >> (column % 2u * 16u)) & 0xffffu;
    return (staging[at / 8u * params[10] + row] >> (at % 8u * 4u)) & 0xfu;
}
fn word_of(row: u32, group: u32, j: u32) -> u32 {
    var word = 0u;
    for (var i = 0u; i < 4u; i++) {
        let column = group * 32u + j * 4u + i;
        word |= (code(row, column) | (code(row, column + 16u) << 4u)) << (i * 8u);
    }
    return word;
}
