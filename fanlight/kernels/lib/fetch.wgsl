// params: rows, first row, blocks per row, bytes per block in the file, planes, head_dim and rotary rows (source_row.wgsl), what bytes
// are xored with, then per plane:
// its byte offset in `packed`, bytes per block in it, byte offset within a block of the file, bytes per block in the file.

// The 16-bit unit `u` (counted from the first row of this upload) of the plane described at params[p].
fn fetch(p: u32, u: u32) -> u32 {
    let units = params[p + 1u] / 2u;
    let block = u / units;
    let within = (u % units) * 2u;
    let row = block / params[2];
    if (within >= params[p + 3u] || row >= params[0]) { return 0u; }
    let source_block = source_row(row) * params[2] + block % params[2];
    let at = source_block * params[3] + params[p + 2u] + within;
    return (staging[at / 4u] >> ((at % 4u) * 8u)) & 0xffffu;
}
