fn unpack(g: u32) -> Group {
    let block = g / 4u;
    let at = PLANE_QS / 16u + block * 2u;
    let shift = vec4<u32>(g % 4u * 2u);
    let mask = vec4<u32>(0x03030303u);
    let d = bitcast<f32>(s[PLANE_D / 4u + block]);
    return Group((w[at] >> shift) & mask, (w[at + 1u] >> shift) & mask, vec2<f32>(d), vec2<f32>(-d));
}
