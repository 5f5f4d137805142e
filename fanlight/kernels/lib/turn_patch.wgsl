// What a pair turns by: its patch's place from above (axis 0) or from the left (1). See rope.py.
fn turn_of(row: u32, pair: u32) -> u32 {
    let place = token_of(row);
    if (place == NO_PATCH) { return 0u; }
    return select(place >> 16u, place & 0xffffu, inv_freq[ROTARY / 2u + pair] == 1.0);
}
