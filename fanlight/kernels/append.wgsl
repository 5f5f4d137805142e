// Two neighbouring elements of a row's keys, then values, a thread. See append.py.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let n = 2u * id.x;
    if (row >= inputs[0] || n >= KV_HEADS * (D + DV)) { return; }
    let position = position_of(row);
    let slot = slot_of(row);
    if (n < KV_HEADS * D) {
        let at = row * K_STRIDE + K_OFFSET + n;
        kv_write(kv_element(0u, slot, position, n / D) + n % D, vec2<f32>(k[at], k[at + 1u]));
    } else {
        let i = n - KV_HEADS * D;
        let at = row * V_STRIDE + V_OFFSET + i;
        kv_write(kv_element(1u, slot, position, i / DV) + i % DV, vec2<f32>(v[at], v[at + 1u]));
    }
}
