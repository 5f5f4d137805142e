// A row's query heads, then key heads, then value heads: LANES threads to a head, HEADS_HERE heads to a workgroup.

const LANES = 32u;
const ALL_HEADS = HEADS + 2u * KV_HEADS;

var<workgroup> partial: array<f32, HEADS_HERE * LANES>;

// 1/rms of each thread's head.
fn inverse_rms(base: u32, thread: u32) -> f32 {
    var sum = 0.0;
    for (var i = thread % LANES; i < D; i += LANES) { sum += qkv[base + i] * qkv[base + i]; }
    partial[thread] = sum;
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < LANES; i++) { total += partial[thread / LANES * LANES + i]; }
    return inverseSqrt(total / f32(D) + EPS);
}

@compute @workgroup_size(HEADS_HERE * LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y;
    if (row >= inputs[0]) { return; }
    let head = group.x * HEADS_HERE + thread / LANES;
    let base = row * QKV_STRIDE + min(head, ALL_HEADS - 1u) * D;
    var scale = 1.0;
    if (HEAD_NORM) { scale = inverse_rms(base, thread); }
    if (head >= ALL_HEADS) { return; }
    let position = inputs[ROWS_AT + 4u * row + 1u];
    let slot = inputs[ROWS_AT + 4u * row + 2u];
    for (var i = thread % LANES * 2u; i < D; i += 2u * LANES) {
        var v = vec2<f32>(qkv[base + i], qkv[base + i + 1u]);
        if (head >= HEADS + KV_HEADS) {
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
