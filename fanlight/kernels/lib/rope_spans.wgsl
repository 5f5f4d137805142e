// rope_kv.wgsl where elements of the cache share scales: those of keys and values go through workgroup memory, out of which one thread
// takes SPAN of them. See rope_kv.py.

var<workgroup> staged: array<vec4<f32>, HEADS_HERE * LANES>;

fn given4(row: u32, n: u32) -> vec4<f32> { return staged[n]; }

// Elements i and i + 1 of a head of q or k.
fn normed_and_turned(row: u32, head: u32, i: u32, pair: vec2<f32>, scale: f32) -> vec2<f32> {
    if (HEAD_NORM) { return turned(row, i, head_normed(pair * scale, head_weight(head, i))); }
    return turned(row, i, pair);
}

@compute @workgroup_size(HEADS_HERE * LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y;
    if (row >= inputs[0]) { return; }
    let head = group.x * HEADS_HERE + thread / LANES;
    let first = min(head, ALL_HEADS - 1u) * D;
    var scale = 1.0;
    if (HEAD_NORM) { scale = inverse_rms(row, first, thread); }
    for (var begin = 0u; begin < D; begin += 4u * LANES) {
        let i = begin + thread % LANES * 4u;
        let is_there = head < ALL_HEADS && i < D;
        if (is_there) {
            var four = four_of(row, first + i);
            if (head < HEADS + KV_HEADS) {
                four = vec4<f32>(
                    normed_and_turned(row, head, i, four.xy, scale), normed_and_turned(row, head, i + 2u, four.zw, scale));
            }
            staged[thread] = four;
        }
        workgroupBarrier();
        if (is_there && head < HEADS) {
            let at = (row * HEADS + head) * D + i;
            let four = staged[thread] * SCALE;
            q[at] = four.x;
            q[at + 1u] = four.y;
            q[at + 2u] = four.z;
            q[at + 3u] = four.w;
        } else if (is_there && i % SPAN == 0u) {
            let which = (head - HEADS) / KV_HEADS;
            let element = kv_element(which, slot_of(row), position_of(row), (head - HEADS) % KV_HEADS) + i;
            kv_write_span(element, row, thread);
        }
        workgroupBarrier();
    }
}
