fn unpack(g: u32) -> Group {
    let block = g / 8u;
    let i = g % 8u;
    let at = PLANE_QS / 16u + block * 4u + (i / 4u) * 2u;
    let shift = vec4<u32>((i % 4u) * 2u);
    let mask = vec4<u32>(0x03030303u);
    let d = half_at(PLANE_D + block * 2u);
    return Group((w[at] >> shift) & mask, (w[at + 1u] >> shift) & mask, vec2<f32>(d), vec2<f32>(-d));
}
