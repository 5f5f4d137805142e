@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= F || id.y >= inputs[0]) { return; }
    let gate = x[id.y * X_STRIDE + id.x];
    y[id.y * Y_STRIDE + id.x] = gate / (1.0 + exp(-gate)) * x[id.y * X_STRIDE + F + id.x];
}
