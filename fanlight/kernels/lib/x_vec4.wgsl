fn x4(row: u32, k: u32) -> vec4<f32> {
    if (k >= K) { return vec4<f32>(0.0); }
    return x[(row * X_STRIDE + X_OFFSET + k) / 4u];
}
