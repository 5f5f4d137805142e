fn x4(row: u32, k: u32) -> vec4<f32> {
    let at = row * X_STRIDE + X_OFFSET + k;
    var v = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i++) {
        if (k + i < K) { v[i] = x[at + i]; }
    }
    return v;
}
