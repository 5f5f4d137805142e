fn x16(row: u32, k: u32) -> array<vec4<f32>, 4> {
    let at = (row * X_STRIDE + X_OFFSET + k) / 4u;
    return array<vec4<f32>, 4>(x[at], x[at + 1u], x[at + 2u], x[at + 3u]);
}
