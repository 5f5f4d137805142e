// SPAN neighbouring elements of a row's keys, then values, a thread, where elements of the cache share scales. See append.py.
fn given4(row: u32, four: u32) -> vec4<f32> {
    let n = 4u * four;
    if (n < KV_HEADS * D) {
        let at = row * K_STRIDE + K_OFFSET + n;
        return vec4<f32>(k[at], k[at + 1u], k[at + 2u], k[at + 3u]);
    }
    let at = row * V_STRIDE + V_OFFSET + n - KV_HEADS * D;
    return vec4<f32>(v[at], v[at + 1u], v[at + 2u], v[at + 3u]);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let n = SPAN * id.x;
    if (row >= inputs[0] || n >= KV_HEADS * (D + DV)) { return; }
    let is_key = n < KV_HEADS * D;
    let width = select(DV, D, is_key);
    let i = n - select(KV_HEADS * D, 0u, is_key);
    kv_write_span(kv_element(select(1u, 0u, is_key), slot_of(row), position_of(row), i / width) + i % width, row, n / 4u);
}
