fn two_points(indices: u32, u: u32, j: u32) -> vec4<u32> {
    let first = parity((u >> (j * 7u)) & 127u);
    let second = parity((u >> (j * 7u + 7u)) & 127u);
    let a = (indices & 0xffu) * 2u;
    let b = ((indices >> 8u) & 0xffu) * 2u;
    return vec4<u32>(signed4(grid[a], first), signed4(grid[a + 1u], first >> 4u), signed4(grid[b], second),
        signed4(grid[b + 1u], second >> 4u));
}

fn unpack(g: u32) -> Group {
    let at = PLANE_QS / 4u + g * 2u;
    let indices = s[at];
    let u = s[at + 1u];
    let d = half_at(PLANE_D + g / 8u * 2u) * (f32(u >> 28u) + 0.5) * 0.25;
    return Group(two_points(indices, u, 0u), two_points(indices >> 16u, u, 2u), vec2<f32>(d), vec2<f32>(0.0));
}
