fn unpack(g: u32) -> Group {
    let block = g / 8u;
    let i = g % 8u;
    let at = PLANE_QS / 16u + block * 8u + (i / 2u) * 2u;
    let high = PLANE_QH / 16u + block * 2u;
    let shift = vec4<u32>((i % 2u) * 4u);
    let mask = vec4<u32>(0x0f0f0f0fu);
    let one = vec4<u32>(0x01010101u);
    let a = ((w[at] >> shift) & mask) | (((w[high] >> vec4<u32>(i)) & one) << vec4<u32>(4u));
    let b = ((w[at + 1u] >> shift) & mask) | (((w[high + 1u] >> vec4<u32>(i)) & one) << vec4<u32>(4u));
    let sc = PLANE_SCALES / 4u + block * 3u;
    let sm = scale_min(vec3<u32>(s[sc], s[sc + 1u], s[sc + 2u]), i);
    let d = half_at(PLANE_D + block * 2u);
    let dmin = half_at(PLANE_DMIN + block * 2u);
    return Group(a, b, vec2<f32>(d * sm.x), vec2<f32>(-dmin * sm.y));
}
