// As columns_quarters32.wgsl; of 128 columns a byte of the plane has those that are 32 apart.
const WORDS = 8u;
fn word_of(row: u32, group: u32, j: u32) -> u32 {
    let quarter = params[13];
    let at = row % quarter * params[10] + group * 32u + j;
    let shift = row / quarter * 2u;
    var word = 0u;
    for (var i = 0u; i < 4u; i++) { word |= ((staging[at + 8u * i] >> shift) & 0x03030303u) << (2u * i); }
    return word;
}
