// One workgroup a row. See norm_int8.py.
fn normed4(row: u32, k: u32, mean: f32, scale: f32) -> vec4<f32> {
    return epilogue((x4(row, k) - vec4<f32>(mean)) * scale, extras_of(row, k));
}

fn normed16(row: u32, k: u32, mean: f32, scale: f32) -> array<vec4<f32>, 4> {
    return array<vec4<f32>, 4>(normed4(row, k, mean, scale), normed4(row, k + 4u, mean, scale), normed4(row, k + 8u, mean, scale),
        normed4(row, k + 12u, mean, scale));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    if (row >= inputs[0]) { return; }
    var mean = 0.0;
    if (CENTERED) {
        var sum = 0.0;
        for (var k = thread * 4u; k < K; k += WORKGROUP * 4u) { sum += dot(x4(row, k), vec4<f32>(1.0)); }
        mean = total(sum, thread) / f32(K);
    }
    var squares = 0.0;
    for (var k = thread * 4u; k < K; k += WORKGROUP * 4u) {
        let v = x4(row, k) - vec4<f32>(mean);
        squares += dot(v, v);
    }
    let scale = inverseSqrt(total(squares, thread) / f32(K) + EPS);
    for (var g = thread; g < K / 32u; g += WORKGROUP) {
        put_int8(row, g, normed16(row, g * 32u, mean, scale), normed16(row, g * 32u + 16u, mean, scale));
    }
}
