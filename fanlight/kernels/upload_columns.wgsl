// Codes that a file has transposed: a row of the plane is a column of the file. A word of a group of 32 an invocation.
// params: rows, first row, groups per row, -, -, head_dim and rotary rows (source_row.wgsl), -, byte offset of the plane, first row in the
// file, words from line to line of the file, first group of the upload, groups of it, perhaps an order.

fn apart(x: u32) -> u32 { return (x & 0xfu) | ((x & 0xf0u) << 4u) | ((x & 0xf00u) << 8u) | ((x & 0xf000u) << 12u); }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * WORKGROUP;
    let row = i % params[0]; // neighbours read neighbouring words
    let word = i / params[0];
    if (word >= params[12] * WORDS) { return; }
    let to = (params[1] + row) * params[2] + params[11] + word / WORDS;
    packed[params[8] / 4u + to * WORDS + word % WORDS] = word_of(params[9] + source_row(row), word / WORDS, word % WORDS);
}
