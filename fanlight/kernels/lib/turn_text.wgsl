// What a pair turns by: the row's position on the pair's axis, where the record has such. See rope.py.
fn turn_of(row: u32, pair: u32) -> u32 {
    if (inputs[TURNS_AT] == 0u) { return position_of(row); }
    return inputs[inputs[TURNS_AT] + AXES * row + u32(inv_freq[ROTARY / 2u + pair])];
}
