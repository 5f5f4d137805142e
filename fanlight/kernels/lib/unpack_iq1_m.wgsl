fn unpack(g: u32) -> Group {
    let block = g / 8u;
    let i = g % 8u;
    let indices = s[PLANE_QS / 4u + g];
    let h = (s[PLANE_QH / 4u + g / 2u] >> ((g % 2u) * 16u)) & 0xffffu;
    let x = s[PLANE_SCALES / 4u + block * 2u];
    let y = s[PLANE_SCALES / 4u + block * 2u + 1u];
    let d = unpack2x16float(((x >> 12u) & 0xfu) | ((x >> 24u) & 0xf0u) | ((y >> 4u) & 0xf00u) | ((y >> 16u) & 0xf000u)).x * 0.125;
    let scales = select(x, y, i >= 4u) >> ((i / 2u % 2u) * 16u + (i % 2u) * 6u);
    let p0 = point((indices & 0xffu) | ((h & 7u) << 8u), (h >> 3u) & 1u);
    let p1 = point(((indices >> 8u) & 0xffu) | ((h & 0x70u) << 4u), (h >> 7u) & 1u);
    let p2 = point(((indices >> 16u) & 0xffu) | (h & 0x700u), (h >> 11u) & 1u);
    let p3 = point((indices >> 24u) | ((h & 0x7000u) >> 4u), h >> 15u);
    let scale = d * vec2<f32>(f32(2u * (scales & 7u) + 1u), f32(2u * ((scales >> 3u) & 7u) + 1u));
    return Group(vec4<u32>(p0, p1), vec4<u32>(p2, p3), scale, -9.0 * scale);
}
