fn four_points(indices: u32, high: u32, signs: u32) -> vec4<u32> {
    let nine = (vec4<u32>(indices, indices >> 8u, indices >> 16u, indices >> 24u) & vec4<u32>(0xffu))
        | ((vec4<u32>(high, high >> 1u, high >> 2u, high >> 3u) & vec4<u32>(1u)) << vec4<u32>(8u));
    return vec4<u32>(signed4(grid[nine.x], signs), signed4(grid[nine.y], signs >> 4u), signed4(grid[nine.z], signs >> 8u),
        signed4(grid[nine.w], signs >> 12u));
}

fn unpack(g: u32) -> Group {
    let at = PLANE_QS / 4u + g * 2u;
    let high = byte_at(PLANE_QH + g);
    let signs = s[PLANE_SIGNS / 4u + g];
    let scale = (s[PLANE_SCALES / 4u + g / 8u] >> ((g % 8u) * 4u)) & 0xfu;
    let d = half_at(PLANE_D + g / 8u * 2u) * f32(2u * scale + 1u);
    return Group(four_points(s[at], high, signs), four_points(s[at + 1u], high >> 4u, signs >> 16u), vec2<f32>(d), vec2<f32>(0.0));
}
