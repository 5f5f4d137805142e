@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= COLUMNS || id.y >= inputs[0]) { return; }
    y[id.y * Y_STRIDE + id.x] = column_of(id.y, order[id.x]);
}
