fn unpack(g: u32) -> Group {
    let block = g / 8u;
    let i = g % 8u;
    let at = PLANE_QS / 16u + block * 8u + (i / 2u) * 2u;
    let shift = vec4<u32>((i % 2u) * 4u);
    let mask = vec4<u32>(0x0f0f0f0fu);
    let sm = scale_min(block, i);
    let d = half_at(PLANE_D + block * 2u);
    let dmin = half_at(PLANE_DMIN + block * 2u);
    return Group((w[at] >> shift) & mask, (w[at + 1u] >> shift) & mask, vec2<f32>(d * sm.x), vec2<f32>(-dmin * sm.y));
}
