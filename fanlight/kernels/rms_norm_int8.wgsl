var<workgroup> partial: array<f32, WORKGROUP>;

fn normed16(at: u32, k: u32, scale: f32) -> array<vec4<f32>, 4> {
    var v: array<vec4<f32>, 4>;
    for (var i = 0u; i < 4u; i++) { v[i] = x[at + k + i] * scale * weight[k + i]; }
    return v;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    if (row >= inputs[0]) { return; }
    let at = row * (STRIDE / 4u);
    var sum = 0.0;
    for (var i = thread; i < K / 4u; i += WORKGROUP) { sum += dot(x[at + i], x[at + i]); }
    partial[thread] = sum;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { partial[thread] += partial[thread + step]; }
        workgroupBarrier();
    }
    let scale = inverseSqrt(partial[0] / f32(K) + EPS);
    for (var g = thread; g < K / 32u; g += WORKGROUP) {
        put_int8(row, g, normed16(at, g * 8u, scale), normed16(at, g * 8u + 4u, scale));
    }
}
