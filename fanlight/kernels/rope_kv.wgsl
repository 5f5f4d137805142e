// A row's query heads, then key heads, then value heads: LANES threads to a head, HEADS_HERE heads to a workgroup. See rope_kv.py.

// Elements i and i + 1 of a head to where they belong, normed already.
fn turn(row: u32, head: u32, i: u32, pair: vec2<f32>) {
    let position = position_of(row);
    let slot = slot_of(row);
    if (head >= HEADS + KV_HEADS) {
        kv_write(kv_element(1u, slot, position, head - HEADS - KV_HEADS) + i, pair);
        return;
    }
    let t = turned(row, i, pair);
    if (head < HEADS) {
        q[(row * HEADS + head) * D + i] = t.x * SCALE;
        q[(row * HEADS + head) * D + i + 1u] = t.y * SCALE;
    } else {
        kv_write(kv_element(0u, slot, position, head - HEADS) + i, t);
    }
}

@compute @workgroup_size(HEADS_HERE * LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y;
    if (row >= inputs[0]) { return; }
    let head = group.x * HEADS_HERE + thread / LANES;
    let first = min(head, ALL_HEADS - 1u) * D;
    var scale = 1.0;
    if (HEAD_NORM) { scale = inverse_rms(row, first, thread); }
    if (head >= ALL_HEADS) { return; }
    for (var i = thread % LANES * 4u; i < D; i += 4u * LANES) {
        let four = four_of(row, first + i);
        if (HEAD_NORM && head < HEADS + KV_HEADS) {
            turn(row, head, i, head_normed(four.xy * scale, head_weight(head, i)));
            turn(row, head, i + 2u, head_normed(four.zw * scale, head_weight(head, i + 2u)));
        } else {
            turn(row, head, i, four.xy);
            turn(row, head, i + 2u, four.zw);
        }
    }
}
