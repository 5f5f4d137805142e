// Index of element 0 of (which, position, head), in elements; which is 0 for keys and 1 for values. See kv.py.
fn kv_element(which: u32, slot: u32, position: u32, head: u32) -> u32 {
    let block = block_table[slot * MAX_BLOCKS + position / BLOCK_SIZE];
    let offset = position % BLOCK_SIZE;
    if (DV == D) { return (((which * NUM_BLOCKS + block) * KV_HEADS + head) * BLOCK_SIZE + offset) * D; }
    let place = (block * KV_HEADS + head) * BLOCK_SIZE + offset;
    return select(place * D, NUM_BLOCKS * KV_HEADS * BLOCK_SIZE * D + place * DV, which == 1u);
}
