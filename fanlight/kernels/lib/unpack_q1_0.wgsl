fn unpack(g: u32) -> Group {
    let q = s[PLANE_QS / 4u + g];
    let d = half_at(PLANE_D + g / 4u * 2u);
    return Group(spread4(q) << vec4<u32>(1u), spread4(q >> 16u) << vec4<u32>(1u), vec2<f32>(d), vec2<f32>(-d));
}
