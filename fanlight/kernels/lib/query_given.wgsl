// Queries are turned and scaled, and the cache has the row's own key and value.
const OWN = false;
fn prepare(row: u32, head0: u32, kv_head: u32, thread: u32) {
    for (var i = thread; i < SUB * D8 * 2u; i += WORKGROUP) { qs[i] = q[(row * HEADS + head0) * D8 * 2u + i]; }
}
fn keep_own(slot: u32, position: u32, kv_head: u32, thread: u32) {}
fn own_eight(h: u32, i: u32) -> f32 { return 0.0; }
fn own_value(i: u32) -> vec4<f32> { return vec4<f32>(0.0); }
