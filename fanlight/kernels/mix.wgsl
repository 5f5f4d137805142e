@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= COLUMNS || id.y >= inputs[0]) { return; }
    var sum = 0.0;
    for (var j = 0u; j < TOP_K; j++) { sum += route[(id.y * 2u + 1u) * TOP_K + j] * x[id.y * X_STRIDE + j * COLUMNS + id.x]; }
    y[id.y * Y_STRIDE + id.x] = epilogue(sum, extras_of(id.y, id.x));
}
