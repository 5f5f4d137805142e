// A block of 32 elements, as ggml's quantize_row_q4_0_ref rounds it: the first of the largest becomes -8. Returns its scale.
fn kv_block(element: u32, values: array<vec4<f32>, 8>) -> f32 {
    var v = values;
    var top = 0.0;
    for (var i = 0u; i < 32u; i++) {
        let x = v[i / 4u][i % 4u];
        if (abs(x) > abs(top)) { top = x; }
    }
    let scale = top / -8.0;
    let by = select(0.0, 1.0 / scale, scale != 0.0);
    for (var i = 0u; i < 4u; i++) {
        let a = min(vec4<u32>(15u), vec4<u32>(v[2u * i] * by + vec4<f32>(8.5)));
        let b = min(vec4<u32>(15u), vec4<u32>(v[2u * i + 1u] * by + vec4<f32>(8.5)));
        kv[element / 8u + i] = a.x | (a.y << 4u) | (a.z << 8u) | (a.w << 12u) | (b.x << 16u) | (b.y << 20u) | (b.z << 24u) | (b.w << 28u);
    }
    return scale;
}
