// An element a thread. See lora_scale.py.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.y >= inputs[0] || id.x >= STRIDE) { return; }
    y[id.y * STRIDE + id.x] = scales[slot_of(id.y) * COUNT + WHICH];
}
