// One workgroup per (head, row): query heads, then key heads, then value heads.

var<workgroup> partial: array<f32, 32>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.x;
    let row = group.y;
    if (row >= inputs[0]) { return; }
    let position = inputs[ROWS_AT + 4u * row + 1u];
    let slot = inputs[ROWS_AT + 4u * row + 2u];
    let base = row * QKV_STRIDE + head * D;
    let is_value = head >= HEADS + KV_HEADS;
    var scale = 1.0;
    if (HEAD_NORM && !is_value) {
        var sum = 0.0;
        for (var i = thread; i < D; i += 32u) { sum += qkv[base + i] * qkv[base + i]; }
        partial[thread] = sum;
        workgroupBarrier();
        var total = 0.0;
        for (var i = 0u; i < 32u; i++) { total += partial[i]; }
        scale = inverseSqrt(total / f32(D) + EPS);
    }
    for (var i = thread * 2u; i < D; i += 64u) {
        var v = vec2<f32>(qkv[base + i], qkv[base + i + 1u]);
        if (is_value) {
            kv_write(kv_element(1u, slot, position, head - HEADS - KV_HEADS) + i, v);
            continue;
        }
        if (HEAD_NORM) { v = v * scale * head_weight(head, i); }
        let t = cos_sin(f32(position) * inv_freq[i / 2u]) * ROPE_SCALE;
        v = vec2<f32>(v.x * t.x - v.y * t.y, v.x * t.y + v.y * t.x);
        if (head < HEADS) {
            q[(row * HEADS + head) * D + i] = v.x * SCALE;
            q[(row * HEADS + head) * D + i + 1u] = v.y * SCALE;
        } else {
            kv_write(kv_element(0u, slot, position, head - HEADS) + i, v);
        }
    }
}
