// Twice nine bits of index and seven of signs.
fn two_points(q: u32) -> vec4<u32> {
    let a = (q & 511u) * 2u;
    let b = ((q >> 16u) & 511u) * 2u;
    let first = parity((q >> 9u) & 127u);
    let second = parity(q >> 25u);
    return vec4<u32>(signed4(grid[a], first), signed4(grid[a + 1u], first >> 4u), signed4(grid[b], second),
        signed4(grid[b + 1u], second >> 4u));
}

fn unpack(g: u32) -> Group {
    let at = PLANE_QS / 4u + g * 2u;
    let scales = byte_at(PLANE_SCALES + g);
    let d = half_at(PLANE_D + g / 8u * 2u) * (vec2<f32>(f32(scales & 0xfu), f32(scales >> 4u)) + 0.5) * 0.25;
    return Group(two_points(s[at]), two_points(s[at + 1u]), d, vec2<f32>(0.0));
}
