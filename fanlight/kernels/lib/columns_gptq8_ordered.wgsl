// 4 neighbouring codes of 8 bits to a word; the plane's columns are others of the file's, as params say: two to a word.
const WORDS = 8u;
fn code(row: u32, column: u32) -> u32 {
    let at = (params[13u + column / 2u] >> (column % 2u * 16u)) & 0xffffu;
    return (staging[at / 4u * params[10] + row] >> (at % 4u * 8u)) & 0xffu;
}
fn word_of(row: u32, group: u32, j: u32) -> u32 {
    let column = group * 32u + j * 4u;
    let low = code(row, column) | (code(row, column + 1u) << 8u);
    return (low | (code(row, column + 2u) << 16u) | (code(row, column + 3u) << 24u)) ^ 0x80808080u;
}
