// The row's token, as index_token.wgsl has it, uncounted; the first line where a table of VOCAB lines has none. See embed.py.
fn index_of(row: u32) -> u32 {
    var token = token_of(row);
    if (token >= 0x80000000u) { token = next_token[slot_of(row)]; }
    return select(0u, token, token < VOCAB);
}
fn count(row: u32, index: u32) {}
