fn four_points(indices: u32, u: u32, j: u32) -> vec4<u32> {
    let first = parity((u >> (j * 7u)) & 127u);
    let second = parity((u >> (j * 7u + 7u)) & 127u);
    return vec4<u32>(signed4(grid[indices & 0xffu], first), signed4(grid[(indices >> 8u) & 0xffu], first >> 4u),
        signed4(grid[(indices >> 16u) & 0xffu], second), signed4(grid[indices >> 24u], second >> 4u));
}

fn unpack(g: u32) -> Group {
    let u = s[PLANE_SIGNS / 4u + g];
    let at = PLANE_QS / 4u + g * 2u;
    let d = half_at(PLANE_D + g / 8u * 2u) * (f32(u >> 28u) + 0.5) * 0.5;
    return Group(four_points(s[at], u, 0u), four_points(s[at + 1u], u, 2u), vec2<f32>(d), vec2<f32>(0.0));
}
