fn unpack(g: u32) -> Group {
    let indices = s[PLANE_QS / 4u + g];
    let h = (s[PLANE_QH / 4u + g / 2u] >> ((g % 2u) * 16u)) & 0xffffu;
    let is_less = h >> 15u;
    let p0 = point((indices & 0xffu) | ((h & 7u) << 8u), is_less);
    let p1 = point(((indices >> 8u) & 0xffu) | ((h & 0x38u) << 5u), is_less);
    let p2 = point(((indices >> 16u) & 0xffu) | ((h & 0x1c0u) << 2u), is_less);
    let p3 = point((indices >> 24u) | ((h & 0xe00u) >> 1u), is_less);
    let d = half_at(PLANE_D + g / 8u * 2u) * f32(2u * ((h >> 12u) & 7u) + 1u) * 0.125;
    return Group(vec4<u32>(p0, p1), vec4<u32>(p2, p3), vec2<f32>(d), vec2<f32>(-9.0 * d));
}
