fn unpack(g: u32) -> Group {
    let block = g / 8u;
    let i = g % 8u;
    let at = PLANE_QS / 16u + block * 4u + (i / 4u) * 2u;
    let shift = vec4<u32>((i % 4u) * 2u);
    let mask = vec4<u32>(0x03030303u);
    let sc = s[(PLANE_SCALES + block * 16u + (i / 2u) * 4u) / 4u] >> ((i % 2u) * 16u);
    let scales = vec2<f32>(vec2<u32>(sc & 0xfu, (sc >> 8u) & 0xfu));
    let mins = vec2<f32>(vec2<u32>((sc >> 4u) & 0xfu, (sc >> 12u) & 0xfu));
    let d = half_at(PLANE_D + block * 2u);
    let dmin = half_at(PLANE_DMIN + block * 2u);
    return Group((w[at] >> shift) & mask, (w[at + 1u] >> shift) & mask, d * scales, -dmin * mins);
}
