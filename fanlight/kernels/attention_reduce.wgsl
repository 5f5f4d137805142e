@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (group.y >= inputs[0]) { return; }
    let head = group.y * HEADS + group.x;
    var top = -1e30;
    for (var i = 0u; i < SPLITS; i++) { top = max(top, state[head * SPLITS + i].x); }
    var total = 0.0;
    for (var i = 0u; i < SPLITS; i++) { total += exp(state[head * SPLITS + i].x - top) * state[head * SPLITS + i].y; }
    for (var d = thread; d < D / 4u; d += 64u) {
        var sum = vec4<f32>(0.0);
        for (var i = 0u; i < SPLITS; i++) {
            sum += exp(state[head * SPLITS + i].x - top) * x[(head * SPLITS + i) * (D / 4u) + d];
        }
        y[group.y * HEADS * (D / 4u) + group.x * (D / 4u) + d] = sum / total;
    }
}
