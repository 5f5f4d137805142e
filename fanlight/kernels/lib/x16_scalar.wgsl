// As x16_whole.wgsl, where rows begin anywhere.
fn x16(row: u32, k: u32) -> array<vec4<f32>, 4> {
    let at = row * X_STRIDE + X_OFFSET + k;
    var v: array<vec4<f32>, 4>;
    for (var i = 0u; i < 4u; i++) { v[i] = vec4<f32>(x[at + 4u * i], x[at + 4u * i + 1u], x[at + 4u * i + 2u], x[at + 4u * i + 3u]); }
    return v;
}
