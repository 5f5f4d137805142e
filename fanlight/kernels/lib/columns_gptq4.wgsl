// Eight neighbouring codes of 4 bits to a word; a line of words for each eight.
const WORDS = 4u;
fn codes4(row: u32, column: u32) -> u32 { return (staging[column / 8u * params[10] + row] >> (column % 8u * 4u)) & 0xffffu; }
fn word_of(row: u32, group: u32, j: u32) -> u32 {
    let column = group * 32u + j * 4u;
    return apart(codes4(row, column)) | (apart(codes4(row, column + 16u)) << 4u);
}
