fn unpack(g: u32) -> Group {
    let q = w[PLANE_QS / 16u + g];
    let d = half_at(PLANE_D + g * 2u);
    return Group(q & vec4<u32>(0x0f0f0f0fu), (q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu), vec2<f32>(d), vec2<f32>(-8.0 * d));
}
