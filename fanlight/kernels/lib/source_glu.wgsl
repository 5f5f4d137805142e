// silu(gate) * up, where gate and up lie side by side in a row.  https://arxiv.org/abs/2002.05202
fn source4(row: u32, k: u32) -> vec4<f32> {
    let gate = x[(row * X_STRIDE + k) / 4u];
    return gate / (1.0 + exp(-gate)) * x[(row * X_STRIDE + K + k) / 4u];
}
