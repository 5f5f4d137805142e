fn two_points(indices: u32, high: u32, signs: u32) -> vec4<u32> {
    let a = ((indices & 0xffu) | ((high & 3u) << 8u)) * 2u;
    let b = (((indices >> 8u) & 0xffu) | ((high & 0xcu) << 6u)) * 2u;
    return vec4<u32>(signed4(grid[a], signs), signed4(grid[a + 1u], signs >> 4u), signed4(grid[b], signs >> 8u),
        signed4(grid[b + 1u], signs >> 12u));
}

fn unpack(g: u32) -> Group {
    let indices = s[PLANE_QS / 4u + g];
    let signs = s[PLANE_SIGNS / 4u + g];
    let high = byte_at(PLANE_QH + g);
    let scales = byte_at(PLANE_SCALES + g);
    let d = half_at(PLANE_D + g / 8u * 2u) * (vec2<f32>(f32(scales & 0xfu), f32(scales >> 4u)) + 0.5) * 0.25;
    return Group(two_points(indices, high, signs), two_points(indices >> 16u, high >> 4u, signs >> 16u), d, vec2<f32>(0.0));
}
