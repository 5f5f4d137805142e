fn source4(row: u32, k: u32) -> vec4<f32> { return x[(row * X_STRIDE + k) / 4u]; }
