fn unpack(g: u32) -> Group {
    let q = w[PLANE_QS / 16u + g];
    let h = s[PLANE_QH / 4u + g];
    let d = half_at(PLANE_D + g * 2u);
    let a = (q & vec4<u32>(0x0f0f0f0fu)) | (spread4(h) << vec4<u32>(4u));
    let b = ((q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu)) | (spread4(h >> 16u) << vec4<u32>(4u));
    return Group(a, b, vec2<f32>(d), vec2<f32>(-16.0 * d));
}
