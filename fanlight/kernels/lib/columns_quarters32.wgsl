// Codes of 2 bits: a byte of the file has those of a row of each quarter of the matrix, the first the lowest. Bytes lie row after row.
const WORDS = 4u;
fn word_of(row: u32, group: u32, j: u32) -> u32 {
    let quarter = params[13];
    let at = row % quarter * params[10] + group * 8u + j;
    let shift = row / quarter * 2u;
    return ((staging[at] >> shift) & 0x03030303u) | (((staging[at + 4u] >> shift) & 0x03030303u) << 4u);
}
