// The line of the row's patch in a table of TABLE_WIDTH lines to a row of patches, from TABLE_FIRST on; 0 of what is no patch.
// See embed.py.
fn index_of(row: u32) -> u32 {
    let place = token_of(row);
    if (place == 0xffffffffu) { return 0u; }
    return TABLE_FIRST + (place >> 16u) * TABLE_WIDTH + (place & 0xffffu);
}
fn count(row: u32, index: u32) {}
