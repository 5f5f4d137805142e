@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= STRIDE / 4u) { return; }
    y[id.y * (STRIDE / 4u) + id.x] = x[x_row(id.y) * (STRIDE / 4u) + id.x];
}
