// Index of element 0 of (which, position, head), in elements. See kv.py.
fn kv_element(which: u32, slot: u32, position: u32, head: u32) -> u32 {
    let block = block_table[slot * MAX_BLOCKS + position / BLOCK_SIZE];
    return (((which * NUM_BLOCKS + block) * KV_HEADS + head) * BLOCK_SIZE + position % BLOCK_SIZE) * D;
}
