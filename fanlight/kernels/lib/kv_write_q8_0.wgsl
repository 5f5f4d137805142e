// A block of 32 elements, as ggml's quantize_row_q8_0_ref rounds it. Returns its scale.
fn kv_block(element: u32, values: array<vec4<f32>, 8>) -> f32 {
    var v = values;
    var top = 0.0;
    for (var i = 0u; i < 8u; i++) {
        let a = abs(v[i]);
        top = max(top, max(max(a.x, a.y), max(a.z, a.w)));
    }
    let scale = top / 127.0;
    let by = select(0.0, 1.0 / scale, scale > 0.0);
    for (var i = 0u; i < 8u; i++) {
        let x = v[i] * by;
        let bytes = bitcast<vec4<u32>>(vec4<i32>(x + select(vec4<f32>(0.5), vec4<f32>(-0.5), x < vec4<f32>(0.0)))) & vec4<u32>(0xffu);
        kv[element / 4u + i] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
    }
    return scale;
}
