var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (group.x >= inputs[0]) { return; }
    let row = group.x * STRIDE;
    var sum = 0.0;
    for (var i = thread; i < C; i += 64u) { sum += x[row + i] * x[row + i]; }
    partial[thread] = sum;
    workgroupBarrier();
    for (var step = 32u; step > 0u; step /= 2u) {
        if (thread < step) { partial[thread] += partial[thread + step]; }
        workgroupBarrier();
    }
    let scale = inverseSqrt(partial[0] / f32(C) + EPS);
    for (var i = thread; i < C; i += 64u) { y[row + i] = x[row + i] * scale * weight[i]; }
}
