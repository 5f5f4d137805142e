@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = id.x * WIDTH;
    if (column >= COLUMNS || id.y >= inputs[0]) { return; }
    y[(id.y * Y_STRIDE + column) / WIDTH] = epilogue(extras_of(id.y, column));
}
