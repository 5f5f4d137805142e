// Half of what a byte stands for: four bits of exponent, three of mantissa.
fn scale_of_byte(byte: u32) -> f32 {
    let e = (byte >> 3u) & 0xfu;
    let m = byte & 7u;
    let normal = bitcast<f32>(((e + 119u) << 23u) | (m << 20u));
    return select(select(normal, f32(m) / 1024.0, e == 0u), 0.0, byte == 0x7fu);
}

// A scale to 16 weights, whose lower nibbles are the first eight.
fn unpack(g: u32) -> Group {
    let q = w[PLANE_QS / 16u + g];
    let scales = s[PLANE_SCALES / 4u + g / 2u] >> ((g % 2u) * 16u);
    let low = q & vec4<u32>(0x0f0f0f0fu);
    let high = (q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu);
    let d = vec2<f32>(scale_of_byte(scales & 0xffu), scale_of_byte((scales >> 8u) & 0xffu));
    return Group(values4(vec4<u32>(low.xy, high.xy)), values4(vec4<u32>(low.zw, high.zw)), d, vec2<f32>(0.0));
}
