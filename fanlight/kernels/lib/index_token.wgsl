// The row's token, perhaps the one that was last sampled for its slot, and counts it there. See embed.py.
fn index_of(row: u32) -> u32 {
    let token = token_of(row);
    if (token >= 0x80000000u) { return next_token[slot_of(row)]; }
    return token;
}
fn count(row: u32, token: u32) {
    let at = slot_of(row) * VOCAB + token;
    if (is_output(row)) {
        atomicAdd(&token_counts[at], 1u);
    } else {
        atomicOr(&token_counts[at], 0x80000000u);
    }
}
