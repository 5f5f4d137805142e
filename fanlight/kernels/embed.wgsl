@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    if (row >= inputs[0]) { return; }
    let index = index_of(row);
    let token = min(index, VOCAB - 1u);
    if (FIRST_ROW == 0u && thread == 0u) { count(row, token); }
    if (token < FIRST_ROW || token >= FIRST_ROW + N) { return; }
    for (var g = thread; g < GROUPS; g += 64u) {
        let values = unpack((token - FIRST_ROW) * GROUPS + g);
        for (var j = 0u; j < 8u; j++) {
            let v = value4(values, j);
            for (var i = 0u; i < 4u; i++) {
                let k = g * 32u + j * 4u + i;
                if (k < K) { y[row * Y_STRIDE + k] = epilogue(select(0.0, v[i], index < VOCAB), extras_of(row, k)); }
            }
        }
    }
}
